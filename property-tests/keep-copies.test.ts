/** A copy that waits and is asked to keep its copies without a switch: its orchestrator or its QEMU dies anywhere. */
import { describe, expect, test } from 'vitest';
import { createEngine } from '../src/engine/engine.ts';
import { recoverOffline } from '../src/engine/recovery/recover-offline.ts';
import { createMortal } from '../src/fuzz/account/mortal.ts';
import { judgeWrites } from '../src/fuzz/laws/judge-writes.ts';
import type { OrchestratorDeath } from '../src/fuzz/scenario/scenario.ts';
import { type MemoryJournalState, memoryJournal } from '../src/journal/memory.ts';
import type { Strategy } from '../src/plan/plan.ts';
import type { Sim } from '../src/sim/create-sim.ts';
import type { Fault } from '../src/sim/monitor/faults.ts';
import { virtualImages } from '../src/sim/virtual-images.ts';
import { killAt, type Life, live, smallSim } from '../test/engine/lives.ts';
import { often, strides } from '../test/tiers/tier.ts';

const OLD = ['/images/disk0.qcow2', '/images/disk1.qcow2'];
const NEW = ['/images/new0.qcow2', '/images/new1.qcow2'];
const STRATEGIES = ['reopen', 'finalize', 'complete'] as const;
const request = (strategy: Strategy) => ({
  id: 's',
  vm: 'web',
  disks: NEW.map((to, index) => ({ disk: `dev${index}`, to })),
  finish: 'leave' as const,
  strategy,
});

interface Lived {
  readonly sim: Sim;
  readonly state: MemoryJournalState;
  readonly sends: number;
  readonly died: boolean;
}

/** One process that begins the copy and asks at READY; it may die before its end. */
async function liveOnce(strategy: Strategy, dies: OrchestratorDeath | undefined): Promise<Lived> {
  const sim = smallSim({ timing: { guestWriteMs: 0.01 } });
  const journal = memoryJournal(undefined, { clock: sim.clock });
  let sends = 0;
  const ignore = () => undefined;
  const sent = () => {
    sends += 1;
  };
  const passage = { sent, received: ignore, fileTouched: ignore, fileLooked: ignore, recorded: ignore };
  const agent = () => Promise.reject(new Error('no agent was asked for'));
  const { connect, clock, files } = sim;
  const images = virtualImages(sim);
  const parts = { connect, journal, clock, files, agent, images, dies, lingerMs: 0.2, passage };
  const mortal = createMortal(parts);
  const engine = createEngine({ journal: mortal.journal, clock: mortal.clock });
  const work = async () => {
    const saga = await engine.copy({ qmp: mortal.connect, files: mortal.files, ...request(strategy) });
    saga.result.catch(ignore);
    await saga.result;
    await saga.keepCopies();
  };
  const end = work().catch(error => {
    if (mortal.isAlive()) throw error;
  });
  await sim.run(Promise.race([end, mortal.death]));
  await sim.advance(20);
  return { sim, state: journal.snapshot(), sends, died: !mortal.isAlive() };
}

/** The next process resumes the saga, and asks again where it waits. */
async function goOn({ sim, state }: Pick<Lived, 'sim' | 'state'>) {
  const next = live(sim, state);
  if (next.journal.saga('s') === undefined) return undefined;
  const saga = await sim.run(next.engine.resume('s', next.guest));
  const result = await sim.run(saga.result);
  return result.outcome === 'ready' ? sim.run(saga.keepCopies()) : result;
}

/** The guest is where it was, and beside it either nothing is left or one moment of its life. */
function expectPromise(sim: Sim, files: readonly string[], what: string): void {
  const fronts = sim.world.fronts().map(front => front.path);
  expect([fronts, sim.files.list(), sim.world.running], what).toEqual([OLD, [...OLD, ...files], true]);
  const ask = (command: string, args = {}) => JSON.stringify(sim.world.inject(command, args)?.['return']);
  expect(ask('query-jobs'), what).toBe('[]');
  expect(ask('query-named-block-nodes', { flat: true }), what).not.toContain('"bs-');
  expect(ask('qom-list', { path: '/objects' }), what).not.toContain('bs-');
  if (files.length > 0) expectCut(sim, what);
}

function expectCut(sim: Sim, what: string): void {
  const images = new Map(NEW.map((file, disk) => [disk, sim.world.readFile(file)]));
  const { upTo, why } = judgeWrites(images, NEW.length);
  expect([why, upTo > 0], what).toEqual([undefined, true]);
}

const diesAt = strides(10);
const struckAt = strides(26);

describe.each(STRATEGIES)('a copy that waits and is asked to keep its copies, by %s', strategy => {
  test('comes to one instant of all disks, wherever its orchestrator dies', async () => {
    const whole = await liveOnce(strategy, undefined);
    expectPromise(whole.sim, NEW, 'without a death');
    const counted = (length: number) => Array.from({ length }, (_, index) => index + 1);
    const deaths: readonly OrchestratorDeath[] = [
      ...counted(whole.sends).map(nth => ({ at: 'send', nth }) as const),
      ...counted(40).flatMap(nth => [
        { at: 'record', nth, written: true } as const,
        { at: 'record', nth, written: false } as const,
      ]),
    ];
    let died = 0;
    const chosen = diesAt(deaths.length);
    for (const dies of deaths.filter((_, at) => chosen.includes(at + 1))) {
      const lived = await liveOnce(strategy, dies);
      if (!lived.died) continue;
      died += 1;
      const result = await goOn(lived);
      if (result === undefined) continue;
      const what = `${JSON.stringify(dies)}: ${JSON.stringify(result.error)}`;
      expect([result.outcome, result.strategy, result.leftovers], what).toEqual(['committed', null, []]);
      expectPromise(lived.sim, NEW, what);
    }
    expect(died).toBeGreaterThan(often(2, 30));
  });

  test('leaves the guest on its old disks, with all copies or none, wherever QEMU dies', async () => {
    const seen = new Set<string>();
    for (let nth = 1; ; nth += 1) {
      const { sim, state } = await killAt(nth, keepsCopies(strategy));
      if (state === undefined) break;
      const journal = memoryJournal(state);
      const row = journal.saga('s');
      if (row === undefined || row.state === 'committed' || row.state === 'rolledBack') continue;
      const result = await recoverOffline(journal, 's', { files: sim.files, images: virtualImages(sim) });
      const what = `killed after command ${nth}: ${result.why}`;
      expect(
        (result.boot ?? []).map(({ file }) => file),
        what,
      ).toEqual(OLD);
      const files = result.outcome === 'committed' ? NEW : [];
      expect(sim.files.list(), what).toEqual([...OLD, ...files]);
      if (files.length > 0) expectCut(sim, what);
      seen.add(result.outcome);
    }
    expect([...seen].sort()).toEqual(['committed', 'rolledBack']);
  });

  test.each(['refuse', 'replyLost', 'cut'] as const)(
    'goes forward or back as a whole whenever there is a fault: %s',
    async kind => {
      let struck = 0;
      for (const nth of struckAt(120)) {
        const before = struck;
        const onFault = () => {
          struck += 1;
        };
        const sim = smallSim({ onFault });
        const life = live(sim);
        const fault: Fault = kind === 'cut' ? { kind, effect: 'after', nth } : { kind, nth };
        sim.armFault(fault);
        const work = async () => {
          const saga = await life.engine.copy({ ...life.guest, ...request(strategy) });
          const first = await saga.result;
          return first.outcome === 'ready' ? saga.keepCopies() : first;
        };
        const what = `${kind} at command ${nth}`;
        let result = await sim.run(work().catch(() => undefined));
        sim.endFaults();
        if (result?.outcome === 'needsRecovery') result = await goOn({ sim, state: life.die() });
        await sim.advance(5);
        expectPromise(sim, result?.outcome === 'committed' ? NEW : [], `${what}: ${JSON.stringify(result)}`);
        if (struck === before) break;
      }
      expect(struck).toBeGreaterThan(often(1, 25));
    },
  );
});

/** A copy that waits and is asked to keep its copies. */
function keepsCopies(strategy: Strategy) {
  return async (life: Life) => {
    const saga = await life.engine.copy({ ...life.guest, ...request(strategy) });
    await saga.result;
    await saga.keepCopies();
  };
}
