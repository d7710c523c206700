/**
 * Tests of the laws of groups: one deliberate defect of the protocol each, that the law it breaks must notice in a few hundred
 * drawn groups. What is sound breaks none of them in as many.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Rendezvous } from '../src/engine/rendezvous.ts';
import { BlocksagaError } from '../src/errors.ts';
import { setDrive } from '../src/guest/set-drive.ts';
import { ALL_STEPS } from '../src/steps/all-steps.ts';
import type { Barrier } from '../src/steps/step/barrier.ts';
import type { Step, StepContext } from '../src/steps/step/step.ts';
import { often } from '../test/tiers/tier.ts';
import { GROUP_LAWS, judgeGroup } from './group-laws.ts';
import { type GroupScene, playGroup, scenes } from './group-scene.ts';
import { nearestFirst } from './nearest-first.ts';

/** What members are told that ask in a later process; undefined where the journal is asked. */
const late = vi.hoisted(() => ({ isCommitted: undefined as boolean | undefined }));

vi.mock('../src/engine/durable/group-register.ts', async importOriginal => {
  const real = await importOriginal<typeof import('../src/engine/durable/group-register.ts')>();
  return {
    ...real,
    hasCommitted: async (...given: Parameters<typeof real.hasCommitted>) =>
      late.isCommitted ?? real.hasCommitted(...given),
    lateBarrier: (...given: Parameters<typeof real.lateBarrier>) => {
      const barrier = real.lateBarrier(...given);
      return late.isCommitted === true ? { ...barrier, confirmed: async () => undefined } : barrier;
    },
  };
});

const steps = ALL_STEPS as { -readonly [name in keyof typeof ALL_STEPS]: Step };
const sound = { ...ALL_STEPS };
const { member } = Rendezvous.prototype;

afterEach(() => {
  late.isCommitted = undefined;
  Object.assign(steps, sound);
  Rendezvous.prototype.member = member;
});

function spoilBarrier(change: Partial<Barrier>): void {
  Rendezvous.prototype.member = function spoiled(index) {
    return { ...member.call(this, index), ...change };
  };
}

const PLAIN_SCENE = { guests: [{}, {}], diesAt: null, abortAt: null, order: [0, 1], killed: [] } as const;

/** Groups of one kind, and how each is drawn in which a defect may show. */
interface Kind {
  readonly isCloned: boolean;
  readonly resumed: readonly GroupScene[];
  readonly dead: readonly GroupScene[];
  readonly rested: readonly GroupScene[];
  readonly drawn: readonly GroupScene[];
}

const ALL_DRAWN: readonly GroupScene[] = fc.sample(scenes, { numRuns: 800, seed: 20_261_129 });

/** Around `decides` the process dies that has just decided. */
function kindOf(isCloned: boolean, decides: number): Kind {
  const plain = { ...PLAIN_SCENE, isCloned };
  return {
    isCloned,
    /** A third party resumes the first guest while that waits for `go`, also in front of the second one's slow `stop`. */
    resumed: range(5, SLOW_TO_MS, SLOW_MS / 4).map(ms => ({
      ...plain,
      guests: [
        { faults: [{ kind: 'otherClient', at: { when: 'at', ms }, execute: 'cont' }] },
        { timing: { commandMs: SLOW_MS } },
      ],
    })),
    /** The process dies at each of its moments, and the first guest's QEMU with it. */
    dead: nearestFirst(
      range(12, 280, 1).map(diesAt => ({ ...plain, diesAt, killed: [0] })),
      ({ diesAt }) => diesAt,
      decides,
    ),
    /** The process dies in the pause, and a third party resumes the first guest before the next one comes. */
    rested: nearestFirst(
      range(12, 280, 1).map(diesAt => ({
        ...plain,
        ...{ diesAt, restMs: REST_MS },
        guests: [
          { faults: [{ kind: 'otherClient', at: { when: 'at', ms: REST_MS }, execute: 'cont' }] },
          {},
        ] as const,
      })),
      ({ diesAt }) => diesAt,
      decides,
    ),
    drawn: ALL_DRAWN.filter(scene => scene.isCloned === isCloned),
  };
}

/** How long a slow QEMU takes for a command, and when a group with such a guest has ended. */
const SLOW_MS = 40;
const SLOW_TO_MS = 1_600;

/** Behind all that the first process has done. */
const REST_MS = 500;

const SNAPSHOTS = kindOf(false, 154);
const CLONES = kindOf(true, 190);

/** Of the groups of a sound protocol, every so many. */
const EVERY = often(20, 1);

function range(from: number, to: number, step: number): readonly number[] {
  return Array.from({ length: Math.ceil((to - from) / step) }, (_, at) => from + at * step);
}

/** The first law of these that is broken, over these groups; undefined where none is. */
async function broken(laws: readonly string[], groups: readonly GroupScene[]): Promise<string | undefined> {
  for (const scene of groups) {
    const played = playGroup(scene).then(judgeGroup, refusedToEnd);
    const names = (await played).map(why => why.split(':')[0] ?? '');
    const found = names.find(name => laws.includes(name));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A spoiled saga may ask an administrator for what is not there. */
function refusedToEnd(error: unknown): readonly string[] {
  if (error instanceof BlocksagaError) return [`it ends: ${error.message}`];
  throw error;
}

const atOnce = async () => undefined;

interface Defect {
  readonly title: string;
  readonly laws: readonly string[];
  /** Where it shows; in drawn ones unless said. */
  readonly groups?: 'resumed' | 'dead' | 'rested' | 'drawn';
  /** Of which kind it is; of both unless said. */
  readonly of?: Kind;
  spoil(): void;
}

const DEFECTS: readonly Defect[] = [
  {
    title: 'the barrier is left out: each guest is resumed when it has its own snapshot',
    laws: ['one instant', 'none ran before go'],
    of: SNAPSHOTS,
    spoil: () => spoilBarrier({ taken: atOnce }),
  },
  {
    title: 'the barrier is left out: each guest is resumed when its own copies are complete',
    laws: ['one instant'],
    of: CLONES,
    spoil: () => spoilBarrier({ taken: atOnce }),
  },
  {
    title: 'each member decides when its own copies are complete',
    laws: ['all or none'],
    of: CLONES,
    spoil() {
      steps.endMirrorsInPlace = { ...sound.endMirrorsInPlace, decides: () => true } as Step;
    },
  },
  {
    title: 'copies that are complete stay where the group is rolled back',
    laws: ['all or none'],
    of: CLONES,
    spoil() {
      const claim = sound.claimFiles;
      steps.claimFiles = { ...claim, undo: atOnce } as Step;
    },
  },
  {
    title: 'none looks whether its guest was still paused at go',
    laws: ['one instant'],
    groups: 'resumed',
    spoil() {
      const go: Step = sound.awaitGo as Step;
      steps.awaitGo = {
        ...go,
        async do(context: StepContext) {
          await context.barrier?.taken(MAX_WAIT_MS);
          return null;
        },
      } as Step;
      const resume = sound.resumeGuest as Step;
      steps.resumeGuest = {
        ...resume,
        async do(context: StepContext, todo) {
          context.barrier?.sawPaused();
          return resume.do({ ...context, barrier: null }, todo);
        },
      } as Step;
    },
  },
  {
    title: 'a guest is put back on its images without what it has written on its overlays',
    laws: ['nothing lost'],
    groups: 'rested',
    of: SNAPSHOTS,
    spoil() {
      const taking = sound.takeSnapshotInPause as Step;
      steps.takeSnapshotInPause = {
        ...taking,
        async undo({ qmp, plan }: StepContext) {
          await qmp.execute('stop');
          // An image that an overlay stands on takes no writes, and gets them back once nothing stands on it.
          const reopened = (node: string, more: object) => {
            const options = [{ driver: 'qcow2', 'node-name': node, file: `${node}-file`, ...more }] as const;
            return { execute: 'blockdev-reopen', arguments: { options } } as const;
          };
          for (const { node, names } of plan.disks)
            await qmp.pipeline([
              reopened(names.image, { backing: null }),
              reopened(node, { 'read-only': false }),
            ]);
          for (const disk of plan.disks) await qmp.pipeline([setDrive(disk, disk.node)]);
          await qmp.execute('cont');
        },
      } as Step;
    },
  },
  {
    title: 'each member commits on its own answer',
    laws: ['all or none'],
    spoil: () => spoilBarrier({ confirmed: atOnce }),
  },
  {
    title: 'a member whose process died goes forward without asking',
    laws: ['all or none'],
    spoil() {
      late.isCommitted = true;
    },
  },
  {
    title: 'a member whose QEMU died goes back without asking',
    laws: ['all or none'],
    groups: 'dead',
    spoil() {
      late.isCommitted = false;
    },
  },
];

const MAX_WAIT_MS = 500;

describe.each([
  ['snapshots', SNAPSHOTS],
  ['clones', CLONES],
] as const)('a defect of the protocol is noticed in groups of %s', (_, kind) => {
  const defects = DEFECTS.filter(({ of = kind }) => of === kind);

  test.each(defects)('where $title', async ({ laws, groups = 'drawn', spoil }) => {
    spoil();
    expect(laws).toContain(await broken(laws, kind[groups]));
  });

  test('and what is sound breaks no law in any of these', async () => {
    const laws = Object.keys(GROUP_LAWS);
    const groups = [...kind.resumed, ...kind.dead, ...kind.rested, ...kind.drawn];
    expect(
      await broken(
        laws,
        groups.filter((_each, at) => at % EVERY === 0),
      ),
    ).toBeUndefined();
  });
});
