/**
 * Overlays that a third party puts on the saga's images, or on those that the guest has left, on a real QEMU: a rollback goes
 * round them.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { diskNames, sagaToken } from '../../src/plan/names.ts';
import { describeOnQemu } from './real-qemu.ts';
import { explain, type Stage, stage } from './witnessed.ts';

/** `blockdev-snapshot-sync` by another client. */
function overlay({ vm, directory }: Stage, node: string): Promise<unknown> {
  return vm.witness.execute('blockdev-snapshot-sync', {
    'node-name': node,
    'snapshot-file': join(directory, 'theirs.qcow2'),
    'snapshot-node-name': 'theirs',
  });
}

async function chains(on: Stage): Promise<readonly (readonly string[])[]> {
  return (await on.look()).fronts.map(({ chain }) => chain);
}

describeOnQemu('an overlay of a third party', () => {
  test('stays where it is while the snapshot below it is taken back', async () => {
    await using on = await stage({ disks: 2, journal: 'memory' });
    const before = await chains(on);
    const { disks, ...basics } = on.snapshotAll();
    const saga = await on.engine.snapshot({
      ...basics,
      disks: disks.map((disk, index) => ({ ...disk, mirror: join(on.directory, `mirror${index}.qcow2`) })),
      ...on.tapped,
      id: 'covered',
    });
    await saga.until('ready');
    on.tap.before('block-commit', () => overlay(on, diskNames(sagaToken('covered'), 1).image));
    const result = await saga.abort();
    expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect(on.tap.pending).toEqual([]);
    const [first = [], second = []] = before;
    expect(await chains(on)).toEqual([first, [join(on.directory, 'theirs.qcow2'), ...second]]);
  });

  test('on an image that the guest has left does not keep it from going back there', async () => {
    await using on = await stage({ disks: 2, journal: 'memory' });
    const before = await chains(on);
    on.tap.before('job-finalize', async () => {
      const id = diskNames(sagaToken('left'), 1).job;
      await on.vm.witness.execute('job-cancel', { id });
    });
    on.tap.before('blockdev-mirror', () => overlay(on, 'disk0'), 2);
    const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, id: 'left', strategy: 'finalize' });
    const result = await saga.result;
    expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect(on.tap.pending).toEqual([]);
    expect(await chains(on)).toEqual(before);
  });
});
