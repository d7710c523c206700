/**
 * A QEMU that has more of a saga than its journal: an older copy of the journal is refused, from whichever moment it is, while
 * a third party who has put the saga's image in front with the very command of the snapshot is no reason to.
 */
import { describe, expect, test } from 'vitest';
import type { MemoryJournalState } from '../../src/journal/memory.ts';
import { sagaToken } from '../../src/plan/names.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { entered, type Life, live, smallSim } from './lives.ts';

const overlay = (index: number) => `/images/new${index}.qcow2`;
const IMAGE = `bs-${sagaToken('s')}-0`;

interface Case {
  readonly what: string;
  readonly disks: number;
  /** Begins the saga, and ends the process where it has gone so far that an older journal would do harm. */
  readonly die: (sim: Sim, life: Life) => Promise<MemoryJournalState>;
}

const snapshot = ({ engine, guest }: Life, disks: number) =>
  engine.snapshot({
    ...{ ...guest, id: 's', vm: 'web' },
    disks: Array.from({ length: disks }, (_, index) => ({ disk: `dev${index}`, overlay: overlay(index) })),
  });

const inCleaningUp =
  (disks: number): Case['die'] =>
  async (sim, life) => {
    const saga = await sim.run(snapshot(life, disks));
    await sim.run(entered(saga, 'unmarkQemu'));
    return life.die();
  };

const CASES: readonly Case[] = [
  { what: 'of a snapshot of one disk that was taken', disks: 1, die: inCleaningUp(1) },
  { what: 'of a snapshot of two disks that was taken', disks: 2, die: inCleaningUp(2) },
  {
    what: 'of a snapshot whose mirrors follow',
    disks: 1,
    async die(sim, life) {
      const saga = await sim.run(
        life.engine.snapshot({
          ...{ ...life.guest, id: 's', vm: 'web' },
          disks: [{ disk: 'dev0', overlay: overlay(0), mirror: '/images/mirror0.qcow2' }],
        }),
      );
      await sim.run(entered(saga, 'awaitSignal'));
      return life.die();
    },
  },
];

const TAKING = /(^|\.)takeSnapshot$/;

describe.each(CASES)('an older journal $what', ({ disks, die }) => {
  test('is refused, whichever moment before the snapshot it is of', async () => {
    const recordsOf = ({ sagas: [saga] }: MemoryJournalState) => saga?.records ?? [];
    let kept = 0;
    for (let isBefore = true; isBefore; kept += 1) {
      const sim = smallSim({ disks });
      const state = await die(sim, live(sim));
      const fronts = sim.world.fronts().map(({ path }) => path);
      const records = recordsOf(state);
      isBefore = !TAKING.test(records[kept]?.step ?? '');
      const sagas = state.sagas.map(saga => ({ ...saga, records: records.slice(0, kept) }));
      const older = live(sim, { ...state, sagas });
      const told = await sim.run(
        older.engine.resume('s', { ...older.guest, force: true }).then(
          saga => saga.result,
          (error: unknown) => ({ error }),
        ),
      );
      expect(told, `${kept} records`).toMatchObject({ error: { code: 'JOURNAL_BEHIND' } });
      expect(sim.world.fronts().map(({ path }) => path)).toEqual(fronts);
    }
    expect(kept).toBeGreaterThan(4);
  });
});

test('an image that a third party has put in front before the snapshot is taken out again', async () => {
  const sim = smallSim();
  const life = live(sim);
  const saga = await sim.run(snapshot(life, 2));
  await sim.run(entered(saga, 'takeSnapshot'));
  const left = life.die();
  await sim.advance(5);
  const records = left.sagas[0]?.records.filter(({ step }) => !TAKING.test(step)) ?? [];
  expect(sim.world.fronts().map(({ path }) => path)).toEqual(['/images/disk0.qcow2', '/images/disk1.qcow2']);
  sim.world.inject('blockdev-snapshot', { node: 'disk0', overlay: IMAGE });
  await sim.advance(5);
  expect(sim.world.fronts()[0]?.path).toBe(overlay(0));
  const sagas = left.sagas.map(each => ({ ...each, records }));
  const next = live(sim, { ...left, sagas });
  const resumed = await sim.run(next.engine.resume('s', { ...next.guest, force: true, signal: 'abort' }));
  const { outcome, leftovers } = await sim.run(resumed.result);
  expect({ outcome, leftovers }).toEqual({ outcome: 'rolledBack', leftovers: [] });
  expect(sim.world.fronts().map(({ path }) => path)).toEqual(['/images/disk0.qcow2', '/images/disk1.qcow2']);
});
