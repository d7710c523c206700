/** A journal that cannot be looked at is not an empty one, and one that breaks does not change what a saga came to. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { withJournal } from '../../src/cli/saga/with-journal.ts';
import { BlocksagaError } from '../../src/errors.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { serveSim } from '../../src/sim/serve.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { fakeContext } from './fake-context.ts';

const COMMANDS = [
  ['sagas'],
  ['sagas', '--json'],
  ['sagas', '--prune'],
  ['resume', '--all'],
  ['doctor'],
  ['show', 's'],
  ['abort', 's'],
  ['set-speed', 's', '1M'],
];
const UNPRIVILEGED = 65_534;

/** Runs as a user whom modes stop. */
async function withoutRights<T>(work: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return work();
  process.seteuid?.(UNPRIVILEGED);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}

interface Unreadable {
  readonly what: string;
  readonly says: RegExp;
  /** Makes it, and gives the journal's name. */
  make(folder: string): string;
}

const UNREADABLE: readonly Unreadable[] = [
  {
    what: 'in a directory that is closed to this user',
    says: /cannot look at the journal .*EACCES.*as the user/,
    make(folder) {
      const closed = join(folder, 'closed');
      mkdirSync(closed);
      writeFileSync(join(closed, 'journal.db'), '');
      chmodSync(closed, 0);
      onTestFinished(() => chmodSync(closed, 0o700));
      return join(closed, 'journal.db');
    },
  },
  {
    what: 'below a file',
    says: /cannot look at the journal .*ENOTDIR/,
    make(folder) {
      writeFileSync(join(folder, 'file'), '');
      return join(folder, 'file', 'journal.db');
    },
  },
  {
    what: 'that is a directory',
    says: /journal.db is a directory.*--journal/,
    make(folder) {
      mkdirSync(join(folder, 'journal.db'));
      return join(folder, 'journal.db');
    },
  },
  {
    what: 'that is a link to nothing',
    says: /journal.db is a link that leads nowhere.*--journal/,
    make(folder) {
      symlinkSync(join(folder, 'not-mounted', 'journal.db'), join(folder, 'journal.db'));
      return join(folder, 'journal.db');
    },
  },
  {
    what: 'that is a loop of links',
    says: /cannot look at the journal .*ELOOP/,
    make(folder) {
      symlinkSync(join(folder, 'journal.db'), join(folder, 'journal.db'));
      return join(folder, 'journal.db');
    },
  },
  {
    what: 'that this user may not read',
    says: /cannot open the journal .*may read and write/,
    make(folder) {
      const file = join(folder, 'journal.db');
      writeFileSync(file, '', { mode: 0 });
      return file;
    },
  },
];

describe.each(UNREADABLE)('a journal $what', ({ make, says }) => {
  test.each(COMMANDS)('is an error of %s %s %s, with what to do', async (...args) => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o777);
    const file = make(folder);
    const context = fakeContext();
    const words = args.filter(word => word !== undefined);
    expect(await withoutRights(() => runProgram([...words, '--journal', file], context))).toBe(2);
    const said = [...context.out, ...context.err].join('\n');
    expect(said).toContain(file);
    expect(said).toMatch(says);
  });
});

describe('a journal that breaks when it is closed', () => {
  const breaking = () => ({
    ...memoryJournal(),
    close: () => {
      throw new BlocksagaError('JOURNAL', 'the disk is full');
    },
  });

  test('leaves the status that was reached, and is told of', async () => {
    const context = fakeContext();
    expect(await withJournal(breaking(), context, async () => 3)).toBe(3);
    expect(context.err.join()).toContain('the disk is full');
    expect(context.out).toEqual([]);
  });

  test('does not take the place of what was thrown', async () => {
    const refusal = new BlocksagaError('SAGA_UNKNOWN', 'no such saga');
    await expect(withJournal(breaking(), fakeContext(), () => Promise.reject(refusal))).rejects.toBe(refusal);
  });
});

describe('a journal whose disk fills up in the pause of the guest', () => {
  test('gives one result line, and its status', async context => {
    const folder = temporaryFolder();
    const small = join(folder, 'small');
    mkdirSync(small);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', small], { stdio: 'pipe' });
    } catch (error) {
      console.warn(`NOT RUN for want of a small file system: ${(error as Error).message.trim()}`);
      return context.skip('no small file system can be mounted');
    }
    onTestFinished(() => void execFileSync('umount', ['--lazy', small]));
    const listen = join(folder, 'sim.qmp');
    const server = await serveSim({ listen, disks: 1 });
    onTestFinished(() => server.close());

    const lines: string[] = [];
    const ballast = join(small, 'ballast');
    const fill = () => {
      try {
        for (;;) appendFileSync(ballast, Buffer.alloc(4096));
      } catch (error) {
        expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
      }
    };
    const world = fakeContext({
      write: line => {
        lines.push(line);
        if (/"state":"[^"]*completeMirrors"/.test(line)) fill();
      },
    });
    const journal = join(small, 'journal.db');
    const copy = ['copy', '--qmp', listen, '--disk', 'disk0,to=/images/new.qcow2', '--strategy', 'complete'];
    const status = await runProgram([...copy, '--id', 's', '--json', '--journal', journal], world);
    const results = lines.map(line => JSON.parse(line)).filter(({ type }) => type === 'result');
    expect(results, lines.join('\n')).toMatchObject([
      { outcome: 'needsRecovery', error: { code: 'JOURNAL' } },
    ]);
    expect(status).toBe(3);
    expect(server.sim.world.running).toBe(true);

    rmSync(ballast);
    const again = fakeContext();
    expect(await runProgram(['resume', 's', '--force', '--json', '--journal', journal], again)).toBeOneOf([
      0, 1,
    ]);
    expect(again.out.filter(line => line.includes('"type":"result"'))).toHaveLength(1);
  });
});
