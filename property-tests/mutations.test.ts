/**
 * Tests of the tests: one deliberate defect for each law, put into a step from outside, that the laws must notice. A
 * defect that no law notices means that a law looks at nothing.
 */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { BlocksagaError } from '../src/errors.ts';
import { ALL, drawScenario, type Limits } from '../src/fuzz/draw/draw-scenario.ts';
import { judge, LAWS } from '../src/fuzz/laws/laws.ts';
import { WireOrder } from '../src/fuzz/laws/order.ts';
import { runScenario } from '../src/fuzz/run/run-scenario.ts';
import type { Scenario } from '../src/fuzz/scenario/scenario.ts';
import { newFile } from '../src/fuzz/scenario/wish-files.ts';
import { removeFile } from '../src/images/files.ts';
import type { DiskPlan } from '../src/plan/plan.ts';
import type { Json } from '../src/qmp/transport.ts';
import { RING } from '../src/sim/machine/ring.ts';
import { ALL_STEPS, type StepName } from '../src/steps/all-steps.ts';
import type { Step, StepContext } from '../src/steps/step/step.ts';
import { often } from '../test/tiers/tier.ts';
import { PLAIN } from './plain.ts';

/** Whether an offline recovery takes each journal at its word. */
const journal = vi.hoisted(() => ({ isTrusted: false }));

vi.mock('../src/engine/recovery/ask-images.ts', async importOriginal => {
  const real = await importOriginal<typeof import('../src/engine/recovery/ask-images.ts')>();
  return {
    ...real,
    askImages: (...given: Parameters<typeof real.askImages>) =>
      journal.isTrusted ? Promise.resolve([]) : real.askImages(...given),
  };
});

vi.mock('../src/engine/durable/newest-journal.ts', async importOriginal => {
  const real = await importOriginal<typeof import('../src/engine/durable/newest-journal.ts')>();
  return {
    ...real,
    isOlder: (...given: Parameters<typeof real.isOlder>) => !journal.isTrusted && real.isOlder(...given),
    expectNewestOrAccept: (...given: Parameters<typeof real.expectNewestOrAccept>) => {
      if (!journal.isTrusted) real.expectNewestOrAccept(...given);
    },
  };
});

/** Whether a result keeps silent of what QEMU made where this process does not see it. */
const elsewhere = vi.hoisted(() => ({ isSilent: false }));

vi.mock('../src/engine/removal/claims.ts', async importOriginal => {
  const real = await importOriginal<typeof import('../src/engine/removal/claims.ts')>();
  return {
    ...real,
    unseenFiles: (...given: Parameters<typeof real.unseenFiles>) =>
      elsewhere.isSilent ? [] : real.unseenFiles(...given),
  };
});

/** Enough that each defect is met many times; one that is not noticed in so many runs is not noticed. */
const RUNS_MAX = 300;
const SENDS_MAX = 40;

/** Runs that leave something, as they are excused for it. */
const KEPT = JSON.parse(readFileSync(new URL('excused.json', import.meta.url), 'utf8')) as {
  readonly 'nothing left: refuse lasting': Scenario;
  readonly 'nothing lost: otherClient blockdev-reopen': Scenario;
};

function readScenario(file: string): Scenario {
  const replay = JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')) as {
    readonly scenario: Scenario;
  };
  return replay.scenario;
}

const steps = ALL_STEPS as { -readonly [name in StepName]: Step };
const sound: Readonly<Record<StepName, Step>> = { ...ALL_STEPS };

type Change = (step: Step) => object;

/** Replaces members of a step until the test is over. */
function spoil(name: StepName, change: Change): void {
  steps[name] = { ...sound[name], ...change(sound[name]) } as Step;
}

afterEach(() => {
  journal.isTrusted = false;
  elsewhere.isSilent = false;
  Object.assign(steps, sound);
});

interface Broken {
  /** The wanted laws that the first run broke which broke any of them. */
  readonly wanted: readonly string[];
  readonly others: ReadonlySet<string>;
}

/** Runs until one of the wanted laws is broken, or any where none is named. */
async function breakLaws(scenarios: Iterable<Scenario>, laws?: readonly string[]): Promise<Broken> {
  const others = new Set<string>();
  for (const scenario of scenarios) {
    const broken = judge(await runScenario(scenario)).map(violation => violation.law);
    const wanted = broken.filter(law => laws?.includes(law) ?? true);
    if (wanted.length > 0) return { wanted, others };
    for (const law of broken) others.add(law);
  }
  return { wanted: [], others };
}

function* drawn(limits: Partial<Limits>, runs = RUNS_MAX): Generator<Scenario> {
  for (let seed = 1; seed <= runs; seed += 1) {
    // A guest that is shut down for an older journal's sake shows less of any other defect.
    const { restored: _, ...scenario } = drawScenario(seed, { ...ALL, disksMax: 3, ...limits });
    yield scenario;
  }
}

/** A death after each write to QEMU. */
function* deathsIn(scenario: Scenario): Generator<Scenario> {
  for (let nth = 1; nth <= SENDS_MAX; nth += 1) yield { ...scenario, deaths: [{ at: 'send', nth }] };
}

const nothing = async () => undefined;
const refused = async () => {
  throw new BlocksagaError('VERIFY_FAILED', 'it is not as it should be');
};
const allPresent: Change = () => ({
  probe: async ({ plan }: { plan: { disks: readonly object[] } }) => ({
    absent: [],
    present: plan.disks,
    foreign: [],
  }),
});

const COPIES = () => drawn({ operations: ['copy'] });
const COPIES_OF_7_2 = () => drawn({ operations: ['copy'], profiles: ['7.2'] });
/** Copies that commit, with an older journal put back behind them. */
function* restored(): Generator<Scenario> {
  for (const scenario of drawn({ operations: ['copy'], faultsMax: 0 })) {
    yield { ...scenario, deaths: [], restored: { death: 1, permille: 100 + (scenario.seed % 8) * 100 } };
  }
}

/** Copies by TCP, of whose files nothing is seen. */
function* byTcp(): Generator<Scenario> {
  for (const { proc: _, ...scenario } of drawn({ operations: ['copy'], profiles: ['7.2'] })) {
    yield { ...scenario, elsewhere: 'tcp' };
  }
}

/** Snapshots whose orchestrator has other files under the names of QEMU's. */
function* besideOthers(): Generator<Scenario> {
  for (const { proc: _, ...scenario } of drawn({ operations: ['snapshot'], profiles: ['7.2'] }))
    yield { ...scenario, elsewhere: 'unproved' };
}

/** Copies whose new images lose their names to files of a third party's while mirrors run. */
function* replaced(): Generator<Scenario> {
  for (const scenario of drawn({ operations: ['copy'], profiles: ['7.2'], faultsMax: 0 })) {
    const [index = 0] = scenario.wish.named;
    const path = newFile(scenario.wish, index);
    const at = { when: 'after', nth: 2 } as const;
    yield {
      ...scenario,
      proc: true,
      faults: [{ kind: 'file', at, path, how: 'replace', from: 'mirrorDisks' }],
    };
  }
}

/** A third party unplugs the second disk, at each moment from a state on. */
function* unplugged(plain: Scenario, from: string, more: Partial<Scenario> = {}): Generator<Scenario> {
  for (let nth = 1; nth <= SENDS_MAX; nth += 1) yield unpluggedAt(plain, from, nth, more);
}

function unpluggedAt(plain: Scenario, from: string, nth: number, more: Partial<Scenario> = {}): Scenario {
  const at = { when: 'before', nth } as const;
  const device = `dev${plain.wish.named.at(-1)}`;
  const unplug = { kind: 'otherClient', execute: 'device_del', arguments: { id: device }, at, from } as const;
  return { ...plain, guest: { ...plain.guest, bus: 'scsi-hd' }, faults: [unplug], ...more };
}

/** A snapshot that is rolled back while its mirrors wait. */
const ROLLED_BACK: Scenario = {
  ...PLAIN['a snapshot whose mirrors are switched to'],
  signals: [{ signal: 'abort', atMs: 40 }],
};

/** A revert of disks that stay in their iothreads, with one thing that goes wrong. */
const rebasing = (...faults: Scenario['faults']): Scenario => ({
  ...PLAIN['a revert'],
  guest: { ...PLAIN['a revert'].guest, bus: 'scsi-hd', iothreads: true },
  faults,
});

/** A revert behind which a third party resumes a guest that writes over all that it has read before the end is looked at. */
const RESUMED_BEHIND_A_REVERT: Scenario = {
  ...PLAIN['a revert'],
  pace: { ...PLAIN['a revert'].pace, guestWriteMs: 0.02 },
  faults: [{ kind: 'otherClient', execute: 'cont', at: { when: 'before', nth: 1 }, from: 'closeOldNodes' }],
};

const SNAPSHOTS = () => drawn({ operations: ['snapshot'] });
const REVERTS = () => drawn({ operations: ['revert'] });
const MIRRORED = () => drawn({ operations: ['snapshotMirror'] });

const DEFECTS: readonly {
  readonly what: string;
  readonly scenarios: () => Iterable<Scenario>;
  readonly spoil: () => void;
  /** One of these must be named. */
  readonly laws: readonly string[];
}[] = [
  {
    what: 'an undo of the images that does nothing',
    scenarios: COPIES,
    spoil: () => spoil('createImages', () => ({ undo: nothing })),
    laws: ['nothing left', 'nothing lost', 'it ends'],
  },
  {
    what: 'an undo of the mark that does nothing',
    scenarios: COPIES,
    spoil: () => spoil('markQemu', () => ({ undo: nothing })),
    laws: ['nothing left'],
  },
  {
    what: 'files that are claimed and never removed',
    scenarios: SNAPSHOTS,
    spoil: () => spoil('claimFiles', () => ({ undo: nothing })),
    laws: ['nothing left'],
  },
  {
    what: 'claims that stay where QEMU does not see them',
    scenarios: besideOthers,
    spoil: () =>
      spoil('claimFiles', sound => ({
        do: ({ files, ...context }: StepContext, todo: readonly DiskPlan[]) =>
          sound.do({ ...context, files: files && { ...files, unlink: nothing } }, todo),
      })),
    laws: ['nothing left'],
  },
  {
    what: 'claims whose undo removes what others put there',
    scenarios: SNAPSHOTS,
    spoil: () =>
      spoil('claimFiles', sound => ({
        undo: async (context: StepContext, outcome: Json | undefined) => {
          if ('undo' in sound) await sound.undo(context, outcome);
          for (const { image } of context.plan.disks) {
            const stands = image.create ? await context.files?.stat(image.file) : undefined;
            if (stands !== undefined) await context.files?.unlink(image.file, stands.identity);
          }
        },
      })),
    laws: ['only what is ours'],
  },
  {
    what: 'an older copy of the journal that is taken at its word',
    scenarios: restored,
    spoil: () => {
      journal.isTrusted = true;
    },
    laws: ['no newer image is given up'],
  },
  {
    what: 'a result that keeps silent of what is left on a host that is not seen',
    scenarios: byTcp,
    spoil: () => {
      elsewhere.isSilent = true;
    },
    laws: ['nothing left', 'leftovers tell all'],
  },
  {
    what: 'new images that are known by their names alone',
    scenarios: replaced,
    spoil: () => {
      spoil('pauseGuest', sound => ({
        observe: (context: StepContext) => sound.observe?.({ ...context, files: null }),
      }));
    },
    laws: ['a boot reads it too', 'leftovers tell all'],
  },
  {
    what: 'an undo of the mirrors that does nothing',
    scenarios: COPIES,
    spoil: () => spoil('mirrorDisks', () => ({ undo: nothing })),
    laws: ['nothing left', 'recovery is the exception', 'it ends', 'sound'],
  },
  {
    what: 'a guest that is never resumed',
    scenarios: COPIES,
    spoil: () => spoil('resumeGuest', () => ({ do: async () => null })),
    laws: ['the guest runs'],
  },
  {
    what: 'a pause whose undo is forgotten',
    scenarios: COPIES,
    spoil: () => spoil('pauseGuest', () => ({ undo: nothing })),
    laws: ['the guest runs'],
  },
  {
    what: 'a switch without a pause',
    scenarios: COPIES,
    spoil: () => spoil('pauseGuest', () => ({ do: async () => ({ byUs: false }) })),
    laws: ['nothing lost', 'one instant', 'recovery is the exception', 'crash is resume'],
  },
  {
    what: 'a switch of all disks but the last',
    scenarios: COPIES,
    spoil: () =>
      spoil('finalizeMirrors', step => ({
        do: (context: Parameters<Step['do']>[0], todo: Parameters<Step['do']>[1]) =>
          step.do({ ...context, plan: { ...context.plan, disks: todo.slice(0, -1) } }, todo.slice(0, -1)),
      })),
    laws: ['recovery is the exception', 'it ends'],
  },
  {
    what: 'a decision before the mirrors have settled',
    scenarios: COPIES_OF_7_2,
    spoil: () => spoil('endMirrorsInPlace', () => ({ do: async () => null })),
    laws: ['nothing lost', 'nothing left', 'one instant', 'recovery is the exception', 'crash is resume'],
  },
  {
    what: 'a vanished mirror that is taken for a good one',
    scenarios: COPIES_OF_7_2,
    spoil: () => {
      spoil('mirrorDisks', () => ({ do: async () => null }));
      spoil('awaitConvergence', () => ({ do: async () => null }));
      spoil('endMirrorsInPlace', () => ({ do: async () => null }));
    },
    laws: ['nothing lost', 'one instant'],
  },
  {
    what: 'snapshots disk by disk that do not look for what was taken already',
    scenarios: () => deathsIn(PLAIN['a snapshot disk by disk']),
    spoil: () =>
      spoil('takeSnapshotsOneByOne', () => ({
        probe: async ({ plan }: { plan: { disks: readonly object[] } }) => ({
          absent: plan.disks,
          present: [],
          foreign: [],
        }),
      })),
    laws: ['crash is resume', 'recovery is the exception', 'all or none', 'it ends'],
  },
  {
    what: 'snapshots that are taken for taken',
    scenarios: SNAPSHOTS,
    spoil: () => spoil('takeSnapshot', () => ({ do: async () => null, verify: nothing })),
    laws: ['all or none', 'crash is resume', 'recovery is the exception'],
  },
  {
    what: 'snapshots disk by disk of a guest that runs',
    scenarios: SNAPSHOTS,
    spoil: () => spoil('pauseGuest', () => ({ do: async () => ({ byUs: false }) })),
    laws: ['one instant', 'crash is resume'],
  },
  {
    what: 'snapshots that are never taken back',
    scenarios: () => [
      {
        ...PLAIN['a snapshot disk by disk'],
        faults: [{ kind: 'refuse', command: 'blockdev-snapshot-sync', nth: 2 }],
      },
    ],
    spoil: () => {
      spoil('takeSnapshot', () => ({ undo: nothing }));
      spoil('takeSnapshotsOneByOne', () => ({ undo: nothing }));
    },
    laws: ['all or none', 'nothing lost', 'nothing left', 'recovery is the exception', 'it ends'],
  },
  {
    what: 'filters that are set as drives a second time without a look',
    scenarios: () => {
      const refusal = { kind: 'refuse', command: 'blockdev-del', from: 'removeFilters' } as const;
      return [{ ...PLAIN['a copy that reopens filters in the pause'], faults: [refusal] }];
    },
    spoil: () =>
      spoil('removeFilters', step => ({
        do: (context: Parameters<Step['do']>[0], todo: Parameters<Step['do']>[1]) =>
          step.do({ ...context, nothingSentYet: true }, todo),
      })),
    laws: ['QEMU survives'],
  },
  {
    what: 'a removal of the filters that is taken for done',
    scenarios: COPIES_OF_7_2,
    spoil: () => spoil('removeFiltersLive', step => ({ ...allPresent(step), do: async () => null })),
    laws: ['nothing left', 'recovery is the exception'],
  },
  {
    what: 'new images that are removed when a third party has moved a disk back by its filter',
    scenarios: () => [KEPT['nothing lost: otherClient blockdev-reopen']],
    spoil: () =>
      spoil('closeOldNodes', step => ({
        do: async (context: StepContext, todo: Parameters<Step['do']>[1]) => {
          const { files, plan } = context;
          for (const { file } of plan.disks.map(({ image }) => image)) {
            const there = await files?.stat(file);
            if (there && files) await removeFile(files, file, there.identity);
          }
          return step.do(context, todo);
        },
      })),
    laws: ['nothing lost', 'the stuck end offline'],
  },
  {
    what: 'a guest that is paused for two seconds more',
    scenarios: COPIES,
    spoil: () =>
      spoil('resumeGuest', step => ({
        do: async (context: Parameters<Step['do']>[0], todo: Parameters<Step['do']>[1]) => {
          await new Promise<void>(resolve => context.clock.after(2_000, resolve));
          return step.do(context, todo);
        },
      })),
    laws: ['the pause is bounded'],
  },
  {
    what: 'a wait in the pause that has a deadline of its own',
    scenarios: () => drawn({ operations: ['copy'], profiles: ['7.2'], faultsMax: 0 }),
    spoil: () =>
      spoil('resumeGuest', step => ({
        do: async (context: StepContext, todo: Parameters<Step['do']>[1]) => {
          const waits = { wakeOn: [], deadlineMs: 3_000 };
          await context.qmp.until('what does not come', async () => undefined, waits).catch(() => undefined);
          return step.do(context, todo);
        },
      })),
    laws: ['the pause is bounded'],
  },
];

/** Does the step for other disks than were planned. */
const withDisks =
  (change: (disk: DiskPlan) => DiskPlan): Change =>
  step => ({
    do: (context: Parameters<Step['do']>[0], todo: Parameters<Step['do']>[1]) =>
      step.do(
        { ...context, plan: { ...context.plan, disks: context.plan.disks.map(change) } },
        todo.map(change),
      ),
  });

function withHeaders(plan: Parameters<Step['do']>[0]['plan'], backingFile: string): typeof plan {
  if (!('rewrites' in plan)) return plan;
  return { ...plan, rewrites: plan.rewrites.map(rewrite => ({ ...rewrite, backingFile })) };
}

const DEFECTS_OF_STAGES: typeof DEFECTS = [
  {
    what: 'a header that names another image of the chain than the one below',
    scenarios: () => [PLAIN['a pull down to a base']],
    spoil: () =>
      spoil('rewriteChains', step => ({
        do: (context: Parameters<Step['do']>[0], todo: Parameters<Step['do']>[1]) =>
          step.do({ ...context, plan: withHeaders(context.plan, 'no such image') }, todo),
      })),
    laws: ['a boot reads it too'],
  },
  {
    what: 'a revert onto the image that the disks are on already',
    scenarios: REVERTS,
    spoil: () =>
      spoil(
        'createImages',
        withDisks(disk => ({ ...disk, image: { ...disk.image, backing: disk.chain[0] ?? null } })),
      ),
    laws: ['all or none', 'nothing lost', 'crash is resume', 'nothing left'],
  },
  {
    what: 'a revert that removes the images which it stands on',
    scenarios: () => [PLAIN['a revert that removes files']],
    spoil: () =>
      spoil('removeLeaving', () => ({
        observe: async ({ files, plan }: Parameters<Step['do']>[0]) =>
          Promise.all(
            plan.disks
              .flatMap(disk => disk.chain)
              .map(async ({ file }) => ({ file, identity: (await files?.stat(file))?.identity ?? '' })),
          ),
      })),
    laws: ['nothing lost'],
  },
  {
    what: 'new overlays of a revert that hide what the older images hold, from a guest that writes over all of it',
    scenarios: () => [RESUMED_BEHIND_A_REVERT],
    spoil: () =>
      spoil('createImages', step => ({
        do: async (context: Parameters<Step['do']>[0], todo: Parameters<Step['do']>[1]) => {
          const outcome = await step.do(context, todo);
          for (const { goal } of todo)
            await context.qmp.execute('human-monitor-command', {
              'command-line': `qemu-io ${goal} "write -P 7 ${RING.offset} ${RING.sectors * RING.sectorBytes}"`,
            });
          return outcome;
        },
      })),
    laws: ['nothing lost'],
  },
  {
    what: 'mirrors that stand on nothing when they are switched to',
    scenarios: MIRRORED,
    spoil: () => {
      spoil('standOnBases', step => ({ ...allPresent(step), do: async () => null }));
      spoil('attachChains', step => ({ ...allPresent(step), do: async () => null }));
    },
    laws: ['nothing lost', 'all or none'],
  },
  {
    what: 'a mark of mirrors that ended with the pause which is never taken away, where their end is not waited for any more',
    scenarios: () =>
      Array.from({ length: 60 }, (_, at) => ({
        ...PLAIN['a copy that reopens filters'],
        signals: [{ signal: 'abort' as const, atMs: 3.5 + at / 60 }],
      })),
    spoil: () =>
      spoil('pauseGuest', sound => ({
        undo: async (context: StepContext, outcome: Json | undefined) => {
          const outcomes = new Map([...context.outcomes].filter(([name]) => name !== 'awaitConvergence'));
          if ('undo' in sound) await sound.undo({ ...context, outcomes }, outcome);
        },
      })),
    laws: ['nothing left'],
  },
  {
    what: 'a chain that is opened for mirrors and never closed',
    scenarios: () => {
      const refusal = { kind: 'refuse', nth: 1, from: 'attachChains' } as const;
      return [{ ...PLAIN['a snapshot whose mirrors stand on chains of their own'], faults: [refusal] }];
    },
    spoil: () => spoil('openChains', () => ({ undo: nothing })),
    laws: ['nothing left'],
  },
  {
    what: 'a snapshot that is kept without having been asked for',
    scenarios: () => [
      { ...PLAIN['a snapshot whose mirrors are switched to'], signals: [{ signal: 'abort', atMs: 12 }] },
    ],
    spoil: () => spoil('askWhetherToKeep', () => ({ do: async () => true })),
    laws: ['all or none'],
  },
  {
    what: 'overlays that are told of, and never taken back where the records are kept',
    scenarios: () => [
      {
        ...PLAIN['a snapshot whose mirrors are switched to'],
        publisher: { refusals: 0 },
        signals: [{ signal: 'abort', atMs: 12 }],
      },
    ],
    spoil: () => spoil('publishOverlays', () => ({ undo: nothing })),
    laws: ['the records are told'],
  },
  {
    what: 'bitmaps that do not go on in the overlays',
    scenarios: () => [PLAIN['a snapshot onto overlays that are there, with bitmaps that go on']],
    spoil: () =>
      spoil('takeSnapshot', step => ({
        do: (context: Parameters<Step['do']>[0], todo: Parameters<Step['do']>[1]) =>
          step.do({ ...context, plan: { ...context.plan, bitmaps: [] } as typeof context.plan }, todo),
      })),
    laws: ['all or none'],
  },
];

/** A commit of a stopped guest's images whose orchestrator dies at each of its changes. */
function* deathsOffline(): Generator<Scenario> {
  for (const [nth, done] of [1, 2, 3, 4].flatMap(at => [false, true].map(each => [at, each] as const))) {
    yield { ...OFFLINE, deaths: [{ at: 'change', nth, done }] };
  }
}

const OFFLINE: Scenario = {
  ...PLAIN['a pull of everything'],
  wish: {
    ...{ operation: 'commitOffline', named: [0, 1], without: [], maxBlackoutMs: 1_000 },
    ...{ top: 1, base: 2, delete: true },
  },
};

describe('a commit without QEMU', () => {
  test('keeps every law wherever its orchestrator dies', async () => {
    for (const scenario of deathsOffline()) expect(judge(await runScenario(scenario))).toEqual([]);
  });

  test('is noticed when it claims to have gone back, and when it leaves an image that reads otherwise', async () => {
    const account = await runScenario(OFFLINE);
    const { offline } = account;
    expect([offline?.result?.outcome, judge(account)]).toEqual(['committed', []]);
    expect.assert(offline?.result !== undefined && offline.booted !== undefined);
    const lawsOf = (wrong: typeof offline) =>
      judge({ ...account, offline: wrong }).map(violation => violation.law);
    const back = { ...offline, result: { ...offline.result, outcome: 'rolledBack' as const } };
    expect(lawsOf(back)).toEqual(['the dead leave one set']);
    const disks = offline.booted.disks.map(disk => ({ ...disk, contents: [] }));
    expect(lawsOf({ ...offline, booted: { ...offline.booted, disks } })).toEqual(['the dead leave one set']);
  });
});

/** QEMU is killed at each command after the decision. */
function* killsAfter(scenario: Scenario, state: string): Generator<Scenario> {
  for (let nth = 1; nth <= 6; nth += 1) {
    const fault = { kind: 'kill', what: 'qemu', at: { when: 'after', nth }, from: state } as const;
    yield { ...scenario, faults: [fault] };
  }
}

const DEFECTS_OF_RECORDS: typeof DEFECTS = [
  {
    what: 'a rebase whose undo leaves the overlays in front',
    scenarios: () => [rebasing({ kind: 'refuse', command: 'blockdev-reopen', from: 'rebaseOverlays' })],
    spoil: () => spoil('rebaseOverlays', () => ({ undo: nothing })),
    laws: ['all or none', 'nothing left', 'nothing lost', 'recovery is the exception', 'it ends'],
  },
  {
    what: 'a rebase that is taken for done',
    scenarios: () => [rebasing()],
    spoil: () => spoil('rebaseOverlays', step => ({ ...allPresent(step), do: async () => null })),
    laws: ['all or none', 'nothing lost', 'recovery is the exception'],
  },
  {
    what: 'a rebase of all disks but the last',
    scenarios: () => [rebasing()],
    spoil: () =>
      spoil('rebaseOverlays', step => ({
        do: (context: Parameters<Step['do']>[0], todo: Parameters<Step['do']>[1]) =>
          step.do({ ...context, plan: { ...context.plan, disks: todo.slice(0, -1) } }, todo.slice(0, -1)),
      })),
    laws: ['all or none', 'nothing lost', 'recovery is the exception'],
  },
  {
    what: 'a switch without a decision in the journal',
    scenarios: () => killsAfter(PLAIN['a copy that reopens filters'], 'closeOldNodes'),
    spoil: () => spoil('reopenFilters', () => ({ decision: undefined })),
    laws: ['the dead leave one set'],
  },
  {
    what: 'new disks of which onCommit is not told',
    scenarios: () => [{ ...PLAIN['a snapshot in one transaction'], publisher: { refusals: 0 } }],
    spoil: () => spoil('publishDefinitions', () => ({ do: async () => null })),
    laws: ['the records are told'],
  },
  {
    what: 'a guest that is never thawed',
    scenarios: () => [FROZEN],
    spoil: () => spoil('thawGuest', () => ({ do: async () => null })),
    laws: ['the guest runs'],
  },
  {
    what: 'an undo that does something anew',
    scenarios: () => [
      { ...PLAIN['a snapshot in one transaction'], faults: [{ kind: 'refuse', command: 'transaction' }] },
    ],
    spoil: () =>
      spoil('createImages', step => ({
        undo: async (context: Parameters<Step['do']>[0]) => {
          await step.do(context, context.plan.disks);
          if ('undo' in step) await step.undo(context, undefined);
        },
      })),
    laws: ['in order'],
  },
];

/** Waits for so long in virtual time before it does what it does. */
const SLOW_MS = 120_000;

/** For each law that has only company above: a defect that it must notice by itself. */
const DEFECTS_OF_ONE_LAW: typeof DEFECTS = [
  {
    what: 'a step whose assumption is broken',
    scenarios: COPIES,
    spoil: () =>
      spoil('awaitConvergence', () => ({
        do: async () => {
          throw new Error('broken assumption: nothing here may fail');
        },
      })),
    laws: ['sound'],
  },
  {
    what: 'a death that a resume makes something else of',
    scenarios: () => deathsIn(PLAIN['a snapshot disk by disk']),
    spoil: () =>
      spoil('takeSnapshotsOneByOne', () => ({
        probe: async ({ plan }: { plan: { disks: readonly object[] } }) => ({
          absent: plan.disks,
          present: [],
          foreign: [],
        }),
      })),
    laws: ['crash is resume'],
  },
  {
    what: 'a guest that its administrator has paused, and that is resumed',
    scenarios: () => {
      const { guest, ...copy } = PLAIN['a copy that finalizes mirrors'];
      return [{ ...copy, guest: { ...guest, paused: true } }];
    },
    spoil: () =>
      spoil('pauseGuest', () => ({
        do: async () => ({ byUs: true, found: 'running', migration: 'none', clean: false }),
      })),
    laws: ['its own pause'],
  },
  {
    what: 'a snapshot that is taken without a look for a migration',
    scenarios: () => {
      const { pace, ...snapshot } = PLAIN['a snapshot in one transaction'];
      const migrate = { execute: 'migrate', arguments: { uri: 'exec:sleep 400' } };
      const at = { when: 'before', nth: 1 } as const;
      const fault = { kind: 'otherClient', at, ...migrate, from: 'createImages' } as const;
      return [{ ...snapshot, pace: { ...pace, commandMs: 4 }, faults: [fault] }];
    },
    spoil: () =>
      spoil('takeSnapshot', () => ({
        do: async ({ qmp, plan }: StepContext) => {
          const actions = plan.disks.map(({ node, names }) => ({
            type: 'blockdev-snapshot' as const,
            data: { node, overlay: names.image },
          }));
          await qmp.execute('transaction', { actions });
          return null;
        },
      })),
    laws: ['beside no migration'],
  },
  {
    what: 'a switch that takes devices off the filters of their administrator',
    scenarios: () => [PLAIN["a copy that reopens its disks' own throttles"]],
    spoil: () =>
      spoil('reopenFilters', step => ({
        do: async (context: Parameters<Step['do']>[0], todo: Parameters<Step['do']>[1]) => {
          const done = await step.do(context, todo);
          for (const { qdev, goal } of todo) {
            const drive = { path: qdev ?? '', property: 'drive', value: goal };
            await context.qmp.execute('qom-set', drive);
          }
          return done;
        },
      })),
    laws: ['filters stay'],
  },
  {
    what: 'copies of encrypted disks that are made in the clear',
    scenarios: () => [PLAIN['a copy of encrypted disks']],
    spoil: () =>
      spoil('createImages', step => ({
        do: (context: StepContext, todo: readonly DiskPlan[]) =>
          step.do(
            context,
            todo.map(({ image: { secret: _, ...image }, ...disk }) => ({ ...disk, image })),
          ),
      })),
    laws: ['encrypted stays encrypted'],
  },
  {
    what: 'a saga that gives up where there is a way',
    scenarios: COPIES,
    spoil: () => spoil('markQemu', () => ({ undo: refused })),
    laws: ['recovery is the exception'],
  },
  {
    what: 'a rollback behind the decision for a migration that there is not',
    scenarios: COPIES,
    spoil: () =>
      spoil('resumeGuest', () => ({
        do: () => Promise.reject(new BlocksagaError('MIGRATING', 'a live migration is under way')),
      })),
    laws: ['decided stays decided'],
  },
  {
    what: 'a copy that is committed into a disk which holds newer writes',
    scenarios: () => [readScenario('replays/older-copy-is-not-committed-into-its-disk.json')],
    spoil: () => spoil('mirrorDisks', () => ({ undone: () => null })),
    laws: ['nothing lost'],
  },
  {
    what: 'a rollback that removes the overlay which a disk was on when it left',
    scenarios: () => unplugged(ROLLED_BACK, 'awaitSignal'),
    spoil: () =>
      spoil('claimFiles', sound => ({
        undo: async (context: StepContext, outcome: Json | undefined) => {
          if ('undo' in sound) await sound.undo({ ...context, unplugged: [] }, outcome);
        },
      })),
    laws: ['an unplugged disk keeps its image'],
  },
  {
    what: 'records that are told of an overlay which its disk had left before',
    scenarios: () => unplugged(UNNAMED, 'takeSnapshot', { publisher: { refusals: 0 } }),
    spoil: () =>
      spoil('publishDefinitions', sound => ({
        do: (context: StepContext, todo: readonly DiskPlan[]) =>
          sound.do({ ...context, unplugged: [] }, todo),
      })),
    laws: ['the records are told'],
  },
  {
    what: 'a guest that stays paused when all of its disks have left',
    scenarios: () => unplugged(ONE_DISK, 'pauseGuest'),
    spoil: () => spoil('resumeGuest', () => ({ withoutDevices: false })),
    laws: ['the guest runs'],
  },
  {
    what: 'a saga that nothing ends',
    scenarios: COPIES,
    spoil: () => spoil('markQemu', () => ({ undo: refused })),
    laws: ['it ends'],
  },
  {
    what: 'a resume that takes two minutes though nothing goes wrong',
    scenarios: () => [
      {
        ...PLAIN['a copy that finalizes mirrors'],
        faults: [
          { kind: 'refuse', command: 'job-finalize' },
          { kind: 'refuse', command: 'object-del', lasting: true },
        ],
      },
    ],
    spoil: () =>
      spoil('markQemu', step => ({
        undo: async (context: Parameters<Step['do']>[0]) => {
          await new Promise<void>(resolve => context.clock.after(SLOW_MS, resolve));
          if ('undo' in step) await step.undo(context, undefined);
        },
      })),
    laws: ['it ends'],
  },
];

/** A disk that leaves takes its node along. */
const UNNAMED: Scenario = {
  ...PLAIN['a snapshot in one transaction'],
  guest: { ...PLAIN['a snapshot in one transaction'].guest, style: 'drive' },
};

const ONE_DISK: Scenario = {
  ...PLAIN['a copy that reopens filters'],
  wish: { ...PLAIN['a copy that reopens filters'].wish, named: [1] },
};

const FROZEN: Scenario = {
  ...PLAIN['a snapshot in one transaction'],
  wish: { operation: 'snapshot', named: [0, 1], without: [], maxBlackoutMs: 1_000, quiesce: true },
};

describe('the laws notice', () => {
  test.each([...DEFECTS, ...DEFECTS_OF_STAGES, ...DEFECTS_OF_RECORDS, ...DEFECTS_OF_ONE_LAW])(
    '$what',
    async ({ scenarios, spoil: doSpoil, laws }) => {
      doSpoil();
      const { wanted, others } = await breakLaws(scenarios(), laws);
      expect(wanted, `broken instead: ${[...others].join(', ') || 'none'}`).not.toEqual([]);
    },
  );

  test.each(['committed', 'rolledBack'] as const)('a saga that claims to be %s and is not', async claim => {
    const nth = claim === 'committed' ? 1 : 1_000; // refused, or not at all
    const scenario = PLAIN['a copy that finalizes mirrors'];
    const account = await runScenario({
      ...scenario,
      faults: [{ kind: 'refuse', command: 'blockdev-mirror', nth }],
    });
    const { result } = account;
    expect(judge(account)).toEqual([]);
    expect(result?.outcome).toBe(claim === 'committed' ? 'rolledBack' : 'committed');
    if (result === undefined) return;
    const laws = judge({ ...account, result: { ...result, outcome: claim } }).map(violation => violation.law);
    expect(laws).toContain('all or none');
  });

  test('an abort that was in the journal before the decision', async () => {
    const account = await runScenario(PLAIN['a copy that finalizes mirrors']);
    expect(judge(account)).toEqual([]);
    const [first] = account.records;
    expect.assert(first !== undefined);
    const asked = { ...first, kind: 'signal', step: 'abort', seq: 0 } as const;
    const laws = judge({ ...account, recordsEnded: [asked, ...account.recordsEnded] }).map(({ law }) => law);
    expect(laws).toContain('asked to roll back, rolls back');
  });

  test('an image that was left behind at another instant', async () => {
    const account = await runScenario(PLAIN['a snapshot in one transaction']);
    expect(judge(account)).toEqual([]);
    const { after, before } = account;
    const files = new Map(after.files).set(before.disks[0]?.path ?? '', []);
    const earlier = { ...after, files };
    const laws = judge({ ...account, after: earlier, atLast: earlier }).map(({ law }) => law);
    expect(laws).toEqual(['one instant']);
  });

  test('a result that names nothing of what is left, or something that is not', async () => {
    const account = await runScenario(KEPT['nothing left: refuse lasting']);
    expect(judge(account)).toEqual([]);
    const { result } = account;
    expect.assert(result !== undefined && account.after === account.atLast);
    expect(result.leftovers.map(words => words.split(' (')[0])).toEqual([
      expect.stringMatching(/^node bs-/),
      expect.stringMatching(/^node bs-/),
    ]);
    for (const leftovers of [
      [],
      [...result.leftovers, 'node bs-00000000-0'],
      [...result.leftovers, '/images/x'],
    ]) {
      const claimed = { ...result, leftovers };
      const broken = judge({ ...account, result: claimed, resultAtLast: claimed }).map(({ law }) => law);
      expect(broken, leftovers.join()).toContain('leftovers tell all');
    }
  });

  test('a result that says nothing of a disk that has left, or names another image, or is silent of a doubt', async () => {
    const account = await runScenario(unpluggedAt(ROLLED_BACK, 'awaitSignal', 1));
    expect(judge(account)).toEqual([]);
    const { result } = account;
    expect.assert(result !== undefined && account.after === account.atLast);
    const [first, left] = result.disks;
    expect.assert(first !== undefined && left?.unplugged !== undefined);
    const wrong: readonly (typeof left)[] = [
      { ...left, after: { node: 'disk1', file: left.unplugged.file, chain: [] } },
      { ...left, unplugged: { ...left.unplugged, file: first.before.file } },
      { ...left, unplugged: { ...left.unplugged, format: 'raw' } },
    ];
    for (const disk of wrong) {
      const claimed = { ...result, leftovers: [], disks: [first, disk] };
      const broken = judge({ ...account, result: claimed, resultAtLast: claimed }).map(({ law }) => law);
      expect(broken, JSON.stringify(disk)).toContain('an unplugged disk keeps its image');
    }
  });

  test('an image of a disk that has left which reads otherwise, or is left without a word', async () => {
    const account = await runScenario(unpluggedAt(ROLLED_BACK, 'awaitSignal', 1));
    const { after, result } = account;
    const [index, disk] = [...after.left][0] ?? [];
    expect.assert(result !== undefined && index !== undefined && disk !== undefined);
    const left = new Map([[index, { ...disk, rebooted: [] }]]);
    const files = new Map(after.files).set(disk.path, []).set(`/images/disk${index}.qcow2`, []);
    const changed = { ...after, left, files };
    expect(judge({ ...account, after: changed, atLast: changed }).map(({ law }) => law)).toContain(
      'an unplugged disk keeps its image',
    );
    const stray = { ...after, files: new Map(after.files).set('/images/mirror1.qcow2', []) };
    expect(judge({ ...account, after: stray, atLast: stray }).map(({ law }) => law)).toEqual(
      expect.arrayContaining(['nothing left', 'leftovers tell all']),
    );
  });

  test('what is closed outside of every step and is not of a disk that the journal says to have left', () => {
    const record = { kind: 'outcome', step: 'unplugged', body: { value: { index: 1 } } } as const;
    const sent = (execute: string, args: { readonly [name: string]: string }) => {
      const order = new WireOrder([], [0, 2]);
      order.recorded([record]);
      order.sent([{ execute, arguments: args }]);
      return order.wrong;
    };
    expect(sent('blockdev-del', { 'node-name': 'bs-token-m1-file' })).toBe(undefined);
    expect(sent('block-job-cancel', { device: 'drive2' })).toBe(undefined);
    expect(sent('blockdev-del', { 'node-name': 'bs-token-0' })).toMatch('blockdev-del was sent');
    expect(sent('block-job-cancel', { device: 'drive1' })).toMatch('block-job-cancel was sent');
    expect(sent('blockdev-add', { 'node-name': 'bs-token-1' })).toMatch('blockdev-add was sent');
  });

  test('a saga that needs recovery to the last, and that is lost when its guest is shut down', async () => {
    const account = await runScenario(readScenario('replays/stuck-below-an-export.json'));
    const { shutDown } = account;
    expect([account.resultAtLast?.outcome, judge(account)]).toEqual(['needsRecovery', []]);
    expect.assert(shutDown?.result !== undefined && shutDown.booted !== undefined);
    const lawsOf = (wrong: typeof shutDown) =>
      judge({ ...account, shutDown: wrong }).map(violation => violation.law);
    const stuck = { ...shutDown.result, outcome: 'needsRecovery' as const };
    const disks = shutDown.booted.disks.map(disk => ({ ...disk, contents: [] }));
    for (const wrong of [
      { ...shutDown, result: stuck },
      { ...shutDown, booted: { ...shutDown.booted, disks } },
    ])
      expect(lawsOf(wrong)).toEqual(['the stuck end offline']);
  });

  test('each by itself, with one of these defects', () => {
    const planted = [...DEFECTS, ...DEFECTS_OF_STAGES, ...DEFECTS_OF_RECORDS, ...DEFECTS_OF_ONE_LAW];
    const alone = new Set([
      ...planted.flatMap(({ laws }) => (laws.length === 1 ? laws : [])),
      ...['asked to roll back, rolls back', 'one instant', 'leftovers tell all', 'the stuck end offline'], // above, with an account
    ]);
    expect(LAWS.map(({ name }) => name).filter(name => !alone.has(name))).toEqual([]);
  });

  test('nothing in sound steps', async () => {
    expect((await breakLaws(drawn({}, often(50, RUNS_MAX)))).wanted).toEqual([]);
    expect((await breakLaws(deathsIn(PLAIN['a snapshot disk by disk']))).wanted).toEqual([]);
  });
});
