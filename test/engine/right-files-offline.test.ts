/**
 * A third party has put other files in the places of a saga's images, or has taken names away, by the time that it is recovered offline:
 * nothing is booted from, read or written by such a name, unless an administrator says that it is right.
 */
import { describe, expect, test } from 'vitest';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import type { SagaResult } from '../../src/engine/running/result.ts';
import { judgeWrites } from '../../src/fuzz/laws/judge-writes.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { createForeignFiles } from '../../src/sim/host/foreign-files.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { type Life, live, rejection, smallSim } from './lives.ts';

const OLD = ['/images/disk0.qcow2', '/images/disk1.qcow2'];
const NEW = ['/images/new0.qcow2', '/images/new1.qcow2'];

const SAGAS = {
  'a copy at READY': ({ engine, guest }: Life) =>
    engine.copy({
      ...{ ...guest, id: 's', vm: 'web', finish: 'leave' as const },
      disks: NEW.map((to, index) => ({ disk: `dev${index}`, to })),
    }),
  'a snapshot': ({ engine, guest }: Life) =>
    engine.snapshot({
      ...{ ...guest, id: 's', vm: 'web' },
      disks: NEW.map((overlay, index) => ({ disk: `dev${index}`, overlay })),
    }),
} as const;

/** The saga got as far as it does, or to its decision, and all died. */
async function dead(what: keyof typeof SAGAS) {
  const sim = smallSim({ disks: 2 });
  const life = live(sim);
  const saga = await sim.run(SAGAS[what](life));
  await sim.run(saga.result);
  await sim.advance(5);
  const state = life.die();
  const cut = ({ kind }: { readonly kind: string }) => kind === 'decision';
  const sagas = state.sagas.map(({ row, records }) => ({
    row: { ...row, state: 'needsRecovery' as const, result: null },
    records: what === 'a snapshot' ? records.slice(0, records.findIndex(cut) + 1) : records,
  }));
  sim.kill();
  return { sim, thirdParty: createForeignFiles(sim.world.host, () => 0), state: { ...state, sagas } };
}

function expectNothingLost(sim: Sim, { boot = [] }: SagaResult): void {
  const images = new Map(boot.map(({ file }, disk) => [disk, sim.world.readFile(file)]));
  expect(judgeWrites(images, 2)).toEqual({ upTo: sim.world.guest.acknowledged, why: undefined });
}

const HOW = ['replace', 'recreate', 'rename', 'remove'] as const;
const OF_SAGA = [
  { saga: 'a copy at READY', file: OLD[0] ?? '', front: 'old' as const },
  { saga: 'a snapshot', file: NEW[0] ?? '', front: undefined },
  { saga: 'a snapshot', file: OLD[0] ?? '', front: undefined },
] as const;

describe.each(OF_SAGA)('$saga of which $file', ({ saga, file, front }) => {
  test.each(HOW)('was taken from its name (%s) is refused, untouched, until the file is back', async how => {
    const { sim, state, thirdParty } = await dead(saga);
    thirdParty.act({ path: file, how });
    const journal = memoryJournal(state);
    const images = virtualImages(sim);
    const before = new Map([...sim.world.host.files].map(([path, each]) => [path, each.written]));
    const options = { files: sim.files, images, ...(front === undefined ? {} : { front }) };
    const error = await rejection(recoverOffline(journal, 's', options));
    expect(error).toMatchObject({
      code: 'FILES',
      message: expect.stringMatching(new RegExp(`${file} .*put the right file back.*--accept-image ${file}`)),
    });
    expect(images.changes).toEqual([]);
    expect(new Map([...sim.world.host.files].map(([path, each]) => [path, each.written]))).toEqual(before);
    if (how === 'remove' || how === 'recreate') return;
    expect(thirdParty.putBack(file)).toBe(true);
    expectNothingLost(sim, await recoverOffline(memoryJournal(journal.snapshot()), 's', options));
  });
});

test('a copy from a backup is taken when it is said to be right, by a later run too', async () => {
  const { sim, state } = await dead('a snapshot');
  const { host } = sim.world;
  const [first = ''] = OLD;
  const held = host.files.get(first)?.written;
  host.unlink(first);
  if (held !== undefined) host.write(first, held);
  const journal = memoryJournal(state);
  const options = { files: sim.files, images: virtualImages(sim), back: true };
  await expect(recoverOffline(journal, 's', options)).rejects.toMatchObject({ code: 'FILES' });
  const none = recoverOffline(journal, 's', { ...options, acceptImages: ['/images/other.qcow2'] });
  await expect(none).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  const stopped = { ...options, images: virtualImages(sim, 2), acceptImages: [first] };
  await expect(recoverOffline(journal, 's', stopped)).rejects.toThrow();
  expectNothingLost(sim, await recoverOffline(memoryJournal(journal.snapshot()), 's', options));
});

test('a file that is exchanged while the recovery works is seen before it ends', async () => {
  const { sim, state, thirdParty } = await dead('a snapshot');
  const images = virtualImages(sim);
  const [first = '', second = ''] = OLD;
  const options = {
    files: sim.files,
    back: true,
    images: {
      ...images,
      async commitOverlay(overlay: Parameters<typeof images.commitOverlay>[0]) {
        await images.commitOverlay(overlay);
        thirdParty.act({ path: images.changes.length === 1 ? second : first, how: 'replace' });
      },
    },
  };
  const journal = memoryJournal(state);
  const replaced = await rejection(recoverOffline(journal, 's', options));
  expect(replaced).toMatchObject({
    code: 'FILES',
    message: expect.stringContaining('while this recovery worked'),
  });
  expect(images.changes).toEqual([`commit ${NEW[0]}`]);
  expect(thirdParty.putBack(second)).toBe(true);
  const later = recoverOffline(memoryJournal(journal.snapshot()), 's', {
    ...options,
    images: virtualImages(sim),
  });
  expectNothingLost(sim, await later);
});

test('what is no file under the name of an overlay is not taken for a lost one', async () => {
  const { sim, state } = await dead('a snapshot');
  const images = virtualImages(sim);
  const none = { state: 'unreadable', why: 'it is a link', isEmpty: false, isNoFile: true } as const;
  const look: typeof images.look = async image => (image.file === NEW[0] ? none : images.look(image));
  const recovering = recoverOffline(memoryJournal(state), 's', {
    files: sim.files,
    images: { ...images, look },
  });
  expect(await rejection(recovering)).toMatchObject({ code: 'FILES', disk: 'dev0' });
  expect(images.changes).toEqual([]);
});

/** Each record cut off behind `kept`, with a count beside it that knows better. */
async function olderCopy(kept: number) {
  const sim = smallSim({ disks: 2 });
  const life = live(sim);
  const saga = await sim.run(
    life.engine.copy({
      ...{ ...life.guest, id: 's', vm: 'web' },
      disks: NEW.map((to, index) => ({ disk: `dev${index}`, to })),
    }),
  );
  expect((await sim.run(saga.result)).outcome).toBe('committed');
  await sim.advance(5);
  const state = life.die();
  sim.kill();
  const sagas = state.sagas.map(({ row, records }) => ({
    row: { ...row, state: 'open' as const, result: null, endedAtMs: null },
    records: records.slice(0, kept),
  }));
  const claims = sagas.map(({ row }) => [row.vm, { token: 1, saga: row.id }] as const);
  const copy = { ...state, sagas, claims, generation: kept + 1 };
  const journal = memoryJournal(copy, { beside: { written: state.generation } });
  return { sim, journal, thirdParty: createForeignFiles(sim.world.host, () => 0) };
}

/** Behind the intent of the first step, and behind the claims. */
describe.each([1, 5])('an older copy of the journal, with %i records', kept => {
  test.each(HOW)('hears no side while a new image is not under its name (%s)', async act => {
    const { sim, journal, thirdParty } = await olderCopy(kept);
    const [, second = ''] = NEW;
    thirdParty.act({ path: second, how: act });
    const images = virtualImages(sim);
    const options = { files: sim.files, images };
    expect(await rejection(recoverOffline(journal, 's', options))).toMatchObject({ code: 'JOURNAL_BEHIND' });
    for (const front of ['old', { dev0: 'new', dev1: 'old' }] as const) {
      expect(await rejection(recoverOffline(journal, 's', { ...options, front }))).toMatchObject({
        code: 'FILES',
        message: expect.stringMatching(
          new RegExp(
            `disk dev1: under the name ${second} .*put the right file back.*--accept-image ${second}`,
          ),
        ),
      });
    }
    expect(images.changes).toEqual([]);
    if (act === 'remove' || act === 'recreate') return;
    expect(thirdParty.putBack(second)).toBe(true);
    // Before the claims no file is known to be the saga's: that the right one is back has to be said.
    if (kept === 1)
      expect(String(await rejection(recoverOffline(journal, 's', { ...options, front: 'new' })))).toMatch(
        new RegExp(
          `under the name ${second} there is inode \\d+, which could not be proved to be the saga's`,
        ),
      );
    const accepted = kept === 1 ? { acceptImages: NEW } : {};
    expectNothingLost(sim, await recoverOffline(journal, 's', { ...options, ...accepted, front: 'new' }));
  });
});

test('an image that the saga had not made yet is said to be rightly not there', async () => {
  const { sim, journal, thirdParty } = await olderCopy(1);
  for (const path of NEW) thirdParty.act({ path, how: 'remove' });
  const options = { files: sim.files, images: virtualImages(sim), front: 'old' as const };
  const error = await rejection(recoverOffline(journal, 's', options));
  expect(error).toMatchObject({ code: 'FILES' });
  for (const file of NEW) expect(String(error)).toContain(`--accept-image ${file}`);
  const result = await recoverOffline(journal, 's', { ...options, acceptImages: NEW });
  expect(result.boot?.map(({ file }) => file)).toEqual(OLD);
});
