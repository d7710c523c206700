/**
 * Third parties that resume the guest in front of a switch, stop it, and resume it again behind that: what it wrote is on both sides of its
 * disks. Both are kept and named, for good; what that excuses is excused nowhere else.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { BlocksagaError } from '../src/errors.ts';
import type { Account } from '../src/fuzz/account/account.ts';
import { judge } from '../src/fuzz/laws/laws.ts';
import { runScenario } from '../src/fuzz/run/run-scenario.ts';
import type { PlannedFault, Scenario } from '../src/fuzz/scenario/scenario.ts';
import type { SwitchPlan } from '../src/plan/plan.ts';
import { ALL_STEPS, type StepName } from '../src/steps/all-steps.ts';
import type { Step, StepContext } from '../src/steps/step/step.ts';
import { often, strides } from '../test/tiers/tier.ts';
import { wrongs } from './draw-scenarios.ts';
import { PLAIN } from './plain.ts';

/** QEMU takes its time, so that there is a command of its own for each moment. */
const SLOWLY = {
  commandMs: 0.4,
  queryMs: 0.4,
  copyBytesPerMs: 1_048_576,
  mirrorLagMs: 0.1,
  guestWriteMs: 0.4,
};
/** Around the switch, in commands since the pause began. */
const FIRST = 12;
const LAST = often(22, 28);

type Undo = (context: StepContext<SwitchPlan>, outcome: undefined) => Promise<unknown>;

const steps = ALL_STEPS as { -readonly [name in StepName]: Step };
const { reopenFilters } = ALL_STEPS;

afterEach(() => {
  steps.reopenFilters = reopenFilters as Step;
});

const before = (execute: 'cont' | 'stop', nth: number): PlannedFault => ({
  ...{ kind: 'otherClient', at: { when: 'before', nth }, execute, arguments: {}, from: 'pauseGuest' },
});

function resumedTwice(name: keyof typeof PLAIN, at: readonly [number, number, number]): Scenario {
  const [resumed, stopped, again] = at;
  const faults = [before('cont', resumed), before('stop', stopped), before('cont', again)];
  return { ...PLAIN[name], pace: SLOWLY, faults, lingerMs: 0 };
}

/** All triples of moments; in the quick tier a part of them, another one for each operation. */
function triples(name: keyof typeof PLAIN): readonly Scenario[] {
  const all: Scenario[] = [];
  for (let one = FIRST; one <= LAST; one += 1)
    for (let two = one + 1; two <= LAST; two += 1)
      for (let three = two + 1; three <= LAST; three += 1) all.push(resumedTwice(name, [one, two, three]));
  const looked = new Set(strides(often(1, 9))(all.length));
  return all.filter((_, index) => looked.has(index + 1));
}

const SWITCHED = [
  'a copy that reopens filters',
  "a copy that reopens its disks' own throttles",
  'a commit of active images that reopens filters',
  'a snapshot whose mirrors are switched to',
  'a revert that removes files',
] as const;

test.each(SWITCHED)('%s loses nothing that is not kept and told', async name => {
  for (const scenario of triples(name)) expect(await wrongs(scenario)).toBe('');
});

/** Resumed in front of the switch, and again while the saga has no process, which it may be stopped in, too. */
function* deadBetween(name: keyof typeof PLAIN): Generator<Scenario> {
  const at = (execute: 'cont' | 'stop', ms: number): PlannedFault => ({
    ...{ kind: 'otherClient', at: { when: 'at', ms }, execute, arguments: {}, from: 'pauseGuest' },
  });
  for (const first of [13, 14])
    for (let nth = 5; nth <= 9; nth += 1)
      for (const meanwhile of [[at('cont', 10)], [at('cont', 10), at('stop', 13)], []])
        yield {
          ...PLAIN[name],
          pace: SLOWLY,
          faults: [before('cont', first), before('stop', first + 1), ...meanwhile],
          deaths: [{ at: 'send', nth, from: 'pauseGuest' }],
          lingerMs: 0.5,
        };
}

test.each(['a copy that reopens filters', 'a revert'] as const)(
  '%s whose process dies meanwhile loses nothing that is not kept and told',
  async name => {
    for (const scenario of deadBetween(name)) expect(await wrongs(scenario)).toBe('');
  },
);

/** In front of the `stop` that goes out with the switch, and behind that switch. */
const BOTH = resumedTwice('a copy that reopens filters', [14, 15, 19]);

describe('a guest that has run on both sides', () => {
  test('keeps what it wrote where its QEMU is killed at any moment behind the second side', async () => {
    for (let ms = 9; ms <= 16; ms += 1) {
      const kill: PlannedFault = { kind: 'kill', what: 'qemu', at: { when: 'at', ms }, from: 'pauseGuest' };
      const pace = { ...SLOWLY, guestWriteMs: 0.9 };
      expect(await wrongs({ ...BOTH, pace, faults: [...BOTH.faults, kill] })).toBe('');
    }
  });

  test('is left where it is, running, with a word of both images of each disk', async () => {
    const { result, after, atLast, shutDown } = await runScenario(BOTH);
    expect(result).toMatchObject({ outcome: 'needsRecovery', error: { code: 'BOTH_SIDES' } });
    const images = ['/images/disk0.qcow2', '/images/new0.qcow2', '/images/disk1.qcow2', '/images/new1.qcow2'];
    expect(result?.error?.images).toEqual(images);
    for (const { runState, disks, files } of [after, atLast]) {
      expect(runState).toBe('running');
      expect(disks.map(({ path }) => path)).toEqual(['/images/new0.qcow2', '/images/new1.qcow2']);
      expect([...files.keys()]).toEqual(expect.arrayContaining(images));
    }
    expect([...(shutDown?.booted?.files.keys() ?? [])]).toEqual(expect.arrayContaining(images));
  });

  test('is no excuse where an image is gone, or not named, or where it has not', async () => {
    const account = await runScenario(BOTH);
    expect(judge(account)).toEqual([]);
    const { result, resultAtLast, after, struck } = account;
    expect.assert(result?.error != null && resultAtLast?.error != null);
    const lawsOf = (changed: Partial<Account>) => judge({ ...account, ...changed }).map(({ law }) => law);
    const without = (file: string) => new Map([...after.files].filter(([path]) => path !== file));
    for (const file of ['/images/disk1.qcow2', '/images/new1.qcow2'])
      expect(lawsOf({ after: { ...after, files: without(file) } })).toContain('nothing lost');
    const silent = { ...result, error: { ...result.error, images: ['/images/new0.qcow2'] } };
    expect(lawsOf({ result: silent })).toContain('nothing lost');
    const [first, ...others] = struck;
    expect.assert(first !== undefined);
    const behind = { ...first, fronts: ['/images/new0.qcow2', '/images/new1.qcow2'] };
    expect(lawsOf({ struck: [behind, ...others] })).toContain('recovery is the exception');
  });

  test('is seen to be lost where the switch is taken back all the same', async () => {
    const { undo } = reopenFilters as Step<SwitchPlan> & { readonly undo: Undo };
    steps.reopenFilters = {
      ...reopenFilters,
      undo: (context: StepContext<SwitchPlan>) =>
        undo({ ...context, ranBehindSwitch: () => 'no', ranOnBoth: new Set() }, undefined),
    } as Step;
    expect(judge(await runScenario(BOTH)).map(({ law }) => law)).toContain('nothing lost');
  });

  test('is not claimed of one that ran on its old side alone', async () => {
    steps.reopenFilters = {
      ...reopenFilters,
      async undo() {
        throw new BlocksagaError('BOTH_SIDES', 'it ran on both', { images: [] });
      },
    } as Step;
    const laws = judge(await runScenario({ ...BOTH, faults: BOTH.faults.slice(0, 2) })).map(({ law }) => law);
    expect(laws).toContain('recovery is the exception');
  });
});
