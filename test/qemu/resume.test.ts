/** Sagas whose process has ended, gone on with by another one, as a user would: real QEMU, real processes, SIGKILL. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { buildCommand, resultOf, runCommand, startCommand } from './cli-process.ts';
import { describeOnQemu } from './real-qemu.ts';

async function guest(): Promise<GuestVm> {
  const vm = await startGuestVm({ disks: 2, sizeBytes: 16 * 1024 * 1024, pacingUs: 2_000 });
  onTestFinished(() => vm[Symbol.asyncDispose]());
  return vm;
}

const newFile = (vm: GuestVm, index: number) => join(vm.directory, `new${index}.qcow2`);
const copyBoth = (vm: GuestVm) => [0, 1].flatMap(index => ['--disk', `dev${index},to=${newFile(vm, index)}`]);

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
  beforeAll(buildCommand);

  test('a copy left at READY is switched by pivot, and one by abort taken back', async () => {
    const vm = await guest();
    const state = temporaryFolder();
    const before = await fronts(vm);
    const files = readdirSync(vm.directory);
    const heard = join(temporaryFolder(), 'heard');
    const script = join(temporaryFolder(), 'tell.sh');
    writeFileSync(script, '#!/bin/sh\ncat >> "$1"\n', { mode: 0o700 });
    const tell = ['--on-commit', script, '--on-commit-arg', heard];
    const leave = (id: string) =>
      runCommand(
        state,
        'copy',
        '--qmp',
        vm.monitor,
        ...copyBoth(vm),
        '--finish',
        'leave',
        '--id',
        id,
        ...tell,
      );

    const first = await leave('first');
    expect([first.status, first.out.at(-1)]).toEqual([0, expect.stringMatching(/blocksaga pivot first/)]);
    const aborted = await runCommand(state, 'abort', 'first', '--json');
    expect(aborted.status).toBe(0);
    expect(resultOf(aborted.out)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect([await fronts(vm), await traces(vm), readdirSync(vm.directory)]).toEqual([before, [], files]);

    expect((await leave('second')).status).toBe(0);
    const waiting = await runCommand(state, 'resume', 'second', '--json');
    expect([waiting.status, resultOf(waiting.out).outcome]).toEqual([0, 'ready']);
    const pivoted = await runCommand(state, 'pivot', 'second', '--json');
    expect([pivoted.status, resultOf(pivoted.out).outcome]).toEqual([0, 'committed']);
    expect([await fronts(vm), await traces(vm)]).toEqual([[newFile(vm, 0), newFile(vm, 1)], []]);
    expect(JSON.parse(readFileSync(heard, 'utf8'))).toMatchObject({
      saga: 'second',
      disks: [{ file: newFile(vm, 0) }, { file: newFile(vm, 1), before: { file: vm.disks[1]?.file } }],
    });
    const late = await runCommand(state, 'abort', 'second');
    expect([late.status, late.err]).toEqual([2, expect.stringMatching(/has ended \(committed\)/)]);
    await vm.awaitWrites(10);
  });

  test('one that a living process runs is refused with its pid; after a SIGKILL, resume --all ends it', async () => {
    const vm = await guest();
    const state = temporaryFolder();
    const copy = ['copy', '--qmp', vm.monitor, ...copyBoth(vm), '--bandwidth', '256K', '--id', 'night'];
    const running = startCommand(state, ...copy, '--json');
    await running.line(line => line.includes('"status":"running"'));
    const refused = await runCommand(state, 'resume', 'night');
    expect(refused.status).toBe(2);
    expect(refused.err).toContain(`process ${running.child.pid} is running`);
    const nothing = await runCommand(state, 'resume', '--all');
    expect([nothing.status, nothing.out]).toEqual([0, ['no saga to go on with']]);

    running.child.kill('SIGKILL');
    await running.status;
    for (const { id } of (await vm.witness.execute('query-jobs')) as { id: string }[]) {
      await vm.witness.execute('block-job-set-speed', { device: id, speed: 0 });
    }
    const resumed = await runCommand(state, 'resume', '--all', '--json');
    expect([resumed.status, resultOf(resumed.out)]).toEqual([
      0,
      expect.objectContaining({ saga: 'night', outcome: 'committed', leftovers: [] }),
    ]);
    expect([await fronts(vm), await traces(vm)]).toEqual([[newFile(vm, 0), newFile(vm, 1)], []]);
    await vm.awaitWrites(10);
  });

  test('one whose QEMU is gone needs recovery still, with what to do next', async () => {
    const vm = await guest();
    const state = temporaryFolder();
    const copy = ['copy', '--qmp', vm.monitor, ...copyBoth(vm), '--finish', 'leave', '--id', 'gone'];
    expect((await runCommand(state, ...copy)).status).toBe(0);
    await vm.kill();
    const { status, out } = await runCommand(state, 'resume', '--all');
    expect(status).toBe(3);
    expect(out.join('\n')).toMatch(/gone: needs recovery.*resume --offline gone/s);
  });
});
