/** Another client at every command of a saga: it resumes the guest, stops it, or takes what is the saga's. */
import { describe, expect, test } from 'vitest';
import { runScenario } from '../src/fuzz/run/run-scenario.ts';
import type { PlannedFault, Scenario } from '../src/fuzz/scenario/scenario.ts';
import { sagaToken } from '../src/plan/names.ts';
import { strides } from '../test/tiers/tier.ts';
import { wrongs } from './draw-scenarios.ts';
import { PLAIN } from './plain.ts';

const MIRROR = `bs-${sagaToken('fuzzed')}-0-job`;

/** What it sends, and before every how many commands that is tried. */
const MEDDLING = [
  { execute: 'cont', every: 1 },
  { execute: 'stop', every: 3 },
  { execute: 'job-dismiss', arguments: { id: MIRROR }, every: 3 },
  { execute: 'block-job-cancel', arguments: { device: MIRROR }, every: 9 }, // parks a mirror that is finalized by hand: a long wait
];

const meddledAt = strides(61);
const resumedAt = strides(37);

describe.each(Object.entries(PLAIN))('%s', (_what, plain) => {
  // A guest that writes more often than commands come shows every gap.
  const scenario: Scenario = { ...plain, pace: { ...plain.pace, guestWriteMs: 0.02 } };

  test.each(MEDDLING)(
    'keeps the promise when a third party sends $execute before one of its commands',
    async ({ every, ...meddling }) => {
      const commands = await commandsOf(scenario);
      for (const at of meddledAt(Math.ceil(commands / every))) {
        const nth = 1 + (at - 1) * every;
        const fault: PlannedFault = { kind: 'otherClient', at: { when: 'before', nth }, ...meddling };
        expect(await wrongs({ ...scenario, faults: [fault] }), `before command ${nth}`).toBe('');
      }
    },
  );

  test('keeps the promise when a third party resumes the guest and stops it again a moment later', async () => {
    const commands = await commandsOf(scenario);
    for (const half of resumedAt(Math.floor(commands / 2))) {
      const nth = 2 * half - 1;
      const at = (when: number) => ({ when: 'before', nth: when }) as const;
      const faults: readonly PlannedFault[] = [
        { kind: 'otherClient', at: at(nth), execute: 'cont' },
        { kind: 'otherClient', at: at(nth + 1), execute: 'stop' },
      ];
      expect(await wrongs({ ...scenario, faults }), `before command ${nth}`).toBe('');
    }
  });
});

async function commandsOf(scenario: Scenario): Promise<number> {
  let count = 0;
  await runScenario(scenario, happening => {
    if (happening.kind === 'sent') count += happening.messages.length;
  });
  expect(count).toBeGreaterThan(10);
  return count;
}
