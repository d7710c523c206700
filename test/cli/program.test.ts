import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { copyRequest } from '../../src/cli/commands/copy.ts';
import { snapshotRequest } from '../../src/cli/commands/snapshot.ts';
import { runProgram } from '../../src/cli/program.ts';
import { listen, temporaryFolder } from '../qmp/socket-folder.ts';
import { fakeContext } from './fake-context.ts';

const COMMANDS = [
  'snapshot',
  'copy',
  'pull',
  'commit',
  'revert',
  'resume',
  'pivot',
  'abort',
  'chain',
  'jobs',
  'sagas',
  'show',
  'inspect',
  'doctor',
  'agent',
  'fleet',
  'machines',
  'demo',
  'sim',
  'fuzz',
  'completion',
  'man',
];

/** Runs one command line with a state directory of its own. */
async function run(...args: readonly string[]) {
  const context = fakeContext({ env: { XDG_STATE_HOME: temporaryFolder() } });
  const status = await runProgram(args, context);
  return { status, out: context.out.join('\n'), err: context.err.join('\n') };
}

describe('the command line', () => {
  test('names every command that there is, and none that is not', async () => {
    const { status, out } = await run('--help');
    expect(status).toBe(0);
    const listed = [...out.matchAll(/^ {2}(\w+) (?:\[|<| ).*$/gm)].map(match => match[1]);
    expect(listed).toEqual([...COMMANDS, 'help']);
  });

  test.each(COMMANDS)('%s --help has two or more examples of itself', async name => {
    const { status, out } = await run(name, '--help');
    expect(status).toBe(0);
    expect(out.match(new RegExp(`\\$ blocksaga ${name}\\b`, 'g'))?.length).toBeGreaterThanOrEqual(2);
  });

  test('tells its version', async () => {
    expect(await run('--version')).toMatchObject({
      status: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    });
  });

  test.each([
    ['an unknown command', ['snapshott'], /unknown command.*Did you mean snapshot\?/],
    [
      'an unknown option',
      ['chain', '--qmp', '/x', '--deep'],
      /unknown option '--deep'.*blocksaga chain --help/,
    ],
    ['a missing option', ['copy', '--disk', 'a,to=/b'], /'--qmp <address>' not specified/],
    ['a missing disk', ['copy', '--qmp', '/x'], /'--disk <disk>' not specified/],
    ['a missing socket', ['chain', '--qmp', '/no/such.qmp'], /ENOENT.*is QEMU running/],
    ['a monitor of another host', ['chain', '--qmp', '10.0.0.1:4444'], /another host/],
    ['an unknown saga', ['show', 'nope'], /no saga nope.*blocksaga sagas/],
  ])('refuses %s in one line with status 2', async (_what, args, words) => {
    const { status, out, err } = await run(...args);
    expect([status, out]).toEqual([2, '']);
    expect(err).toMatch(words);
    expect(err.split('\n')).toHaveLength(1);
  });

  test.each([
    ['snapshott', ['snapshott', '--json'], null],
    ['copy', ['copy', '--json'], 'copy'],
    ['chain', ['chain', '--qmp', '/no/such.qmp', '--json'], 'chain'],
  ])('with --json a refusal of %s is one result line on standard output', async (_what, args, operation) => {
    const { status, out, err } = await run(...args);
    expect([status, err]).toEqual([2, '']);
    expect(JSON.parse(out)).toMatchObject({
      type: 'result',
      saga: null,
      operation,
      outcome: 'refused',
      disks: [],
      error: { code: expect.any(String), message: expect.any(String) },
    });
  });

  test('says what to do about a journal that is damaged, and leaves it as it is', async () => {
    const journal = join(temporaryFolder(), 'journal.db');
    writeFileSync(journal, 'this is no journal'.repeat(1000));
    for (const args of [['sagas'], ['show', 'x'], ['copy', '--qmp', '/x', '--disk', 'a,to=/b']]) {
      const { status, err } = await run(...args, '--journal', journal);
      expect(status).toBe(2);
      expect(err).toMatch(/not a journal of blocksaga.*--journal/);
    }
  });

  test('a journal that is not there is empty, and looking does not make it', async () => {
    const state = temporaryFolder();
    const context = fakeContext({ env: { XDG_STATE_HOME: state } });
    expect(await runProgram(['sagas'], context)).toBe(0);
    const file = join(state, 'blocksaga', 'journal.db');
    expect(context.out).toEqual([`no sagas: there is no journal ${file}`]);
    expect(readdirSync(state)).toEqual([]);
  });

  test('an error that is none of ours is a bug: its stack and status 70', async () => {
    const context = fakeContext({
      write: () => {
        throw new TypeError('broken');
      },
    });
    expect(await runProgram(['machines'], context)).toBe(70);
    expect(context.err.join('\n')).toMatch(/TypeError: broken\n\s+at .*This is a bug/s);
  });
});

test('an uncaught error ends the process with status 70, never with 1, which would say "rolled back"', async () => {
  const silent = await listen(() => undefined);
  const bomb = 'data:text/javascript,setTimeout(() => { Promise.reject(new Error("boom")); }, 500)';
  const main = join(import.meta.dirname, '../../src/cli/main.ts');
  const child = spawn(process.execPath, ['--import', bomb, main, 'chain', '--qmp', silent]);
  const said: string[] = [];
  child.stderr.setEncoding('utf8').on('data', text => said.push(text));
  expect((await once(child, 'close'))[0]).toBe(70);
  expect(said.join('')).toMatch(/Error: boom.*This is a bug/s);
});

describe('the request that options make', () => {
  const context = fakeContext({ directory: '/desk' });

  test('of a copy, with every option', () => {
    const request = copyRequest(
      {
        qmp: 'vm.qmp',
        disk: ['disk0,to=a,,b.raw,raw', 'disk1,to=/dev/vg/b,reuse,shallow,format=qcow2'],
        finish: 'clone',
        strategy: 'finalize',
        parallel: 3,
        bandwidth: 1,
        granularity: 2,
        bufSize: 4,
        syncWrites: true,
        maxBlackout: 5,
        id: 'x',
        vm: 'web',
        without: ['throttle'],
      },
      context,
    );
    expect(request).toEqual({
      qmp: '/desk/vm.qmp',
      disks: [
        { disk: 'disk0', to: '/desk/a,b.raw', raw: true },
        { disk: 'disk1', to: '/dev/vg/b', reuse: true, shallow: true, format: 'qcow2' },
      ],
      finish: 'clone',
      strategy: 'finalize',
      parallel: 3,
      bandwidth: 1,
      granularity: 2,
      bufSize: 4,
      syncWrites: true,
      maxBlackoutMs: 5,
      id: 'x',
      vm: 'web',
      without: ['throttle'],
    });
  });

  test('of a snapshot, with every option', () => {
    const request = snapshotRequest(
      { qmp: '/vm', disk: ['d,overlay=o,format=qcow2,reuse'], atomic: false, quiesce: 'vm.qga' },
      context,
    );
    expect(request).toEqual({
      qmp: '/vm',
      disks: [{ disk: 'd', overlay: '/desk/o', format: 'qcow2', reuse: true }],
      atomic: false,
      quiesce: '/desk/vm.qga',
    });
  });

  test('has only what was said', () => {
    expect(copyRequest({ qmp: '/vm', disk: ['d,to=/t'] }, context)).toEqual({
      qmp: '/vm',
      disks: [{ disk: 'd', to: '/t' }],
    });
  });

  test.each([
    ['d', 'to=FILE is missing'],
    ['d,format=raw', 'to=FILE is missing'],
    ['d,to=/t,format=vmdk', 'one of qcow2, raw'],
  ])('of a copy is refused for --disk %s', (disk, why) => {
    expect(() => copyRequest({ qmp: '/vm', disk: [disk] }, context)).toThrow(why);
  });
});
