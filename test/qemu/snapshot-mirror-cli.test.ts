/** Snapshots with mirrors on the command line, each command a process of its own: SIGKILL, resume, the three ways to end, and a dead QEMU. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { checkCut, missingWrites, readCut } from '../../src/demo/ordered-cut.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { type ShownBlock, shownImages } from '../rows/sim-stage.ts';
import { often } from '../tiers/tier.ts';
import { askCommand, buildCommand, resultOf, runCommand, startCommand } from './cli-process.ts';
import { SLOW_PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';

const files = (vm: GuestVm, stem: string) => [0, 1].map(index => join(vm.directory, `${stem}${index}.qcow2`));
const command = (vm: GuestVm, id: string) => [
  ...['snapshot', '--qmp', vm.monitor, '--id', id],
  ...[0, 1].flatMap(index => [
    '--disk',
    `dev${index},overlay=${files(vm, `${id}-snap`)[index]},mirror=${files(vm, `${id}-mirror`)[index]}`,
  ]),
];

async function fronts(vm: GuestVm): Promise<readonly string[]> {
  const blocks = (await vm.witness.execute('query-block')) as { inserted: { file: string } }[];
  return blocks.map(block => block.inserted.file);
}

/** The images in front below the filters of a saga that waits. */
async function frontsBelow(vm: GuestVm): Promise<readonly string[]> {
  const blocks = (await vm.witness.execute('query-block')) as readonly ShownBlock[];
  return blocks.map(block => shownImages(block, 'filterOfSaga')[0] ?? '');
}

describeOnQemu('a snapshot with mirrors, command by command', () => {
  test('is kept, taken back, or switched by other processes, also after a SIGKILL', async () => {
    buildCommand();
    await using vm = await startGuestVm({ disks: 2, sizeBytes: 8 * 1024 * 1024, pacingUs: SLOW_PACING_US });
    const state = temporaryFolder();
    const bases = await fronts(vm);
    const before = readdirSync(vm.directory);

    const taken = await runCommand(state, ...command(vm, 'a'));
    expect([taken.status, taken.out.join('\n')]).toEqual([
      0,
      expect.stringMatching(/snapshot is taken and its 2 mirrors follow.*blocksaga abort a --keep-snapshot/s),
    ]);
    expect(await frontsBelow(vm)).toEqual(files(vm, 'a-snap'));
    const shown = await askCommand(state, 'show', 'a');
    expect(shown.out.join('\n')).toContain('"blocksaga abort a --keep-snapshot" does without them');
    const aborted = await askCommand(state, 'abort', 'a', '--json');
    expect([aborted.status, resultOf(aborted.out)]).toEqual([
      0,
      expect.objectContaining({ outcome: 'rolledBack', leftovers: [] }),
    ]);
    expect([await fronts(vm), readdirSync(vm.directory)]).toEqual([bases, before]);

    const running = startCommand(state, ...command(vm, 'b'), '--bandwidth', '64K', '--json');
    // A guest that rests may have written nothing yet, so that there is nothing to copy.
    await running.line(line => line.includes('"type":"progress"'));
    running.child.kill('SIGKILL');
    await running.status;
    expect(await frontsBelow(vm)).toEqual(files(vm, 'b-snap'));
    for (const { id } of (await vm.witness.execute('query-jobs')) as { id: string }[]) {
      await vm.witness.execute('block-job-set-speed', { device: id, speed: 0 });
    }
    const resumed = await askCommand(state, 'resume', 'b', '--json');
    expect([resumed.status, resultOf(resumed.out).outcome]).toEqual([0, 'ready']);
    const kept = await askCommand(state, 'abort', 'b', '--keep-snapshot', '--json');
    expect([kept.status, resultOf(kept.out)]).toEqual([
      0,
      expect.objectContaining({ outcome: 'committed', error: null, leftovers: [] }),
    ]);
    expect(await fronts(vm)).toEqual(files(vm, 'b-snap'));
    expect((await askCommand(state, 'pivot', 'b')).status).toBe(2);

    expect((await runCommand(state, ...command(vm, 'c'))).status).toBe(0);
    const pivoted = await askCommand(state, 'pivot', 'c', '--json');
    expect([pivoted.status, resultOf(pivoted.out)]).toEqual([
      0,
      expect.objectContaining({ outcome: 'committed', error: null, leftovers: files(vm, 'c-snap') }),
    ]);
    expect(await fronts(vm)).toEqual(files(vm, 'c-mirror'));
    await vm.awaitWrites(often(4, 10));
  });

  test('boots from the overlays when its QEMU was killed while it was mirrored', async () => {
    buildCommand();
    await using vm = await startGuestVm({ disks: 2, sizeBytes: 8 * 1024 * 1024, pacingUs: SLOW_PACING_US });
    const state = temporaryFolder();
    expect((await runCommand(state, ...command(vm, 'd'))).status).toBe(0);
    await vm.awaitWrites(often(4, 20));
    await vm.kill();
    const acknowledged = vm.acknowledged();
    const { status, out } = await askCommand(state, 'resume', '--offline', 'd', '--json');
    const result = resultOf(out);
    expect([status, result]).toEqual([
      0,
      expect.objectContaining({ outcome: 'committed', leftovers: [], why: expect.stringMatching(/mirrors/) }),
    ]);
    expect(result.boot?.map(({ file }) => file)).toEqual(files(vm, 'd-snap'));
    expect(readdirSync(vm.directory).filter(name => name.includes('mirror'))).toEqual([]);
    const front = await readCut(files(vm, 'd-snap').map(file => ({ file, format: 'qcow2' })));
    const verdict = checkCut(front);
    expect(verdict, verdict.why).toMatchObject({ consistent: true });
    expect(missingWrites(front, acknowledged)).toEqual([]);
  });
});
