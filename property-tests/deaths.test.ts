/** Killing the orchestrator and resuming: at every record, at every write to QEMU, and once more while it goes back. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runScenario } from '../src/fuzz/run/run-scenario.ts';
import type { OrchestratorDeath, Scenario } from '../src/fuzz/scenario/scenario.ts';
import { often } from '../test/tiers/tier.ts';
import { wrongs } from './draw-scenarios.ts';
import { PLAIN } from './plain.ts';

/** More than any of these sagas writes; a death that comes too late does nothing. */
const RECORDS_MAX = 60;
const PAIRS = often(1, 60);
/** Of the deaths, every how manieth is tried; each operation begins with another. */
const EVERY = often(25, 1);

describe.each(Object.entries(PLAIN).map(([what, scenario], at) => [what, scenario, at] as const))(
  '%s',
  (_what, scenario, at) => {
    test('goes through without any death', async () => {
      const { result } = await runScenario(scenario);
      expect(result?.outcome).toBe('committed');
    });

    test('ends as it would have, wherever its orchestrator dies', async () => {
      for (const death of (await deathsOf(scenario)).filter((_, nth) => nth % EVERY === at % EVERY)) {
        expect(await wrongs({ ...scenario, deaths: [death] }), JSON.stringify(death)).toBe('');
      }
    });

    test('keeps the promise when it dies a second time, and when a command is refused too', async () => {
      const deaths = await deathsOf(scenario);
      const property = fc.asyncProperty(
        fc.constantFrom(...deaths),
        fc.constantFrom(...deaths),
        fc.integer({ min: 8, max: 90 }),
        async (first, second, nth) => {
          const trouble = { deaths: [first, second], faults: [{ kind: 'refuse', nth } as const] };
          expect(await wrongs({ ...scenario, ...trouble })).toBe('');
        },
      );
      await fc.assert(property, { numRuns: PAIRS });
    });
  },
);

/** A death at each write to the journal, lost and kept, and after each write to QEMU. */
async function deathsOf(scenario: Scenario): Promise<readonly OrchestratorDeath[]> {
  let sends = 0;
  await runScenario(scenario, happening => {
    if (happening.kind === 'sent') sends += 1;
  });
  expect(sends).toBeGreaterThan(5);
  const counted = (length: number) => Array.from({ length }, (_, index) => index + 1);
  return [
    ...counted(sends).map(nth => ({ at: 'send', nth }) as const),
    ...counted(RECORDS_MAX).map(nth => ({ at: 'record', nth, written: nth % 2 === 0 }) as const),
    ...counted(RECORDS_MAX).map(nth => ({ at: 'record', nth, written: nth % 2 === 1 }) as const),
  ];
}
