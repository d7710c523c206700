/** Each step by itself: undoing it twice is undoing it once, and it can be done again after that. */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../src/engine/api.ts';
import { createEngine } from '../src/engine/engine.ts';
import { takeSight } from '../src/fuzz/account/sight.ts';
import type { Scenario } from '../src/fuzz/scenario/scenario.ts';

import { DIRECTORY } from '../src/fuzz/scenario/wish-files.ts';
import {
  commitRequestOf,
  copyRequestOf,
  pullRequestOf,
  revertRequestOf,
  snapshotRequestOf,
} from '../src/fuzz/scenario/wish-request.ts';
import { memoryJournal } from '../src/journal/memory.ts';
import type { Plan } from '../src/plan/plan.ts';
import { openQmpClient } from '../src/qmp/client.ts';
import { createJobs } from '../src/qmp/jobs.ts';
import type { Json } from '../src/qmp/transport.ts';
import { createSim, type Sim } from '../src/sim/create-sim.ts';
import { ALL_STEPS, type StepName } from '../src/steps/all-steps.ts';
import type { Step, StepContext } from '../src/steps/step/step.ts';
import { PLAIN } from './plain.ts';

/** The steps up to the decision, in order. */
const PATHS: readonly (readonly [keyof typeof PLAIN, readonly StepName[]])[] = [
  ['a snapshot in one transaction', ['markQemu', 'claimFiles', 'createImages', 'takeSnapshot']],
  ['a snapshot whose overlays the transaction makes', ['markQemu', 'claimFiles', 'takeSnapshotSync']],
  ['a snapshot disk by disk', ['markQemu', 'claimFiles', 'pauseGuest', 'takeSnapshotsOneByOne']],
  [
    'a copy that reopens filters',
    [
      ...(['markQemu', 'claimFiles', 'createImages', 'insertFiltersLive', 'mirrorDisks'] as const),
      ...(['pauseGuest', 'endMirrorsInPlace', 'reopenFilters'] as const),
    ],
  ],
  [
    'a copy that reopens filters in the pause',
    [
      ...([
        'markQemu',
        'claimFiles',
        'createImages',
        'mirrorDisks',
        'pauseGuest',
        'endMirrorsInPlace',
      ] as const),
      ...(['insertFilters', 'reopenFilters'] as const),
    ],
  ],
  [
    'a copy that finalizes mirrors',
    ['markQemu', 'claimFiles', 'createImages', 'mirrorDisks', 'pauseGuest', 'parkMirrors', 'finalizeMirrors'],
  ],
  [
    'a copy that completes mirrors',
    ['markQemu', 'claimFiles', 'createImages', 'mirrorDisks', 'pauseGuest', 'completeMirrors'],
  ],
  ['a revert', ['markQemu', 'claimFiles', 'createImages', 'insertFilters', 'reopenFilters']],
];

/** Their undo uses up what earlier steps made: before they are done again, those are taken back and done again too. */
const RENEWED: Partial<Record<StepName, readonly StepName[]>> = {
  insertFiltersLive: ['createImages'],
  takeSnapshot: ['createImages'],
  endMirrorsInPlace: ['mirrorDisks'],
  parkMirrors: ['mirrorDisks'],
  finalizeMirrors: ['mirrorDisks', 'parkMirrors'],
  completeMirrors: ['mirrorDisks'],
};

describe.each(PATHS)('%s', (what, path) => {
  test.each(path.map((name, index) => ({ name, before: path.slice(0, index) })))(
    'takes $name back once or twice, and does it again',
    async ({ name, before }) => {
      const bench = await Bench.make(PLAIN[what]);
      for (const earlier of before) await bench.do(earlier);
      const untouched = bench.look();
      const outcome = await bench.do(name);
      expect(bench.look()).not.toBe(untouched);
      await bench.undo(name, outcome);
      const renewed = RENEWED[name] ?? [];
      if (renewed.length === 0) expect(bench.look()).toBe(untouched);
      const once = bench.look();
      await bench.undo(name, outcome);
      expect(bench.look()).toBe(once);
      await bench.undo(name, undefined);
      expect(bench.look()).toBe(once);
      for (const earlier of renewed.toReversed()) await bench.undo(earlier, undefined);
      for (const earlier of renewed) await bench.do(earlier);
      expect(bench.look()).toBe(untouched);
      await bench.undo(name, await bench.do(name));
      expect(bench.look()).toBe(once);
    },
  );
});

/** Runs single steps over a simulator, as an engine would that never fails. */
class Bench {
  readonly #sim: Sim;
  readonly #context: StepContext;
  readonly #outcomes: Map<string, Json>;
  /** How often each step was done. */
  readonly #rounds = new Map<StepName, number>();
  #observed: Json = null;

  private constructor(sim: Sim, context: StepContext, outcomes: Map<string, Json>) {
    this.#sim = sim;
    this.#context = context;
    this.#outcomes = outcomes;
  }

  static async make({ guest, seed, wish }: Scenario): Promise<Bench> {
    const stopped = wish.operation === 'revert' && wish.stopped;
    const sim = createSim({ ...guest, paused: guest.paused || stopped, seed, directory: DIRECTORY });
    const engine = createEngine({ journal: memoryJournal(), clock: sim.clock });
    const at = { qmp: sim.connect, files: sim.files };
    const planning: Promise<Plan> = planOf(engine, { wish, guest }, at);
    const plan = await sim.run(planning);
    const qmp = await sim.run(openQmpClient(sim.connect, { clock: sim.clock }));
    const outcomes = new Map<string, Json>();
    const never = new AbortController().signal;
    const context: StepContext = {
      plan,
      unplugged: [],
      qmp,
      jobs: createJobs(qmp),
      files: sim.files,
      clock: sim.clock,
      signals: { abort: never, pivot: never, keepCopies: never, keepSnapshot: never },
      barrier: null,
      pauseLeftMs: () => plan.maxBlackoutMs,
      pauseBegins: () => undefined,
      pauseIsOver: () => undefined,
      pausedThroughout: () => true,
      sideGoesTo: () => undefined,
      sideIs: () => undefined,
      ranBeforeSwitch: () => false,
      ranBehindSwitch: () => 'no',
      ranOnBoth: new Set(),
      recordRanOnBoth: async () => undefined,
      likeness: () => 'alike',
      sawAlike: () => undefined,
      endsMirrors: () => undefined,
      takeMirrorsEnd: () => undefined,
      sawWrites: () => undefined,
      writesAtStop: () => undefined,
      sawReady: () => undefined,
      wasReady: () => true,
      decided: false,
      speed: () => 0,
      nothingSentYet: true,
      unlinked: null,
      round: 1,
      observed: null,
      failure: undefined,
      outcomes,
      recordSides: async () => undefined,
      openAgent: () => sim.agent(),
      publish: async () => undefined,
      expectHeld: () => undefined,
      heldAgain: () => undefined,
      recordRun: async () => undefined,
      mergedElsewhere: new Set(),
      mergesLookedAt: new Set(),
      recordMergedElsewhere: async () => undefined,
      report: () => undefined,
    };
    return new Bench(sim, context, outcomes);
  }

  do(name: StepName): Promise<Json> {
    const step: Step = ALL_STEPS[name];
    return this.#sim.run(
      (async () => {
        this.#observed = (await step.observe?.(this.#context)) ?? null;
        const round = (this.#rounds.get(name) ?? 0) + 1;
        this.#rounds.set(name, round);
        const context = { ...this.#context, observed: this.#observed, round };
        const outcome = await step.do(context, context.plan.disks);
        await step.verify?.(context);
        this.#outcomes.set(name, outcome);
        return outcome;
      })(),
    );
  }

  undo(name: StepName, outcome: Json | undefined): Promise<void> {
    const step: Step = ALL_STEPS[name];
    return this.#sim.run(
      (async () => {
        if (!('undo' in step)) throw new Error(`${name} has no undo`);
        const observed =
          step.observeUndo === undefined ? this.#observed : await step.observeUndo(this.#context);
        const came = await step.undo({ ...this.#context, observed }, outcome);
        this.#outcomes.set(`undo.${name}`, step.undone?.(observed, outcome, came) ?? null);
      })(),
    );
  }

  /** What stands in QEMU and in the directory, as text; without what the guest wrote, and without job progress. */
  look(): string {
    const sight = takeSight(this.#sim);
    const { runState, disks, inUse, jobs, throttleGroups, bitmaps, drained, files } = sight;
    // What a -drive made goes with its last user: where a guest was taken back, its image is open under another name.
    const nodes = sight.nodes.filter(node => !(node.endsWith('-old') && inUse.has(node)));
    // QEMU makes up names of its own anew each time.
    const named = (name: string) => (name.startsWith('#') ? '#' : name);
    const fronts = disks.map(({ path, filters, chain }) => ({ path, filters: filters.map(named), chain }));
    const lists = {
      nodes: nodes.toSorted(),
      jobs: jobs.toSorted(),
      throttleGroups,
      bitmaps,
      drained: drained.map(named),
    };
    return JSON.stringify({ runState, fronts, ...lists, files: [...files.keys()].toSorted() }, null, 1);
  }
}

function planOf(
  engine: Engine,
  { wish, guest }: Pick<Scenario, 'wish' | 'guest'>,
  at: Pick<Sim, 'files'> & { readonly qmp: Sim['connect'] },
): Promise<Plan> {
  switch (wish.operation) {
    case 'snapshot':
    case 'snapshotMirror':
      return engine.planSnapshot({ ...snapshotRequestOf(wish, guest), ...at });
    case 'copy':
      return engine.planCopy({ ...copyRequestOf(wish, guest), ...at });
    case 'pull':
      return engine.planPull({ ...pullRequestOf(wish, guest), ...at });
    case 'commit':
      return engine.planCommit({ ...commitRequestOf(wish, guest), ...at });
    case 'revert':
      return engine.planRevert({ ...revertRequestOf(wish, guest), ...at });
    case 'commitOffline':
      throw new Error('no engine plans what is done without QEMU');
  }
}
