/** The command as a user runs it: a process on a real QEMU, judged by its output, its exit status and by QEMU. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { type GuestVm, type GuestVmOptions, startGuestVm } from '../../src/demo/guest-vm.ts';
import { connectWitness } from '../../src/demo/witness.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import {
  askCommand,
  buildCommand,
  parse,
  resultOf,
  runCommand,
  startCommand,
  tapMonitor,
} from './cli-process.ts';
import { SLOW_PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';

const SIZE_BYTES = 16 * 1024 * 1024;
/** What only asks: names of commands that a request which is refused may send. */
const QUERY = /^(qmp_capabilities|query-.*|x-debug-query-.*|qom-list|qom-get|qom-list-types)$/;

async function guest(options: Partial<GuestVmOptions> = {}): Promise<GuestVm> {
  const vm = await startGuestVm({ disks: 2, sizeBytes: SIZE_BYTES, pacingUs: SLOW_PACING_US, ...options });
  onTestFinished(() => vm[Symbol.asyncDispose]());
  return vm;
}

/** The files that QEMU has in front, by disk. */
async function fronts(vm: GuestVm): Promise<readonly string[]> {
  const blocks = (await vm.witness.execute('query-block')) as { inserted: { file: string } }[];
  return blocks.map(block => block.inserted.file);
}

async function jobs(vm: GuestVm): Promise<readonly unknown[]> {
  return (await vm.witness.execute('query-jobs')) as unknown[];
}

const copyBoth = (vm: GuestVm) => [
  ...['--disk', `dev0,to=${join(vm.directory, 'new0.qcow2')}`],
  ...['--disk', `disk1,to=${join(vm.directory, 'new1.raw')},raw`],
];

describeOnQemu('the command blocksaga', () => {
  beforeAll(buildCommand);

  test('copy --json tells the saga, its states and progress, and last the result; all disks are switched', async () => {
    const vm = await guest();
    const { status, out, err } = await runCommand(
      temporaryFolder(),
      ...['copy', '--qmp', vm.monitor, ...copyBoth(vm), '--vm', 'web', '--json'],
    );
    expect([status, err]).toEqual([0, '']);
    const lines = parse(out);
    expect(lines[0]).toEqual({ type: 'saga', id: expect.any(String), vm: 'web', operation: 'copy' });
    expect(new Set(lines.slice(1, -1).map(line => line.type))).toEqual(new Set(['event', 'progress']));
    expect(resultOf(out)).toMatchObject({
      saga: lines[0]?.type === 'saga' ? lines[0].id : '',
      operation: 'copy',
      outcome: 'committed',
      disks: [
        { disk: 'dev0', before: { node: 'disk0' }, after: { file: join(vm.directory, 'new0.qcow2') } },
        { disk: 'disk1', before: { node: 'disk1' }, after: { file: join(vm.directory, 'new1.raw') } },
      ],
      blackoutMs: expect.any(Number),
      error: null,
      leftovers: [],
    });
    expect(await fronts(vm)).toEqual([join(vm.directory, 'new0.qcow2'), join(vm.directory, 'new1.raw')]);
    await vm.awaitWrites(10);
  });

  test('a plan sends only queries, makes no file and no journal, and foretells the chains', async () => {
    const vm = await guest({ backing: true });
    const state = temporaryFolder();
    const foretells = async (...request: readonly string[]) => {
      const tap = await tapMonitor(vm.monitor);
      const files = readdirSync(vm.directory);
      const plan = await askCommand(state, ...request, '--qmp', tap.address, '--plan', '--json');
      expect([plan.status, plan.err, plan.out.length]).toEqual([0, '', 1]);
      expect(tap.commands.filter(name => !QUERY.test(name))).toEqual([]);
      expect(tap.commands).toContain('query-block');
      expect(readdirSync(vm.directory)).toEqual(files);
      const words = await askCommand(state, ...request, '--qmp', vm.monitor, '--plan');
      expect(words.out.join('\n')).toMatch(/nothing has been changed.*before:.*after:.*steps:/s);
      const foretold = (
        JSON.parse(plan.out[0] ?? '') as { disks: { after: { file: string; format: string }[] }[] }
      ).disks;

      const done = await runCommand(temporaryFolder(), ...request, '--qmp', vm.monitor, '--json');
      expect(done.status).toBe(0);
      const chains = (await askCommand(state, 'chain', '--qmp', vm.monitor, '--json')).out.map(
        line => JSON.parse(line) as { chain: { file: string; format: string }[] },
      );
      const shape = (chain: { file: string; format: string }[]) =>
        chain.map(({ file, format }) => `${file} ${format}`);
      expect(foretold.map(disk => shape(disk.after))).toEqual(chains.map(disk => shape(disk.chain)));
    };
    const file = (name: string) => join(vm.directory, name);
    await foretells(
      'snapshot',
      '--disk',
      `dev0,overlay=${file('s0')}`,
      '--disk',
      `dev1,overlay=${file('s1')}`,
    );
    await foretells('copy', '--disk', `dev0,to=${file('c0')},shallow`, '--disk', `dev1,to=${file('c1')}`);
    await foretells(
      'copy',
      '--disk',
      `dev0,to=${file('k0')}`,
      '--disk',
      `dev1,to=${file('k1')}`,
      '--finish',
      'clone',
    );
    expect(existsSync(join(state, 'blocksaga'))).toBe(false);
  });

  test('a request that cannot be is refused with status 2, and QEMU has seen only queries', async () => {
    const vm = await guest();
    const state = temporaryFolder();
    const file = (name: string) => join(vm.directory, name);
    writeFileSync(file('there'), '');
    const files = readdirSync(vm.directory);
    const to = (disk: string, name: string) => ['--disk', `${disk},to=${file(name)}`];
    const refusals: readonly (readonly [code: string, ...request: string[]])[] = [
      ['UNKNOWN_DISK', 'copy', ...to('vdz', 'a')],
      ['DISK_NAMED_TWICE', 'copy', ...to('dev0', 'a'), ...to('disk0', 'b')],
      ['TARGET_EXISTS', 'copy', ...to('dev0', 'there')],
      ['TARGET_EXISTS', 'snapshot', '--disk', `dev0,overlay=${file('there')}`],
      ['TARGET_MISSING', 'copy', '--disk', `dev0,to=${file('a')},reuse`],
      ['TARGET_IN_USE', 'copy', '--disk', `dev0,to=${file('disk1.qcow2')},reuse`],
      ['TARGET_NAMED_TWICE', 'copy', ...to('dev0', 'a'), ...to('dev1', 'a')],
      ['CAPABILITY_MISSING', 'copy', ...to('dev0', 'a'), '--strategy', 'reopen', '--without', 'throttle'],
      ['REQUEST_INVALID', 'copy', ...to('dev0', 'a'), '--without', 'throtle'],
      ['REQUEST_INVALID', 'copy', ...to('dev0', 'a'), '--granularity', '1000'],
      ['REQUEST_INVALID', 'copy', '--disk', `dev0,too=${file('a')}`],
      ['REQUEST_INVALID', 'copy', '--disk', 'dev0'],
      ['REQUEST_INVALID', 'copy', ...to('dev0', 'a'), '--bandwidth', 'fast'],
      ['REQUEST_INVALID', 'copy', ...to('dev0', 'a'), '--fast'],
    ];
    for (const [code, ...request] of refusals) {
      const tap = await tapMonitor(vm.monitor);
      const { status, out, err } = await askCommand(state, ...request, '--qmp', tap.address, '--json');
      expect([status, err, out.length], request.join(' ')).toEqual([2, '', 1]);
      expect(resultOf(out)).toMatchObject({
        saga: null,
        outcome: 'refused',
        operation: request[0],
        error: { code },
      });
      expect(tap.commands.filter(name => !QUERY.test(name))).toEqual([]);
    }
    expect(readdirSync(vm.directory)).toEqual(files);
    expect(await jobs(vm)).toEqual([]);
    expect((await askCommand(state, 'sagas', '--json')).out).toEqual([]);
  });

  test('SIGINT in the middle of a copy takes everything back, says so, and ends with status 1', async () => {
    const vm = await guest({ backing: true });
    const state = temporaryFolder();
    const before = await fronts(vm);
    const files = readdirSync(vm.directory);
    const running = startCommand(
      state,
      ...['copy', '--qmp', vm.monitor, ...copyBoth(vm), '--bandwidth', '64K', '--json'],
    );
    await running.line(line => line.includes('"status":"running"'));
    running.child.kill('SIGINT');
    expect(await running.status).toBe(1);
    expect(running.err.join()).toContain('interrupted: rolling back');
    expect(resultOf(running.out)).toMatchObject({
      outcome: 'rolledBack',
      error: { code: 'ABORTED' },
      leftovers: [],
    });
    expect(await fronts(vm)).toEqual(before);
    expect(await jobs(vm)).toEqual([]);
    expect(readdirSync(vm.directory)).toEqual(files);
    await vm.awaitWrites(10);
  });

  test('a second SIGINT leaves at once with status 3, and the journal has the saga open', async () => {
    const vm = await guest();
    const state = temporaryFolder();
    // The monitor is held still, so that the saga cannot have gone back before the second signal.
    const running = startCommand(state, 'copy', '--qmp', vm.monitor, ...copyBoth(vm), '--bandwidth', '64K');
    await running.line(line => line.includes('copying'));
    process.kill(vm.pid, 'SIGSTOP');
    running.child.kill('SIGINT');
    await expect.poll(() => running.err.join()).toContain('once more leaves at once');
    running.child.kill('SIGINT');
    expect(await running.status).toBe(3);
    process.kill(vm.pid, 'SIGCONT');
    const { out } = await askCommand(state, 'sagas', '--json', '--state', 'open');
    expect(out.map(line => JSON.parse(line) as object)).toMatchObject([
      { operation: 'copy', running: false },
    ]);
  });

  test.each(['copy', 'snapshot'])(
    'a %s to a directory that is not there is refused with status 2',
    async name => {
      const vm = await guest();
      const state = temporaryFolder();
      const into = `${name === 'copy' ? 'to' : 'overlay'}=${join(vm.directory, 'none', 'new')}`;
      const files = readdirSync(vm.directory);
      const { status, err } = await askCommand(state, name, '--qmp', vm.monitor, '--disk', `dev0,${into}`);
      expect([status, err]).toEqual([
        2,
        expect.stringContaining(`the directory ${join(vm.directory, 'none')} of`),
      ]);
      expect(readdirSync(vm.directory)).toEqual(files);
      expect((await askCommand(state, 'sagas', '--json')).out).toEqual([]);
    },
  );

  test('a failure in the middle ends with status 1 and says on which disk and why', async () => {
    const vm = await guest();
    const before = await fronts(vm);
    const request = [
      '--disk',
      `dev0,to=${join(vm.directory, 'new0')}`,
      '--disk',
      'dev1,to=/proc/new1', // a directory in which nothing can be made
    ];
    const { status, out } = await runCommand(temporaryFolder(), 'copy', '--qmp', vm.monitor, ...request);
    expect(status).toBe(1);
    expect(out.join('\n')).toMatch(/rolled back, no disk has changed/);
    expect(out.join('\n')).toMatch(/\/proc\/new1/);
    expect(await fronts(vm)).toEqual(before);
  });

  test('--finish leave ends at READY with status 0; jobs, sagas and show know whose the mirrors are', async () => {
    const vm = await guest();
    const state = temporaryFolder();
    const { status, out } = await runCommand(
      state,
      ...['copy', '--qmp', vm.monitor, ...copyBoth(vm), '--finish', 'leave', '--id', 'night', '--json'],
    );
    expect(status).toBe(0);
    expect(resultOf(out)).toMatchObject({ saga: 'night', outcome: 'ready', error: null });
    const listed = await askCommand(state, 'jobs', '--qmp', vm.monitor, '--json');
    expect(listed.out.map(line => JSON.parse(line) as object)).toMatchObject([
      { type: 'job', job: 'mirror', saga: 'night', disk: 'dev0' },
      { type: 'job', job: 'mirror', saga: 'night', disk: 'disk1' },
    ]);
    expect((await askCommand(state, 'jobs', '--qmp', vm.monitor)).out.join('\n')).toMatch(
      /mirror, ready, follows the guest, .*dev0 of saga night/,
    );
    expect((await askCommand(state, 'sagas')).out.join('\n')).toMatch(
      /^night: open \(waits at READY; its process has ended/,
    );
    const story = (await askCommand(state, 'show', 'night')).out.join('\n');
    expect(story).toMatch(/claim files: done.*mirror disks: done.*await signal: begun/s);
  });

  test('the same id twice is done once, and the second time tells the same result', async () => {
    const vm = await guest();
    const state = temporaryFolder();
    const request = [
      'snapshot',
      '--disk',
      `dev0,overlay=${join(vm.directory, 'snap0')}`,
      '--id',
      'once',
      '--json',
    ];
    const first = await runCommand(state, ...request, '--qmp', vm.monitor);
    const tap = await tapMonitor(vm.monitor);
    const second = await askCommand(state, ...request, '--qmp', tap.address);
    expect([first.status, second.status]).toEqual([0, 0]);
    expect(resultOf(second.out)).toEqual(resultOf(first.out));
    expect(tap.commands).toEqual([]);
    const other = await askCommand(state, ...request, '--qmp', vm.monitor, '--atomic');
    expect(other.status).toBe(2);
    expect(resultOf(other.out).error?.code).toBe('ID_CONFLICT');
  });

  test('a monitor that serves another client is refused in one line that says what to do', async () => {
    const vm = await guest({ guest: 'idle' });
    const other = await connectWitness(vm.monitor);
    onTestFinished(() => other.close());
    const { status, out, err } = await runCommand(temporaryFolder(), 'chain', '--qmp', vm.monitor);
    expect([status, out]).toEqual([2, []]);
    expect(err.split('\n')).toHaveLength(1);
    expect(err).toMatch(/one client at a time/);
  });

  test('a reader that goes away does not stop the saga', async () => {
    const vm = await guest();
    const running = startCommand(temporaryFolder(), 'copy', '--qmp', vm.monitor, ...copyBoth(vm), '--json');
    await running.line(line => line.includes('"type":"saga"'));
    running.child.stdout?.destroy();
    expect(await running.status).toBe(0);
    expect(running.err).toEqual([]);
    expect(await fronts(vm)).toEqual([join(vm.directory, 'new0.qcow2'), join(vm.directory, 'new1.raw')]);
  });
});
