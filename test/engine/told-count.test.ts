/**
 * An older copy of the journal that was put back together with all that was beside it, while QEMU lives: QEMU was told how much of
 * the saga is in the journal, whichever moment the copy is of, and what would act on its word is refused with both stories.
 */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../src/engine/api.ts';
import { examine, removeFindings } from '../../src/engine/doctor/doctor.ts';
import { countOf } from '../../src/engine/durable/counted.ts';
import { createEngine } from '../../src/engine/engine.ts';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import type { ResumeOptions } from '../../src/engine/resume.ts';
import type { Saga } from '../../src/engine/running/saga-types.ts';
import { BlocksagaError } from '../../src/errors.ts';
import { type MemoryJournalState, memoryJournal } from '../../src/journal/memory.ts';
import { countName, sagaToken } from '../../src/plan/names.ts';
import { openQmpClient } from '../../src/qmp/client.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { entered, type Life, live, rejection, smallSim } from './lives.ts';

const DISKS = 2;
const NEW = ['/images/new0.qcow2', '/images/new1.qcow2'];
const COUNT = `/objects/${countName(sagaToken('s'))}`;

interface Case {
  readonly what: string;
  /** Begins the saga, and ends its process. */
  readonly die: (sim: Sim, life: Life) => Promise<MemoryJournalState>;
}

const copy = ({ engine, guest }: Life, strategy: 'reopen' | 'finalize' | 'complete') =>
  engine.copy({
    ...{ ...guest, id: 's', vm: 'web', strategy, finish: 'leave' },
    disks: NEW.map((to, index) => ({ disk: `dev${index}`, to })),
  });

const CASES: readonly Case[] = [
  ...(['reopen', 'finalize', 'complete'] as const).map(
    (strategy): Case => ({
      what: `of a copy by ${strategy} whose guest runs on its new images`,
      async die(sim, life) {
        const saga = await sim.run(copy(life, strategy));
        await sim.run(saga.result);
        saga.pivot().catch(() => undefined);
        await sim.run(entered(saga, 'resumeGuest'));
        await sim.advance(0.5);
        return life.die();
      },
    }),
  ),
  {
    what: 'of a copy that has begun to roll back',
    async die(sim, life) {
      const saga = await sim.run(copy(life, 'reopen'));
      await sim.run(saga.result);
      saga.abort().catch(() => undefined);
      await sim.run(entered(saga, 'undo mirrorDisks'));
      await sim.advance(0.4);
      return life.die();
    },
  },
];

/** The copy that has the first records only, and what was beside it when it was made. */
function putBack(state: MemoryJournalState, kept: number) {
  const sagas = state.sagas.map(({ row, records }) => ({ row, records: records.slice(0, kept) }));
  return memoryJournal({ ...state, sagas }, { beside: { written: kept } });
}

const told = (sim: Sim): number => {
  const reply = sim.world.inject('qom-get', { path: COUNT, property: 'limits' });
  const limits = (reply?.['return'] ?? {}) as { readonly 'bps-total'?: number };
  return limits['bps-total'] ?? 0;
};

const resumedOr = (engine: Engine, how: ResumeOptions): Promise<Saga | BlocksagaError> =>
  engine.resume('s', { ...how, force: true }).catch(error => {
    if (error instanceof BlocksagaError) return error;
    throw error;
  });

const dead = { self: { pid: 1, bootId: 'b', startedAt: '1' }, isAlive: () => false };

describe.each(CASES)('an older journal $what', ({ die }) => {
  async function died() {
    const sim = smallSim({ disks: DISKS });
    const life = live(sim);
    await sim.advance(2);
    const state = await die(sim, life);
    await sim.advance(20);
    return { sim, state, records: state.sagas[0]?.records ?? [] };
  }

  test('is refused by all that would act on its word, from whichever moment it is', async () => {
    const { sim, state, records } = await died();
    const guest = { qmp: sim.connect, files: sim.files };
    const count = told(sim);
    expect(count).toBeGreaterThan(3);
    expect(countOf(records)).toBeGreaterThanOrEqual(count);
    expect(countOf(records) - count).toBeLessThanOrEqual(1);
    const fronts = sim.world.fronts();
    const files = sim.files.list();
    for (let kept = 0; kept < records.length; kept += 1) {
      if (countOf(records.slice(0, kept)) >= count) continue;
      for (const signal of [undefined, 'abort', 'accepted'] as const) {
        const engine = createEngine({ journal: putBack(state, kept), clock: sim.clock });
        const how = signal === 'abort' ? { signal } : signal === 'accepted' ? { acceptRestored: true } : {};
        const saga = await sim.run(resumedOr(engine, { ...guest, ...how }));
        // What has taken its decision is not asked to roll back at all.
        if (saga instanceof BlocksagaError) expect(saga).toMatchObject({ code: 'SAGA_STATE' });
        else {
          const { outcome, error } = await sim.run(saga.result);
          expect({ outcome, code: error?.code }, `${kept} records`).toEqual({
            outcome: 'needsRecovery',
            code: 'JOURNAL_BEHIND',
          });
          expect(error?.message).toMatch(/QEMU is further in saga s than the journal: it (has|was told of)/);
          expect(error?.message).toMatch(/put the newer one back.*resume --offline s/);
        }
      }
      const offline = recoverOffline(putBack(state, kept), 's', { qmp: sim.connect, clock: sim.clock });
      expect(await sim.run(rejection(offline))).toMatchObject({ code: 'JOURNAL_BEHIND' });
    }
    expect(sim.world.fronts()).toEqual(fronts);
    expect(sim.files.list()).toEqual(files);
  });

  test('is told of by the doctor, who removes nothing on its word', async () => {
    const { sim, state, records } = await died();
    const kept = records.findIndex((_, at) => countOf(records.slice(0, at + 1)) === told(sim)) - 1;
    const qmp = await sim.run(openQmpClient(sim.connect, { clock: sim.clock }));
    const look = (length: number) =>
      sim.run(
        examine({
          journal: putBack(state, length),
          ...{ qmp, clock: sim.clock, processes: dead, acceptRestored: true },
          ...{ files: sim.files, images: virtualImages(sim) },
        }),
      );
    const [first, ...others] = await look(kept);
    expect(first).toMatchObject({ kind: 'journal', removable: false });
    expect(first?.why).toMatch(/it is an older copy: QEMU is further in saga s: it was told of \d+ steps/);
    const removed = await sim.run(removeFindings(others));
    expect(removed.filter(each => each.removed)).toEqual([]);
    expect((await look(records.length)).filter(({ kind }) => kind === 'journal')).toEqual([]);
  });

  test('is not what the newest one is taken for: that is resumed to its end, and QEMU keeps no count', async () => {
    const { sim, state } = await died();
    const engine = createEngine({ journal: memoryJournal(state), clock: sim.clock });
    const guest = { qmp: sim.connect, files: sim.files };
    const saga = await sim.run(engine.resume('s', { ...guest, force: true }));
    const { outcome } = await sim.run(saga.result);
    expect(['committed', 'rolledBack']).toContain(outcome);
    expect(sim.world.inject('qom-get', { path: COUNT, property: 'limits' })).toHaveProperty('error');
  });
});
