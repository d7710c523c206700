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
import { killAt, live, rejection, smallSim } from './lives.ts';

const OLD = '/images/disk0.qcow2';
const BASE = '/images/disk0-base0.qcow2';
const OVERLAY = '/images/new0.qcow2';
const COMMANDS_MAX = 80;

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

describe('an image that has another name now gets its own back before anything is said of where the guest ran', () => {
  test.each([
    { saga: 'snapshot', file: OVERLAY, asked: `it may be ${OVERLAY} under another name` },
    { saga: 'commit', file: OLD, asked: `${OLD} is not there, or no image any more` },
  ] as const)('of a $saga, $file', async ({ saga, file, asked }) => {
    const { sim, thirdParty, images, recover } = await dead(saga);
    thirdParty.act({ path: file, how: 'rename' });
    const refusal = await rejection(recover());
    expect(refusal).toMatchObject({
      code: 'JOURNAL_BEHIND',
      message: expect.stringMatching(`${asked}.*irst put the right file back.*"blocksaga resume`),
    });
    expect(images.changes).toEqual([]);
    expect(thirdParty.putBack(file)).toBe(true);
    const { boot = [] } = await recover();
    const read = new Map(boot.map(each => [0, sim.world.readFile(each.file)] as const));
    expect(judgeWrites(read, 1)).toEqual({ upTo: sim.world.guest.acknowledged, why: undefined });
  });
});

test.each([true, false])(
  'a saga that saw its files has nothing to prove where /proc told of them (%s)',
  async hasProc => {
    const sim = smallSim({ disks: 1, backingLayers: 1 });
    const life = live(sim);
    const disks = [{ disk: 'dev0', overlay: OVERLAY }];
    const openInQemu = async () => {
      const facts = await Promise.all([OLD, BASE, OVERLAY].map(name => sim.files.stat(name)));
      return new Set(facts.flatMap(each => each?.identity ?? []));
    };
    const files = { ...sim.files, ...(hasProc ? { isShared: async () => true, openInQemu } : {}) };
    const saga = await sim.run(life.engine.snapshot({ ...life.guest, files, id: 's', vm: 'web', disks }));
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
    const unproved = `it could not be proved of ${OLD}, ${BASE} that QEMU had no other file open`;
    expect(why?.includes(unproved)).toBe(!hasProc);
    expect(why?.includes('could not be proved')).toBe(!hasProc);
  },
);

test('files that are to be written to and of which none was seen are all asked for in one command, wherever QEMU dies', async () => {
  const places = [0, 1, 2];
  const disks = places.map(index => ({ disk: `dev${index}`, overlay: `/images/new${index}.qcow2` }));
  let refusals = 0;
  for (let nth = 1; nth < COMMANDS_MAX; nth += 1) {
    const { sim, state } = await killAt(
      nth,
      async ({ engine, guest }) =>
        (await engine.snapshot({ ...guest, files: null, id: 's', vm: 'web', disks })).result,
      { disks: disks.length },
    );
    if (state === undefined) break;
    const journal = memoryJournal(state);
    if (journal.saga('s') === undefined) continue;
    const recover = (acceptImages: readonly string[] = []) =>
      recoverOffline(journal, 's', {
        files: sim.files,
        images: virtualImages(sim),
        acceptImages,
        back: true,
      });
    const refused = await recover().then(
      () => undefined,
      error => error,
    );
    if (refused === undefined) continue;
    refusals += 1;
    const { code, message } = refused;
    expect(code).toBe('FILES');
    const [, command = ''] = message.split('"blocksaga resume --offline s ');
    const asked = [...command.matchAll(/--accept-image ([^\s"]+)/g)].map(([, file = '']) => file);
    for (const index of places) expect(asked).toContain(`/images/disk${index}.qcow2`);
    expect(message).toContain('leave out each name of which that is not true');
    const [first, ...others] = asked;
    expect(await rejection(recover(others))).toMatchObject({
      code: 'FILES',
      message: expect.stringMatching(new RegExp(`offline s --accept-image ${first}"$`)),
    });
    expect((await recover(asked)).outcome).toBe('rolledBack');
  }
  expect(refusals).toBeGreaterThan(0);
});
