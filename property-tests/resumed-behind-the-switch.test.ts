/**
 * Third parties that resume the guest in the pause and stop it again, before the saga looks: whichever images the guest ran on
 * meanwhile, what it has written is not lost.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { BlocksagaError } from '../src/errors.ts';
import { judge } from '../src/fuzz/laws/laws.ts';
import { runScenario } from '../src/fuzz/run/run-scenario.ts';
import type { PlannedFault, Scenario } from '../src/fuzz/scenario/scenario.ts';
import { ALL_STEPS, type StepName } from '../src/steps/all-steps.ts';
import type { Step } from '../src/steps/step/step.ts';
import { byOne, often, strides } from '../test/tiers/tier.ts';
import { wrongs } from './draw-scenarios.ts';
import { PLAIN } from './plain.ts';

/** QEMU takes its time, so that there is a command of its own for each moment; the guest is faster than that, or slower. */
const SLOWLY = { commandMs: 0.4, queryMs: 0.4, copyBytesPerMs: 1_048_576, mirrorLagMs: 0.1 };
const PACES_MS = [0.05, 0.4, 0.9, 3];
const plays = byOne(PACES_MS);
const moments = strides(2);
/** Between the end of the mirrors and the end of the pause, in commands since that began. */
const FIRST = 11;
const LAST = often(23, 30);

/** Of the one write that switches. */
const CUTS = (
  [
    { command: 'blockdev-reopen', effect: 'before' },
    { command: 'blockdev-reopen', effect: 'after' },
    { command: 'stop', effect: 'before' },
    { command: 'stop', effect: 'after' },
  ] as const
).slice(0, often(1, 4));

type Undoing = readonly [context: Parameters<Step['do']>[0], outcome: undefined];

const steps = ALL_STEPS as { -readonly [name in StepName]: Step };
const { reopenFilters } = ALL_STEPS;

afterEach(() => {
  steps.reopenFilters = reopenFilters as Step;
});

function resumedAndStopped(name: keyof typeof PLAIN, guestWriteMs: number): readonly Scenario[] {
  const before = (execute: 'cont' | 'stop', nth: number): PlannedFault => ({
    ...{ kind: 'otherClient', at: { when: 'before', nth }, execute, arguments: {}, from: 'pauseGuest' },
  });
  const nths = Array.from({ length: LAST - FIRST + 1 }, (_, index) => FIRST + index);
  return nths.flatMap(resumed =>
    nths
      .filter(stopped => stopped > resumed)
      .map(stopped => ({
        ...PLAIN[name],
        pace: { ...SLOWLY, guestWriteMs },
        faults: [before('cont', resumed), before('stop', stopped)],
        lingerMs: 0,
      })),
  );
}

function someOf(scenarios: readonly Scenario[]): readonly Scenario[] {
  const looked = new Set(moments(scenarios.length));
  return scenarios.filter((_, index) => looked.has(index + 1));
}

const SWITCHED = [
  'a copy that reopens filters',
  'a copy that reopens filters in the pause',
  "a copy that reopens its disks' own throttles",
  'a copy that completes mirrors',
  'a commit of active images that reopens filters',
  'a snapshot whose mirrors are switched to',
  'a clone',
  'a revert',
] as const;
const CUT_OFF = CUTS.flatMap(cut =>
  (
    ['a copy that reopens filters', 'a commit of active images that reopens filters', 'a revert'] as const
  ).map(name => ({ ...cut, name })),
);

describe.each(PACES_MS)('a guest that writes every %d ms', guestWriteMs => {
  const played = (what: string) => plays(guestWriteMs, what);

  test.each(SWITCHED.filter(played))(
    'loses nothing where a third party resumes and stops it at any moment of %s',
    async name => {
      for (const scenario of someOf(resumedAndStopped(name, guestWriteMs)))
        expect(await wrongs(scenario)).toBe('');
    },
  );

  test.each(CUT_OFF.filter(cut => played(JSON.stringify(cut))))(
    'loses nothing where the connection breaks too, $effect $command, of $name',
    async ({ name, command, effect }) => {
      const cut: PlannedFault = { kind: 'cut', command, effect, nth: 1, from: 'reopenFilters' };
      for (const scenario of someOf(resumedAndStopped(name, guestWriteMs)))
        expect(await wrongs({ ...scenario, faults: [...scenario.faults, cut] })).toBe('');
    },
  );

  test.runIf(played('what is lost'))(
    'shows what it has lost where it was resumed behind the switch, and that is taken for before it',
    async () => {
      const { undo } = reopenFilters as Step & { readonly undo: (...given: Undoing) => Promise<unknown> };
      steps.reopenFilters = {
        ...reopenFilters,
        async do(context: Parameters<Step['do']>[0], todo: Parameters<Step['do']>[1]) {
          const value = await (reopenFilters as Step).do(context, todo);
          const { running } = await context.qmp.execute('query-status');
          if (running || context.pausedThroughout()) return value;
          throw new BlocksagaError('FOREIGN', 'the guest was resumed');
        },
        undo: (context: Parameters<Step['do']>[0]) =>
          undo({ ...context, ranBehindSwitch: () => 'no' }, undefined),
      } as Step;
      const laws = new Set<string>();
      for (const scenario of resumedAndStopped('a copy that reopens filters', guestWriteMs))
        for (const { law } of judge(await runScenario(scenario))) laws.add(law);
      expect(laws).toContain('nothing lost');
    },
  );
});

/** The process dies soon after its pause has begun, and the next one begins 20 ms later. */
const MEANWHILE_MS = { cont: 12, stop: 17 } as const;
const SENDS = 12;

describe.each([
  'a copy that reopens filters in the pause',
  'a copy that completes mirrors',
  'a clone',
] as const)('%s, whose process dies in the pause', name => {
  test('loses nothing of a guest that is resumed and stopped again before the next process looks', async () => {
    const faults = (['cont', 'stop'] as const).map(
      (execute): PlannedFault => ({
        ...{ kind: 'otherClient', at: { when: 'at', ms: MEANWHILE_MS[execute] }, execute, arguments: {} },
        from: 'pauseGuest',
      }),
    );
    for (let nth = 1; nth <= SENDS; nth += 1) {
      const deaths = [{ at: 'send', nth, from: 'pauseGuest' } as const];
      const scenario = {
        ...PLAIN[name],
        pace: { ...SLOWLY, guestWriteMs: 0.05 },
        lingerMs: 0.2,
        faults,
        deaths,
      };
      expect(await wrongs(scenario), JSON.stringify(deaths)).toBe('');
    }
  });
});

/** The first process dies when its `stop` has been carried out, in front of its mark; the next one at some write behind its own. */
const DEATHS_BEHIND_MARK = [5, 6, 7, 8];
const BETWEEN_LIVES_MS = { cont: 36, stop: 39 } as const;

describe.each(['a copy that reopens filters', 'a commit of active images that reopens filters'] as const)(
  '%s, whose second process dies in the pause of the first',
  name => {
    test('loses nothing of a guest that is resumed and stopped again before the third one looks', async () => {
      const faults = (['cont', 'stop'] as const).map(
        (execute): PlannedFault => ({
          ...{
            kind: 'otherClient',
            at: { when: 'at', ms: BETWEEN_LIVES_MS[execute] },
            execute,
            arguments: {},
          },
          from: 'pauseGuest',
        }),
      );
      for (const nth of DEATHS_BEHIND_MARK) {
        const scenario: Scenario = {
          ...PLAIN[name],
          pace: { ...SLOWLY, guestWriteMs: 0.05 },
          lingerMs: 2,
          faults,
          deaths: [
            { at: 'send', nth: 3, from: 'pauseGuest' },
            { at: 'send', nth, from: 'endMirrorsInPlace' },
          ],
        };
        expect(await wrongs(scenario), `${nth}`).toBe('');
      }
    });
  },
);
