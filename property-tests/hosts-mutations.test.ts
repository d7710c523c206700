/**
 * Tests of the laws of groups over two hosts: one deliberate defect of the protocol between the agents each, that the law it breaks
 * must notice in a few hundred drawn groups. What is sound breaks none of them in as many.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { FollowedJunction } from '../src/agent/junction-wire.ts';
import { LedGroups } from '../src/agent/led-groups.ts';
import type { Junction } from '../src/engine/group-hosts.ts';
import { ALL_STEPS } from '../src/steps/all-steps.ts';
import type { Step, StepContext } from '../src/steps/step/step.ts';
import { often } from '../test/tiers/tier.ts';
import { GROUP_LAWS, judgeGroup } from './group-laws.ts';
import { type HostsScene, hostsScenes, playHosts } from './hosts-scene.ts';
import { nearestFirst } from './nearest-first.ts';

/** What a part in doubt believes without asking; undefined where it asks. */
const believed = vi.hoisted(() => ({ decision: undefined as 'committed' | 'rolledBack' | undefined }));

vi.mock('../src/agent/junction-wire.ts', async importOriginal => {
  const real = await importOriginal<typeof import('../src/agent/junction-wire.ts')>();
  const askLeaderBy: typeof real.askLeaderBy =
    (...given) =>
    async part =>
      believed.decision ?? real.askLeaderBy(...given)(part);
  return { ...real, askLeaderBy };
});

const steps = ALL_STEPS as { -readonly [name in keyof typeof ALL_STEPS]: Step };
const sound = { ...ALL_STEPS };
const { lead } = LedGroups.prototype;
const { taken, confirmed } = FollowedJunction.prototype;

afterEach(() => {
  believed.decision = undefined;
  Object.assign(steps, sound);
  LedGroups.prototype.lead = lead;
  Object.assign(FollowedJunction.prototype, { taken, confirmed });
});

const PLAIN = { diesAt: null, followerDiesAt: null, abortAt: null, order: [0, 1], killed: [], wire: [] };
const ofTwo = { ...PLAIN, guests: [{}, {}], following: [1] } satisfies HostsScene;

/** How long a slow QEMU takes for a command. */
const SLOW_MS = 40;

/** A third party resumes the guest that follows while that waits for `go`, which the leader's late answer puts off, or its slow `stop`. */
const RESUMED: readonly HostsScene[] = [
  ...range(5, 400, 5).map(ms =>
    resumed(ms, { faults: [{ kind: 'replyLate', command: 'transaction', nth: 1, delayMs: 400 }] }),
  ),
  ...range(5, 1_600, SLOW_MS / 4).map(ms => resumed(ms, { timing: { commandMs: SLOW_MS } })),
];

function resumed(ms: number, leading: HostsScene['guests'][number]): HostsScene {
  const faults = [{ kind: 'otherClient', at: { when: 'at', ms }, execute: 'cont' }] as const;
  return { ...ofTwo, guests: [leading, { faults }] };
}

/** The guest of the leader is looked at late, in front of its pause or in it. */
const SLOW: readonly HostsScene[] = [2, 3, 4].map(nth => ({
  ...ofTwo,
  guests: [{ faults: [{ kind: 'replyLate', command: 'query-migrate', nth, delayMs: 200 }] }, {}],
}));

/** The process that follows dies at each of its moments. */
const DEAD: readonly HostsScene[] = range(12, 240, 1).map(followerDiesAt => ({ ...ofTwo, followerDiesAt }));

/** One message is lost, or its answer; and the same where the leader's process dies too, at some moment. */
const LOST: readonly HostsScene[] = [1, 2, 3, 4, 5].flatMap(nth =>
  (['loseRequest', 'loseAnswer', 'cut', 'twice'] as const).flatMap(kind =>
    [null, 90, 120, 150].map(diesAt => ({ ...ofTwo, diesAt, wire: [{ nth, kind, ms: 3 }] })),
  ),
);

const DRAWN: readonly HostsScene[] = fc.sample(hostsScenes, { numRuns: 300, seed: 20_261_129 });

/** Of the groups of a sound protocol, every so many. */
const EVERY = often(20, 1);

function range(from: number, to: number, step: number): readonly number[] {
  return Array.from({ length: Math.ceil((to - from) / step) }, (_, at) => from + at * step);
}

/** The first law of these that is broken, over these groups; undefined where none is. */
async function broken(laws: readonly string[], groups: readonly HostsScene[]): Promise<string | undefined> {
  for (const scene of groups) {
    const names = judgeGroup(await playHosts(scene)).map(why => why.split(':')[0] ?? '');
    const found = names.find(name => laws.includes(name));
    if (found !== undefined) return found;
  }
  return undefined;
}

interface Defect {
  readonly title: string;
  readonly laws: readonly string[];
  readonly groups: readonly HostsScene[];
  spoil(): void;
}

function spoilLed(change: (junction: Junction) => Partial<Junction>): void {
  LedGroups.prototype.lead = function spoiled(group, junctions) {
    const changed = [...junctions].map(([host, each]) => [host, { ...each, ...change(each) }] as const);
    lead.call(this, group, new Map(changed));
  };
}

const atOnce = async () => undefined;

const DEFECTS: readonly Defect[] = [
  {
    title: 'the barrier is left out: a host goes when its own guests have their snapshots',
    laws: ['one instant', 'none ran before go'],
    groups: SLOW,
    spoil() {
      FollowedJunction.prototype.taken = async function unheard(withinMs) {
        taken.call(this, withinMs).catch(atOnce);
      };
    },
  },
  {
    title: 'the leader tells a host to go before its own guests have their snapshots',
    laws: ['one instant', 'none ran before go'],
    groups: SLOW,
    spoil: () =>
      spoilLed(({ taken: vote }) => ({
        async taken(withinMs) {
          vote(withinMs).catch(atOnce);
        },
      })),
  },
  {
    title: 'no member of the host that follows looks whether its guest was still paused at go',
    laws: ['one instant'],
    groups: RESUMED,
    spoil() {
      steps.awaitGo = {
        ...(sound.awaitGo as Step),
        async do(context: StepContext) {
          await context.barrier?.taken(500);
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
    title: 'the leader takes the vote of a host for its answer',
    laws: ['all or none'],
    groups: RESUMED,
    spoil: () =>
      spoilLed(junction => ({
        async taken(withinMs) {
          await junction.taken(withinMs);
          junction.confirmed().catch(atOnce);
        },
      })),
  },
  {
    title: 'a host commits on its own answer',
    laws: ['all or none'],
    groups: DRAWN,
    spoil: () => Object.assign(FollowedJunction.prototype, { confirmed: atOnce }),
  },
  {
    title: 'a host whose process died in doubt goes forward without asking',
    laws: ['all or none'],
    groups: [...nearestFirst(DEAD, ({ followerDiesAt }) => followerDiesAt, 154), ...DRAWN],
    spoil() {
      believed.decision = 'committed';
    },
  },
  {
    title: 'a host whose process died in doubt goes back without asking',
    laws: ['all or none'],
    groups: [...nearestFirst(DEAD, ({ followerDiesAt }) => followerDiesAt, 154), ...DRAWN],
    spoil() {
      believed.decision = 'rolledBack';
    },
  },
];

describe('a defect of the protocol between two hosts is noticed', () => {
  test.each(DEFECTS)('where $title', async ({ laws, groups, spoil }) => {
    spoil();
    expect(laws).toContain(await broken(laws, groups));
  });

  test('and what is sound breaks no law in any of these', async () => {
    const laws = Object.keys(GROUP_LAWS);
    const groups = [...SLOW, ...RESUMED, ...DEAD, ...LOST, ...DRAWN].filter((_, at) => at % EVERY === 0);
    expect(await broken(laws, groups)).toBeUndefined();
  });
});
