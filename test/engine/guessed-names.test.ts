/**
 * The name of an image leads to another file when a saga is planned, and no /proc tells which one QEMU has open: the saga knows a third
 * party's file under it. A recovery without QEMU does not boot from what by its header cannot be the image that QEMU told of.
 */
import { expect, test } from 'vitest';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import { judgeWrites } from '../../src/fuzz/laws/judge-writes.ts';
import type { Files } from '../../src/images/files.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { put } from '../../src/sim/host/contents.ts';
import { createForeignFiles } from '../../src/sim/host/foreign-files.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { live, rejection, smallSim } from './lives.ts';

const OLD = '/images/disk0.qcow2';
const BASE = '/images/disk0-base0.qcow2';

/** A commit that had not switched when QEMU died, of a disk whose image had another name by the time of the request. */
async function dead(how: 'replace' | 'replaceDirectory' | undefined, filesOf: (sim: Sim) => Files) {
  const sim = smallSim({ disks: 1, backingLayers: 1 });
  await sim.advance(5);
  const thirdParty = createForeignFiles(sim.world.host, () => 0);
  if (how !== undefined) thirdParty.act({ path: OLD, how });
  const life = live(sim);
  const asked = { ...life.guest, files: filesOf(sim), id: 's', vm: 'web', active: true } as const;
  const saga = await sim.run(life.engine.commit({ ...asked, finish: 'leave', disks: [{ disk: 'dev0' }] }));
  await sim.run(saga.result);
  const state = life.die();
  sim.kill();
  const images = virtualImages(sim);
  const recover = (acceptImages: readonly string[] = []) =>
    recoverOffline(memoryJournal(state), 's', { files: sim.files, images, acceptImages });
  return { sim, thirdParty, images, recover };
}

test.each(['replace', 'replaceDirectory'] as const)(
  'an image that stood on nothing when the saga was planned is not booted from (%s)',
  async how => {
    const { sim, thirdParty, images, recover } = await dead(how, ({ files }) => files);
    const asked = await rejection(recover());
    expect(asked).toMatchObject({
      code: 'FILES',
      message: expect.stringMatching(
        `${OLD} could not be proved.* leads to no image, and not to ${BASE};.*put the right file back.*--accept-image ${OLD}`,
      ),
    });
    expect(images.changes).toEqual([]);
    expect(thirdParty.putBack(OLD)).toBe(true);
    const { boot = [] } = await recover(how === 'replace' ? [OLD] : [OLD, BASE]);
    const read = new Map(boot.map(({ file }) => [0, sim.world.readFile(file)] as const));
    expect(judgeWrites(read, 1)).toEqual({ upTo: sim.world.guest.acknowledged, why: undefined });
  },
);

test('an image is not held against the plan where /proc told that QEMU had it open', async () => {
  const { sim, images, recover } = await dead(undefined, ({ files, world }) => ({
    ...files,
    isShared: async () => true,
    openInQemu: async () => {
      const names = [OLD, BASE];
      const facts = await Promise.all(names.map(name => files.stat(name)));
      return new Set(facts.flatMap(each => (world.alive && each ? [each.identity] : [])));
    },
  }));
  // An administrator has made it stand alone, in place.
  const own = sim.world.host.image(OLD);
  if (own === undefined) throw new Error('it is there');
  sim.world.host.write(OLD, { ...own, contents: sim.world.readFile(OLD), backing: undefined });
  expect(await recover()).toMatchObject({ boot: [{ file: OLD }] });
  expect(images.changes).toEqual([]);
});

const OVERLAY = '/images/new0.qcow2';

/** A snapshot that is on its overlay when QEMU dies, whose process asked which files QEMU had open. */
async function snapshotted(how: 'replace' | undefined, told: Pick<Files, 'openInQemu' | 'isShared'>) {
  const sim = smallSim({ disks: 1 });
  await sim.advance(5);
  const thirdParty = createForeignFiles(sim.world.host, () => 0);
  if (how !== undefined) thirdParty.act({ path: OLD, how });
  const life = live(sim);
  const asked = { ...life.guest, files: { ...sim.files, ...told }, id: 's', vm: 'web' };
  const saga = await sim.run(life.engine.snapshot({ ...asked, disks: [{ disk: 'dev0', overlay: OVERLAY }] }));
  await sim.run(saga.result);
  await sim.advance(5);
  const { sagas, ...state } = life.die();
  sim.kill();
  const open = sagas.map(({ row, records }) => ({
    row: { ...row, state: 'needsRecovery' as const, result: null },
    records: records.filter(({ step }) => step !== 'unmarkQemu'),
  }));
  const images = virtualImages(sim);
  const recover = (back: boolean, acceptImages: readonly string[] = []) =>
    recoverOffline(memoryJournal({ ...state, sagas: open }), 's', {
      ...{ files: sim.files, images, back, acceptImages },
    });
  return { thirdParty, images, plan: saga.plan, recover };
}

const cannotTell = async () => undefined;

test('an image is not written to while it could not be told which file QEMU had open', async () => {
  const { thirdParty, images, recover } = await snapshotted('replace', {
    openInQemu: cannotTell,
    isShared: cannotTell,
  });
  const asked = await rejection(recover(true, [OVERLAY]));
  expect(asked).toMatchObject({ code: 'FILES', images: [OLD] });
  expect(asked.message).toMatch(`${OLD} could not be proved`);
  expect(images.changes).toEqual([]);
  expect(thirdParty.putBack(OLD)).toBe(true);
  expect((await recover(true, [OVERLAY, OLD])).outcome).toBe('rolledBack');
});

test('such an image is named where it is booted from', async () => {
  const { recover } = await snapshotted(undefined, { openInQemu: cannotTell, isShared: cannotTell });
  expect((await recover(false)).why).toMatch(new RegExp(`it could not be proved of .*${OLD}`));
});

test('a file that QEMU has not open, where it sees another directory, is not known as its image', async () => {
  const { plan, recover } = await snapshotted(undefined, {
    openInQemu: async () => new Set(),
    isShared: async () => false,
  });
  expect(plan.identities).toEqual({});
  expect((await rejection(recover(true))).images).toContain(OLD);
});

test('an image on which the guest may have run last is asked about also where a third party has changed its header', async () => {
  const sim = smallSim({ disks: 1, backingLayers: 1 });
  const life = live(sim);
  const asked = { ...life.guest, id: 's', vm: 'web', disks: [{ disk: 'dev0', to: OVERLAY }] };
  await sim.run((await sim.run(life.engine.copy(asked))).result);
  const { sagas, ...state } = life.die();
  const open = sagas.map(({ row, records }) => ({
    row: { ...row, state: 'needsRecovery' as const, result: null },
    records: records.filter(({ step }) => step !== 'unmarkQemu'),
  }));
  sim.kill();
  await sim.advance(600_000);
  const own = sim.world.host.image(OLD);
  if (own === undefined) throw new Error('it is there');
  const contents = put(sim.world.readFile(OLD), 4_000_000, 4_000_512, 7);
  sim.world.host.write(OLD, { ...own, contents, backing: undefined });
  const options = { files: sim.files, images: virtualImages(sim) };
  const refusal = await rejection(recoverOffline(memoryJournal({ ...state, sagas: open }), 's', options));
  expect(refusal).toMatchObject({ code: 'JOURNAL_BEHIND', message: expect.stringContaining(OLD) });
});
