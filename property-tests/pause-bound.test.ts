/**
 * The pause is bounded whatever QEMU refuses for good in it, and whichever of its replies are lost: each command that a switch sends, from each of its states
 * on, forward and in its rollback, and jobs that never end. The guest is resumed in time, and what is left is done
 * beside it or by resume.
 */
import { describe, expect, test } from 'vitest';
import type { PlannedFault, Scenario } from '../src/fuzz/scenario/scenario.ts';
import { strides, turns } from '../test/tiers/tier.ts';
import { wrongs } from './draw-scenarios.ts';
import { PLAIN } from './plain.ts';

const REFUSED = [
  ...['blockdev-add', 'blockdev-del', 'blockdev-mirror', 'blockdev-reopen', 'qom-set', 'block-commit'],
  ...['job-complete', 'job-finalize', 'job-dismiss', 'job-cancel', 'block-job-cancel', 'query-jobs'],
];
const STATES = {
  reopen: [
    ...(['insertFiltersLive', 'pauseGuest', 'endMirrorsInPlace', 'insertFilters'] as const),
    ...(['reopenFilters', 'removeFilters', 'removeFiltersLive'] as const),
  ],
  finalize: ['pauseGuest', 'parkMirrors', 'finalizeMirrors'],
  complete: ['pauseGuest', 'completeMirrors'],
} as const;
type Strategy = keyof typeof STATES;
const STRATEGIES: readonly Strategy[] = ['reopen', 'finalize', 'complete'];

const switched = STRATEGIES.flatMap(strategy =>
  (strategy === 'reopen' ? [false, true] : [false]).flatMap(iothreads =>
    (['a copy that completes mirrors', 'a commit of active images that completes'] as const).map(
      (name): readonly [string, Strategy, Scenario] => {
        const scenario: Scenario = PLAIN[name];
        const guest = { ...scenario.guest, iothreads };
        const wish = { ...PLAIN[name].wish, strategy };
        return [
          `${name}, by ${strategy}${iothreads ? ', with iothreads' : ''}`,
          strategy,
          { ...scenario, guest, wish },
        ];
      },
    ),
  ),
);

const inTurn = turns();
const lostAt = strides(14);

describe.each(switched)('%s', (_what, strategy, scenario) => {
  test.each(STATES[strategy])(
    'resumes the guest in time when QEMU refuses for good from %s on',
    async from => {
      for (const command of inTurn(REFUSED)) {
        const lasting: PlannedFault = { kind: 'refuse', lasting: true, nth: 1, command, from };
        expect(await wrongs({ ...scenario, faults: [lasting] }), command).toBe('');
        const turn: PlannedFault = { kind: 'refuse', nth: 4, from };
        expect(await wrongs({ ...scenario, faults: [turn, lasting] }), `${command} in the rollback`).toBe('');
      }
    },
  );

  test.each(STATES[strategy])('resumes the guest in time whichever reply is lost from %s on', async from => {
    for (const nth of lostAt(8)) {
      const lost: PlannedFault = { kind: 'replyLost', nth, from };
      expect(await wrongs({ ...scenario, faults: [lost] }), `reply ${nth}`).toBe('');
      const twice: PlannedFault = { kind: 'replyLost', nth: nth + 2, from };
      expect(await wrongs({ ...scenario, faults: [lost, twice] }), `replies ${nth} and ${nth + 2}`).toBe('');
    }
  });

  test('resumes the guest in time when a job that takes a disk back never ends', async () => {
    const disks = scenario.wish.named.length;
    for (let nth = 1; nth <= 2 * disks; nth += 1) {
      const faults: PlannedFault[] = [
        { kind: 'pivotRefused', nth },
        ...Array.from(
          { length: disks },
          (_, at): PlannedFault => ({ kind: 'jobNeverReady', nth: disks + 1 + at }),
        ),
      ];
      expect(await wrongs({ ...scenario, faults, signals: [{ signal: 'abort', atMs: 3_000 }] })).toBe('');
    }
  });
});
