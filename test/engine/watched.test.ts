/** What a journal says of how long the disks were watched, and what an offline recovery makes of that. */
import { describe, expect, test } from 'vitest';
import { WATCHED, watched, watchedUntil } from '../../src/engine/durable/watched.ts';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import type { ImageSight } from '../../src/images/images.ts';
import { type MemoryJournalState, memoryJournal } from '../../src/journal/memory.ts';
import { sagaToken } from '../../src/plan/names.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { often } from '../tiers/tier.ts';
import { live, smallSim } from './lives.ts';

const DISKS = [0, 1].map(disk => ({ disk: `dev${disk}`, to: `/images/new${disk}.qcow2` }));
const DAY_MS = 24 * 60 * 60_000;

/** A copy that waits at READY. */
async function ready(sim: Sim) {
  const life = live(sim);
  const saga = await sim.run(life.engine.copy({ ...life.guest, id: 's', disks: DISKS, finish: 'leave' }));
  saga.ended.catch(() => undefined);
  await sim.run(saga.result);
  return life;
}

const notes = ({ sagas }: MemoryJournalState) =>
  (sagas[0]?.records ?? []).filter(({ step }) => step === WATCHED).map(({ body }) => body);

describe('a copy that waits', () => {
  test('notes that it was watched when its QEMU dies', async () => {
    const sim = smallSim();
    const { journal } = await ready(sim);
    const untilMs = sim.clock.epochMs();
    sim.kill();
    await sim.advance(1);
    expect(notes(journal.snapshot())).toEqual([{ value: { untilMs, nextMs: 0 } }]);
  });

  test('notes it now and then, less often the longer it lasts', async () => {
    const sim = smallSim({ timing: { guestWriteMs: 0 } });
    const { journal } = await ready(sim);
    await sim.advance(15_000);
    expect(notes(journal.snapshot())).toEqual([{ value: { untilMs: expect.any(Number), nextMs: 10_000 } }]);
    await sim.advance(often(0.25, 2) * DAY_MS);
    expect(notes(journal.snapshot()).length).toBeLessThan(often(500, 700));
  });

  test('does not note it behind a job that a third party has completed', async () => {
    const sim = smallSim();
    const { journal } = await ready(sim);
    sim.world.inject('job-complete', { id: `bs-${sagaToken('s')}-0-job` });
    await sim.advance(0.6);
    sim.kill();
    await sim.advance(1);
    expect(notes(journal.snapshot())).toEqual([]);
  });
});

test.each([
  ['was seen to end, is believed', 60_000, 0, 50_000, 'rolledBack'],
  ['was not watched any more, is not', 0, 10_000, 50_000, 'JOURNAL_BEHIND'],
  [
    'had written to its disk till then, is believed within the time of a note',
    40_000,
    10_000,
    0,
    'rolledBack',
  ],
  ['had not written to its disk for a while, is not', 40_000, 10_000, 5_000, 'JOURNAL_BEHIND'],
])('a copy that was written to later, of a QEMU that %s', async (_, untilMs, nextMs, gapMs, end) => {
  expect(await endOf(untilMs, nextMs, gapMs)).toBe(end);
});

test('a new image that was written to right behind its disk is no copy of a mirror that was never begun', async () => {
  expect(await endOf(40_000, 10_000, 0, 'mirrorDisks')).toBe('JOURNAL_BEHIND');
});

/** What a recovery comes to with such a note in the journal, which ends in front of a step where one is said. */
async function endOf(untilMs: number, nextMs: number, gapMs: number, endsBefore?: string): Promise<string> {
  const sim = smallSim();
  const life = await ready(sim);
  const { sagas, ...state } = life.die();
  sim.kill();
  const begunMs = sagas[0]?.row.createdAtMs ?? 0;
  const note = { ...watched(begunMs + untilMs, nextMs), seq: 1_000, atMs: begunMs };
  const restored = memoryJournal({
    ...state,
    sagas: sagas.map(({ row, records }) => {
      const end = records.findIndex(({ step }) => step === endsBefore);
      return { row, records: [...records.slice(0, end < 0 ? records.length : end), note] };
    }),
  });
  const images = virtualImages(sim);
  const look = async (image: Parameters<typeof images.look>[0]): Promise<ImageSight> => {
    const sight = await images.look(image);
    const atMs = begunMs + 50_000 - (image.file.includes('new') ? 0 : gapMs + 1);
    return sight.state === 'readable' ? { ...sight, writtenAtMs: atMs } : sight;
  };
  const differ = { ...images, look, compare: async () => 'differs' as const };
  return recoverOffline(restored, 's', { files: sim.files, images: differ, force: true }).then(
    ({ outcome }) => outcome,
    error => error.code,
  );
}

test('of two notes the later one counts, and before any the beginning of the saga', () => {
  const records = [watched(2_000, 0), watched(1_000, 5_000)].map((note, at) => ({
    ...note,
    seq: at,
    atMs: 0,
  }));
  expect(watchedUntil([], 500, 10_000)).toEqual({ untilMs: 500, nextByMs: 12_500 });
  expect(watchedUntil(records, 500, 10_000)).toEqual({ untilMs: 2_000, nextByMs: 4_000 });
});
