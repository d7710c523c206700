/** Runs what was chosen in the laboratory on the simulator, to its end, and judges it by the laws of the fuzzer. */
import { planOf } from '../engine/durable/checked-journal.ts';
import type { Account } from '../fuzz/account/account.ts';
import { judge, LAWS } from '../fuzz/laws/laws.ts';
import { narrate } from '../fuzz/narrate.ts';
import { runScenario } from '../fuzz/run/run-scenario.ts';
import type { Scenario } from '../fuzz/scenario/scenario.ts';
import { tellStory } from '../story/tell.ts';
import type { LabRun } from './lab-types.ts';

/** More than a reader reads. */
const TOLD_MAX = 400;

export async function runLab(scenario: Scenario): Promise<LabRun> {
  const happened: string[] = [];
  const account = await runScenario(scenario, happening => {
    if (happened.length < TOLD_MAX) happened.push(narrate(happening));
  });
  return judged(account, happened);
}

/** What a run came to, by the laws. */
export function judged(account: Account, happened: readonly string[]): LabRun {
  const breaches = judge(account);
  const { row, records, refusal } = account;
  return {
    story: row === undefined ? null : tellStory({ row, plan: planOf(row), records, isRunning: false }),
    refusal: refusal?.message ?? null,
    lights: LAWS.map(({ name, says }) => ({
      law: name,
      says,
      breach: breaches.find(({ law }) => law === name)?.what ?? null,
      isJudged: true,
    })),
    happened,
  };
}

/** Of a run that is not over. */
export function openLights(): LabRun['lights'] {
  return LAWS.map(({ name, says }) => ({ law: name, says, breach: null, isJudged: false }));
}
