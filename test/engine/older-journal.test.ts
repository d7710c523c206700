/**
 * A journal that was put back from a copy and knows it by what is counted beside it: refused by whatever would act on its word,
 * whichever moment it is of, before QEMU or an image is asked, until an administrator says what is true.
 */
import { describe, expect, test } from 'vitest';
import { examine, removeFindings } from '../../src/engine/doctor/doctor.ts';
import { createEngine } from '../../src/engine/engine.ts';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import { judgeWrites } from '../../src/fuzz/laws/judge-writes.ts';
import { type MemoryBeside, type MemoryJournalState, memoryJournal } from '../../src/journal/memory.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { put } from '../../src/sim/host/contents.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { type Life, live, rejection, smallSim } from './lives.ts';

const DISKS = 2;
const NEW = ['/images/new0.qcow2', '/images/new1.qcow2'];

type Begin = (life: Life) => ReturnType<Life['engine']['copy']>;

const common = ({ guest }: Life) => ({ ...guest, id: 's', vm: 'web' });
const KINDS: readonly (readonly [what: string, begin: Begin])[] = [
  [
    'snapshot',
    life =>
      life.engine.snapshot({
        ...common(life),
        disks: NEW.map((overlay, index) => ({ disk: `dev${index}`, overlay })),
      }),
  ],
  ...(['reopen', 'finalize', 'complete'] as const).map(
    strategy =>
      [
        `copy by ${strategy}`,
        (life: Life) =>
          life.engine.copy({
            ...common(life),
            strategy,
            disks: NEW.map((to, index) => ({ disk: `dev${index}`, to })),
          }),
      ] as const,
  ),
];

/** A saga has committed, and the guest has gone on. */
async function ended(begin: Begin): Promise<{ readonly sim: Sim; readonly state: MemoryJournalState }> {
  const sim = smallSim({ disks: DISKS });
  const life = live(sim);
  await sim.advance(2);
  const saga = await sim.run(begin(life));
  expect((await sim.run(saga.result)).outcome).toBe('committed');
  await sim.advance(5);
  return { sim, state: life.die() };
}

/** The copy that has the first records only, beside what was counted last. */
function putBack(state: MemoryJournalState, kept: number, beside: MemoryBeside) {
  const sagas = state.sagas.map(({ row, records }) => ({
    row: { ...row, state: 'open' as const, result: null, endedAtMs: null },
    records: records.slice(0, kept),
  }));
  const claims = sagas.map(({ row }) => [row.vm, { token: 1, saga: row.id }] as const);
  return memoryJournal({ ...state, sagas, claims, generation: kept + 1 }, { beside });
}

describe.each(KINDS)('an older copy of a %s', (_, begin) => {
  test('is refused by resume and abort while QEMU lives, and nothing is sent', async () => {
    const { sim, state } = await ended(begin);
    const beside = { written: state.generation };
    const records = state.sagas[0]?.records.length ?? 0;
    const guest = { qmp: sim.connect, files: sim.files };
    for (let kept = 0; kept < records; kept += 1) {
      for (const signal of [undefined, 'abort'] as const) {
        const sent = sim.world.guest.acknowledged;
        const journal = putBack(state, kept, beside);
        const engine = createEngine({ journal, clock: sim.clock });
        const how = { ...guest, ...(signal === undefined ? {} : { signal }) };
        const refusal = await sim.run(rejection(engine.resume('s', how)));
        expect(refusal, `${kept} records`).toMatchObject({ code: 'JOURNAL_BEHIND', effect: 'notApplied' });
        expect(refusal.message).toMatch(/put the newer journal back.*--accept-restored/);
        expect(journal.saga('s')?.state).toBe('open');
        expect(sim.world.guest.acknowledged).toBeGreaterThanOrEqual(sent);
      }
    }
    expect(sim.world.fronts().map(({ path }) => path)).toEqual(NEW);
  });

  test('is refused offline until it is said where the guest ran last; then nothing is lost or removed', async () => {
    const [saga] = (await ended(begin)).state.sagas;
    const records = saga?.records.length ?? 0;
    const claimed = saga?.records.findIndex(each => each.step === 'claimFiles' && each.kind === 'outcome');
    for (let kept = 0; kept < records; kept += 1) {
      const { sim, state } = await ended(begin);
      sim.kill();
      const beside = { written: state.generation };
      const options = { files: sim.files, images: virtualImages(sim) };
      const recover = (more: Parameters<typeof recoverOffline>[2]) =>
        recoverOffline(putBack(state, kept, beside), 's', { ...options, ...more });
      expect(await rejection(recover({}))).toMatchObject({
        code: 'JOURNAL_BEHIND',
        message: expect.stringMatching(/counted.*--front old.*--front new/),
      });
      const isBeforeTheClaims = kept <= (claimed ?? 0);
      if (isBeforeTheClaims)
        expect(await rejection(recover({ front: 'new' }))).toMatchObject({
          code: 'FILES',
          message: expect.stringMatching(
            /new0.qcow2 there is inode \d+, which could not be proved.*new1.qcow2 there is inode \d+, which could not be proved.*--accept-image/,
          ),
        });
      expect(options.images.changes).toEqual([]);
      const result = await recover({ front: 'new', ...(isBeforeTheClaims ? { acceptImages: NEW } : {}) });
      expect(result.outcome).toBe('committed');
      const images = new Map((result.boot ?? []).map(({ file }, disk) => [disk, sim.world.readFile(file)]));
      const held = judgeWrites(images, DISKS);
      expect(held, `${kept} records`).toEqual({ upTo: sim.world.guest.acknowledged, why: undefined });
      expect(sim.files.list()).toEqual(expect.arrayContaining(NEW));
    }
  });

  test('keeps the new images and names them where the old side is chosen', async () => {
    const { sim, state } = await ended(begin);
    sim.kill();
    const options = { files: sim.files, images: virtualImages(sim), front: 'old' as const };
    const journal = putBack(state, 3, { written: state.generation });
    expect(await rejection(recoverOffline(journal, 's', options))).toMatchObject({
      code: 'FILES',
      message: expect.stringContaining('could not be proved'),
    });
    expect(options.images.changes).toEqual([]);
    const result = await recoverOffline(journal, 's', { ...options, acceptImages: NEW });
    expect(result.outcome).toBe('rolledBack');
    expect(sim.files.list()).toEqual(expect.arrayContaining(NEW));
    for (const file of NEW) expect(result.leftovers.join('\n')).toContain(`${file} (kept, since the journal`);
  });
});

const [, COPY] = KINDS;

/** What the end of a disk held before the guest gave that back on its new image, so that this looks like an unfinished copy. */
const END = [40 * 1024 * 1024, 41 * 1024 * 1024, 700_000_000] as const;

test('writes over no new image that ends before its old one does, where it was said that the guest ran on it', async () => {
  const [, begin] = KINDS[1] ?? [];
  if (begin === undefined) throw new Error('there is no copy');
  const sim = smallSim({ disks: DISKS, sizeBytes: 64 * 1024 * 1024 });
  const { host } = sim.world;
  const life = live(sim);
  for (const file of ['/images/disk0.qcow2', '/images/disk1.qcow2']) {
    const image = host.image(file);
    if (image !== undefined) host.write(file, { ...image, contents: put(image.contents, ...END) });
  }
  await sim.advance(2);
  const saga = await sim.run(begin(life));
  expect((await sim.run(saga.result)).outcome).toBe('committed');
  await sim.advance(5);
  const state = life.die();
  sim.kill();
  for (const file of NEW) {
    const image = host.image(file);
    if (image === undefined) continue;
    const contents = image.contents.filter((_, at) => (image.contents[at - (at % 3)] ?? 0) < END[0]);
    expect(contents.length).toBeLessThan(image.contents.length);
    host.write(file, { ...image, contents });
  }
  const journal = putBack(state, 7, { written: state.generation });
  const options = { files: sim.files, images: virtualImages(sim), front: 'new' } as const;
  const { boot = [] } = await recoverOffline(journal, 's', options);
  const images = new Map(boot.map(({ file }, disk) => [disk, sim.world.readFile(file)]));
  expect(judgeWrites(images, DISKS)).toEqual({ upTo: sim.world.guest.acknowledged, why: undefined });
});

test('what was promised of it counts: it is resumed, and QEMU is asked all the same', async () => {
  const { sim, state } = await ended(COPY?.[1] as Begin);
  const journal = putBack(state, 3, { written: state.generation });
  const engine = createEngine({ journal, clock: sim.clock });
  const saga = await sim.run(
    engine.resume('s', { qmp: sim.connect, files: sim.files, acceptRestored: true }),
  );
  const { outcome, error } = await sim.run(saga.result);
  expect({ outcome, code: error?.code }).toEqual({ outcome: 'needsRecovery', code: 'JOURNAL_BEHIND' });
  expect(error?.message).toContain('QEMU is further');
  expect(journal.standing?.('s').is).toBe('newest');
});

test('the doctor tells of it, and removes nothing on its word unless that is promised', async () => {
  const { sim, state } = await ended(COPY?.[1] as Begin);
  const journal = putBack(state, 3, { written: state.generation });
  const options = { journal, files: sim.files, images: virtualImages(sim), processes: dead };
  const findings = await examine(options);
  expect(findings[0]).toMatchObject({ kind: 'journal', removable: false });
  expect(findings[0]?.why).toMatch(/counted 4 writes, and \d+ are counted beside it.*--accept-restored/);
  expect((await removeFindings(findings)).some(({ removed }) => removed)).toBe(false);
  const promised = await examine({ ...options, acceptRestored: true });
  expect(promised.map(({ kind }) => kind)).not.toContain('journal');
});

const dead = { self: { pid: 1, bootId: 'b', startedAt: '1' }, isAlive: () => false };
