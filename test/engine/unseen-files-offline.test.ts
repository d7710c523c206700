/**
 * A saga that saw no file of QEMU's is recovered offline where they are: what a third party has put under the name of an image is refused
 * where its header tells, and what could not be proved is named.
 */
import { describe, expect, test } from 'vitest';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import { judgeWrites } from '../../src/fuzz/laws/judge-writes.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { createForeignFiles } from '../../src/sim/host/foreign-files.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { live, rejection, smallSim } from './lives.ts';

const OLD = '/images/disk0.qcow2';
const BASE = '/images/disk0-base0.qcow2';
const OVERLAY = '/images/new0.qcow2';

/** A snapshot that had decided when QEMU died, or a commit that had not. */
async function dead(what: 'snapshot' | 'commit') {
  const sim = smallSim({ disks: 1, backingLayers: 1 });
  const life = live(sim);
  const common = { ...life.guest, files: null, id: 's', vm: 'web' };
  const saga = await sim.run(
    what === 'snapshot'
      ? life.engine.snapshot({ ...common, disks: [{ disk: 'dev0', overlay: OVERLAY }] })
      : life.engine.commit({ ...common, active: true, finish: 'leave', disks: [{ disk: 'dev0' }] }),
  );
  await sim.run(saga.result);
  await sim.advance(5);
  const state = life.die();
  const sagas = state.sagas.map(({ row, records }) => ({
    row: { ...row, state: 'needsRecovery' as const, result: null },
    records: what === 'commit' ? records : records.filter(({ step }) => step !== 'unmarkQemu'),
  }));
  sim.kill();
  const thirdParty = createForeignFiles(sim.world.host, () => 0);
  const images = virtualImages(sim);
  const journal = () => memoryJournal({ ...state, sagas });
  const recover = (acceptImages: readonly string[] = []) =>
    recoverOffline(journal(), 's', { files: sim.files, images, acceptImages });
  return { sim, thirdParty, images, recover };
}

const CASES = [
  { saga: 'snapshot', file: OVERLAY, below: OLD },
  { saga: 'snapshot', file: OLD, below: BASE },
  { saga: 'commit', file: OLD, below: BASE },
] as const;

describe.each(CASES)('a $saga that saw no files, where $file', ({ saga, file, below }) => {
  test('is replaced by an image that stands on nothing: refused, until it is back', async () => {
    const { sim, thirdParty, images, recover } = await dead(saga);
    thirdParty.act({ path: file, how: 'replace' });
    const before = new Map([...sim.world.host.files].map(([path, each]) => [path, each.written]));
    expect(await rejection(recover())).toMatchObject({
      code: 'FILES',
      message: expect.stringMatching(
        `name ${file} could not be proved.* leads to no image, and not to ${below};.*put the right file back.*--accept-image ${file}`,
      ),
    });
    expect(images.changes).toEqual([]);
    expect(new Map([...sim.world.host.files].map(([path, each]) => [path, each.written]))).toEqual(before);
    expect(thirdParty.putBack(file)).toBe(true);
    const { boot = [], why = '' } = await recover();
    const read = new Map(boot.map(each => [0, sim.world.readFile(each.file)] as const));
    expect(judgeWrites(read, 1)).toEqual({ upTo: sim.world.guest.acknowledged, why: undefined });
    expect(why).toContain(`it could not be proved of`);
    for (const each of [file, below]) expect(why).toContain(each);
  });

  test('is what an administrator says it is', async () => {
    const { thirdParty, recover } = await dead(saga);
    thirdParty.act({ path: file, how: 'recreate' });
    const { why = '' } = await recover([file]);
    expect(why.split('could not be proved of ')[1]?.split(' that ')[0]?.split(', ') ?? []).not.toContain(
      file,
    );
  });
});

test('a saga that saw its files has nothing to prove', async () => {
  const sim = smallSim({ disks: 1, backingLayers: 1 });
  const life = live(sim);
  const disks = [{ disk: 'dev0', overlay: OVERLAY }];
  const saga = await sim.run(life.engine.snapshot({ ...life.guest, id: 's', vm: 'web', disks }));
  await sim.run(saga.result);
  const { sagas, ...state } = life.die();
  sim.kill();
  const open = sagas.map(({ row, records }) => ({
    row: { ...row, state: 'needsRecovery' as const },
    records,
  }));
  const { why } = await recoverOffline(memoryJournal({ ...state, sagas: open }), 's', {
    ...{ files: sim.files, images: virtualImages(sim) },
  });
  expect(why).not.toContain('could not be proved');
});
