/** Sagas whose process has ended, gone on with by another one, as a user would: real QEMU, real processes, SIGKILL. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { fakeContext } from '../cli/fake-context.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { cancelJobOf } from './cancel-job.ts';
import { askCommand, buildCommand, resultOf, runCommand, startCommand } from './cli-process.ts';
import { SLOW_PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';

const newFile = (vm: GuestVm, id: string, index: number) => join(vm.directory, `${id}${index}.qcow2`);
const newFiles = (vm: GuestVm, id: string) => [newFile(vm, id, 0), newFile(vm, id, 1)];
const copyBoth = (vm: GuestVm, id: string) => [
  ...['copy', '--qmp', vm.monitor, '--id', id],
  ...newFiles(vm, id).flatMap((file, index) => ['--disk', `dev${index},to=${file}`]),
];

/** A command that only looks, without a process of its own. */
async function look(state: string, ...args: readonly string[]) {
  const context = fakeContext({ env: { XDG_STATE_HOME: state } });
  const status = await runProgram(args, context);
  return { status, out: context.out.join('\n') };
}

async function fronts(vm: GuestVm): Promise<readonly string[]> {
  const blocks = (await vm.witness.execute('query-block')) as { inserted: { file: string } }[];
  return blocks.map(block => block.inserted.file);
}

/** What of a saga QEMU still knows: jobs, throttle groups, and nodes that no disk uses. */
async function traces(vm: GuestVm): Promise<readonly string[]> {
  const jobs = (await vm.witness.execute('query-jobs')) as { id: string }[];
  const objects = (await vm.witness.execute('qom-list', { path: '/objects' })) as { name: string }[];
  const nodes = (await vm.witness.execute('query-named-block-nodes', { flat: true })) as {
    'node-name': string;
    file: string;
  }[];
  const shown = await fronts(vm);
  return [
    ...jobs.map(job => job.id),
    ...objects.map(object => object.name).filter(name => name.startsWith('bs-')),
    ...nodes.filter(node => !shown.includes(node.file)).map(node => node['node-name']),
  ];
}

describeOnQemu('a saga in another process', () => {
  let vm: GuestVm;
  beforeAll(async () => {
    buildCommand();
    vm = await startGuestVm({ disks: 2, sizeBytes: 8 * 1024 * 1024, pacingUs: SLOW_PACING_US });
  });
  afterAll(() => vm?.[Symbol.asyncDispose]());

  test('a copy left at READY is switched by pivot, and one by abort taken back', async () => {
    const state = temporaryFolder();
    const before = await fronts(vm);
    const files = readdirSync(vm.directory);
    const heard = join(temporaryFolder(), 'heard');
    const script = join(temporaryFolder(), 'tell.sh');
    writeFileSync(script, '#!/bin/sh\ncat >> "$1"\n', { mode: 0o700 });
    const tell = ['--on-commit', script, '--on-commit-arg', heard];
    const leave = (id: string) => runCommand(state, ...copyBoth(vm, id), '--finish', 'leave', ...tell);

    const first = await leave('first');
    expect([first.status, ...first.out.slice(-4)]).toEqual([
      0,
      '  it waits',
      '  Switch all disks: blocksaga pivot first',
      '  Keep the copies beside the disks: blocksaga abort first --keep-copies',
      '  Roll it back: blocksaga abort first',
    ]);
    const aborted = await askCommand(state, 'abort', 'first', '--json');
    expect(aborted.status).toBe(0);
    expect(resultOf(aborted.out)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect([await fronts(vm), await traces(vm), readdirSync(vm.directory)]).toEqual([before, [], files]);

    expect((await leave('second')).status).toBe(0);
    const pivoted = await askCommand(state, 'pivot', 'second', '--json');
    expect([pivoted.status, resultOf(pivoted.out).outcome]).toEqual([0, 'committed']);
    expect([await fronts(vm), await traces(vm)]).toEqual([newFiles(vm, 'second'), []]);
    expect(JSON.parse(readFileSync(heard, 'utf8'))).toMatchObject({
      saga: 'second',
      disks: [
        { file: newFile(vm, 'second', 0) },
        { file: newFile(vm, 'second', 1), before: { file: before[1] } },
      ],
    });
    await vm.awaitWrites(10);
  });

  test('one that a living process runs is refused with its pid; after a SIGKILL, resume --all ends it', async () => {
    const state = temporaryFolder();
    const running = startCommand(state, ...copyBoth(vm, 'night'), '--bandwidth', '16K', '--json');
    await running.line(line => line.includes('"status":"running"'));
    const refused = await askCommand(state, 'resume', 'night');
    expect(refused.status).toBe(2);
    expect(refused.err).toContain(`process ${running.child.pid} is running`);

    expect(await look(state, 'resume', '--all')).toEqual({ status: 0, out: 'no saga to resume' });

    running.child.kill('SIGKILL');
    await running.status;
    for (const { id } of (await vm.witness.execute('query-jobs')) as { id: string }[]) {
      await vm.witness.execute('block-job-set-speed', { device: id, speed: 0 });
    }
    const resumed = await askCommand(state, 'resume', '--all', '--json');
    expect([resumed.status, resultOf(resumed.out)]).toEqual([
      0,
      expect.objectContaining({ saga: 'night', outcome: 'committed', leftovers: [] }),
    ]);
    expect([await fronts(vm), await traces(vm)]).toEqual([newFiles(vm, 'night'), []]);
    await vm.awaitWrites(10);
  });

  test('one that waits at READY and whose mirror fails is told by show and doctor, and taken back by pivot', async () => {
    const state = temporaryFolder();
    const before = await fronts(vm);
    expect((await runCommand(state, ...copyBoth(vm, 'left'), '--finish', 'leave')).status).toBe(0);
    expect((await look(state, 'sagas')).out).toMatch(/left: open \(waits at READY.*blocksaga show left/);
    expect((await look(state, 'show', 'left')).out).toContain('its mirrors follow the guest');
    await cancelJobOf({ vm }, 1);
    const failed = /cannot be switched any more: .*dev1 failed/;
    await expect.poll(async () => (await look(state, 'show', 'left')).out).toMatch(failed);
    expect((await look(state, 'doctor', '--qmp', vm.monitor)).out).toMatch(failed);

    const pivoted = await askCommand(state, 'pivot', 'left');
    expect([pivoted.status, pivoted.out.join('\n')]).toEqual([
      1,
      expect.stringMatching(/rolled back.*dev1 failed.*\(JOB_FAILED\)/s),
    ]);
    expect([await fronts(vm), await traces(vm)]).toEqual([before, []]);
    expect((await look(state, 'sagas')).out).toMatch(
      /^left: rolledBack \(the blockdev-mirror job of disk dev1 failed/,
    );
    const again = await askCommand(state, 'pivot', 'left');
    expect([again.status, again.err]).toEqual([2, expect.stringMatching(/rolledBack: .*dev1 failed/)]);
  });

  test('one whose QEMU is gone needs recovery still, with what to do next', async () => {
    const state = temporaryFolder();
    expect((await runCommand(state, ...copyBoth(vm, 'gone'), '--finish', 'leave')).status).toBe(0);
    await vm.kill();
    const next = /QEMU cannot be asked about its mirrors.*resume --offline gone/;
    expect((await look(state, 'show', 'gone')).out).toMatch(next);
    expect(await look(state, 'doctor', '--qmp', vm.monitor)).toMatchObject({
      status: 3,
      out: expect.stringMatching(/could not be looked at.*ECONNREFUSED.*saga gone: .*waits at READY/s),
    });
    const { status, out } = await askCommand(state, 'resume', '--all');
    expect(status).toBe(3);
    expect(out.join('\n')).toMatch(/gone: needs recovery.*resume --offline gone/s);
  });
});
