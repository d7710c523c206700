/** Programs that are told of new disks: in time, with what they were given, and ended with all that they have begun. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { endPrograms, runProgram } from '../../src/engine/connection/run-program.ts';
import { systemClock } from '../../src/qmp/clock.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';

function script(text: string): { readonly program: string; readonly folder: string } {
  const folder = temporaryFolder();
  const program = join(folder, 'told.sh');
  writeFileSync(program, `#!/bin/sh\ncd "$(dirname "$0")"\n${text}\n`);
  chmodSync(program, 0o755);
  return { program, folder };
}

/** Hangs, deaf to SIGTERM, with a process of its own that hangs too; the numbers of both are in `pids`. */
const HANGS = `trap '' TERM; sleep 600 & echo $$ $! > pids.new; mv pids.new pids; while :; do sleep 1; done`;

function pidsIn(folder: string): readonly number[] {
  return readFileSync(join(folder, 'pids'), 'utf8').trim().split(' ').map(Number);
}

/** Not so for a zombie, which no parent has waited for. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

describe('a program that hangs', () => {
  test('is ended with all that it has begun when its time is over', async () => {
    const { program, folder } = script(HANGS);
    await expect(
      runProgram({ program, arguments: [], timeoutMs: 3_000 }, '{}', systemClock),
    ).rejects.toMatchObject({
      code: 'PUBLISH',
      message: expect.stringContaining('within 3000 ms'),
    });
    await expect.poll(() => pidsIn(folder).filter(isAlive)).toEqual([]);
  });

  test('is ended when this process must end', async () => {
    const { program, folder } = script(HANGS);
    const ended = runProgram({ program, arguments: [] }, '{}', systemClock).catch((error: unknown) => error);
    await expect.poll(() => existsSync(join(folder, 'pids'))).toBe(true);
    await endPrograms(systemClock);
    expect(await ended).toMatchObject({ code: 'PUBLISH' });
    await expect.poll(() => pidsIn(folder).filter(isAlive)).toEqual([]);
  });

  test('is not in our process group, so that Ctrl-C is ours alone', async () => {
    const { program, folder } = script(`cut -d' ' -f5 /proc/$$/stat > group; echo $$ > pid`);
    await runProgram({ program, arguments: [] }, '{}', systemClock);
    expect(readFileSync(join(folder, 'group'), 'utf8')).toBe(readFileSync(join(folder, 'pid'), 'utf8'));
  });
});

describe('what a program is given', () => {
  test('is the environment, of which a name that is not set is said before it is run', async () => {
    const { program, folder } = script(`cat > line; printf %s "$TOLD_SECRET" > secret`);
    const told = { program, arguments: [], environment: ['TOLD_SECRET'] };
    await expect(runProgram(told, '{}', systemClock)).rejects.toMatchObject({
      code: 'PUBLISH',
      message: expect.stringContaining('TOLD_SECRET'),
    });
    expect(existsSync(join(folder, 'secret'))).toBe(false);
    process.env['TOLD_SECRET'] = 'hush';
    onTestFinished(() => void delete process.env['TOLD_SECRET']);
    await runProgram(told, '{"saga":"s"}', systemClock);
    expect(readFileSync(join(folder, 'secret'), 'utf8')).toBe('hush');
    expect(readFileSync(join(folder, 'line'), 'utf8')).toBe('{"saga":"s"}\n');
  });
});
