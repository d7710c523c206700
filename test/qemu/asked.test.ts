/**
 * What one process asks of a saga that another one runs, on a real QEMU: the monitor is held by the one that runs it all
 * the while.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { createEngine, openJournal } from '../../src/index.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { askCommand, buildCommand, resultOf, runCommand, startCommand } from './cli-process.ts';
import { SLOW_PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';

/** With so much below its disks that a slow copy lasts longer than any command takes to start. */
async function guest(): Promise<GuestVm> {
  const vm = await startGuestVm({
    disks: 2,
    sizeBytes: 8 * 1024 * 1024,
    backing: true,
    pacingUs: SLOW_PACING_US,
    directory: temporaryFolder(),
  });
  onTestFinished(() => vm[Symbol.asyncDispose]());
  await vm.awaitWrites(8);
  return vm;
}

const disksOf = (vm: GuestVm) =>
  vm.disks.flatMap((_, index) => ['--disk', `dev${index},to=${newFile(vm, index)}`]);
const newFile = (vm: GuestVm, index: number) => join(vm.directory, `new${index}.qcow2`);
const isCopying = (line: string) => line.includes('"progress"') && line.includes('"running"');

async function speeds(vm: GuestVm): Promise<readonly number[]> {
  const jobs = (await vm.witness.execute('query-block-jobs')) as readonly { readonly speed: number }[];
  return jobs.map(job => job.speed).sort((one, other) => one - other);
}

describeOnQemu('a saga that another process runs', () => {
  beforeAll(buildCommand);

  test('is slowed down and sped up, and taken back, while its process holds the monitor', async () => {
    const vm = await guest();
    const state = temporaryFolder();
    const request = ['--qmp', vm.monitor, ...disksOf(vm), '--bandwidth', '16K', '--id', 'night', '--json'];
    const running = startCommand(state, 'copy', ...request);
    await running.line(isCopying);
    expect(await askCommand(state, 'set-speed', 'night', '32K')).toMatchObject({
      status: 0,
      out: ['saga night: 32.0 KiB/s at most, for each disk'],
    });
    expect(await speeds(vm)).toEqual([32 * 1024, 32 * 1024]);
    const asked = await runCommand(state, 'abort', 'night', '--json');
    expect([asked.status, resultOf(asked.out).outcome]).toEqual([0, 'rolledBack']);
    expect(await running.status).toBe(1);
    expect(resultOf(running.out).error?.code).toBe('ABORTED');
    expect([0, 1].map(index => existsSync(newFile(vm, index)))).toEqual([false, false]);
    expect((await askCommand(state, 'set-speed', 'night', '1M')).status).toBe(2);
    const shown = (await askCommand(state, 'show', 'night')).out.join('\n');
    expect(shown).toMatch(/asked to copy 32\.0 KiB\/s at most, from elsewhere.*heard what was asked/s);
    await vm.awaitWrites(8);
  });

  test('is only asked with --no-wait', async () => {
    const vm = await guest();
    const state = temporaryFolder();
    const request = ['--qmp', vm.monitor, ...disksOf(vm), '--bandwidth', '64K', '--id', 'night', '--json'];
    const running = startCommand(state, 'copy', ...request);
    await running.line(isCopying);
    const asked = await askCommand(state, 'abort', 'night', '--no-wait', '--json');
    expect([asked.status, asked.out]).toEqual([0, ['{"type":"asked","saga":"night","signal":"abort"}']]);
    expect(await running.status).toBe(1);
  });

  test('is switched when it waits at READY in a process that lives', async () => {
    const vm = await guest();
    const state = temporaryFolder();
    const journal = openJournal(join(state, 'blocksaga', 'journal.db'));
    onTestFinished(() => journal.close());
    const saga = await createEngine({ journal }).copy({
      qmp: vm.monitor,
      id: 'night',
      disks: vm.disks.map(({ device }, index) => ({ disk: device, to: newFile(vm, index) })),
      finish: 'leave',
    });
    expect((await saga.result).outcome).toBe('ready');
    const asked = await runCommand(state, 'pivot', 'night', '--json');
    expect([asked.status, resultOf(asked.out).outcome]).toEqual([0, 'committed']);
    expect((await saga.ended).outcome).toBe('committed');
    const { disks } = resultOf(asked.out);
    expect(disks.map(disk => disk.after?.file)).toEqual([newFile(vm, 0), newFile(vm, 1)]);
  });

  test('whose process has ended keeps the speed that its QEMU is told', async () => {
    const vm = await guest();
    const state = temporaryFolder();
    const request = ['--qmp', vm.monitor, ...disksOf(vm), '--finish', 'leave', '--id', 'night'];
    expect((await runCommand(state, 'copy', ...request)).status).toBe(0);
    expect((await askCommand(state, 'set-speed', 'night', '1M')).status).toBe(0);
    expect(await speeds(vm)).toEqual([2 ** 20, 2 ** 20]);
    const { out } = await askCommand(state, 'jobs', '--qmp', vm.monitor, '--json');
    const jobs = out.map(
      line => JSON.parse(line) as { id: string; speedBytesPerSecond: number; saga: string },
    );
    expect(jobs).toMatchObject([{ saga: 'night', speedBytesPerSecond: 2 ** 20 }, { saga: 'night' }]);
    expect(jobs[0]).toMatchObject({ status: 'ready', ready: true, dirtyBytes: expect.any(Number) });
    const watching = startCommand(state, 'jobs', '--qmp', vm.monitor, '--watch', '200');
    await watching.line(line => /ready, follows the guest, .*(behind|nothing is left)/.test(line));
    const seen = watching.out.length;
    await watching.line(() => watching.out.length >= seen + 2);
    watching.child.kill('SIGINT');
    expect(await watching.status).toBe(0);
    const [first] = jobs;
    const one = ['set-speed', '--qmp', vm.monitor, '--job', first?.id ?? '', '3M'];
    expect((await askCommand(state, ...one)).status).toBe(0);
    expect(await speeds(vm)).toEqual([2 ** 20, 3 * 2 ** 20]);
    expect((await askCommand(state, ...one.with(4, 'no-such-job'))).err).toMatch(/no job "no-such-job"/);
    expect((await askCommand(state, 'abort', 'night')).status).toBe(0);
  });
});
