/** Scenarios drawn by fast-check: every choice is a value of its own, so that a failing one shrinks choice by choice. */
import fc, { type GeneratorValue } from 'fast-check';
import { ALL, composeScenario, type Limits } from '../src/fuzz/draw/draw-scenario.ts';
import { judge } from '../src/fuzz/laws/laws.ts';
import { runScenario } from '../src/fuzz/run/run-scenario.ts';
import { drawBy } from '../src/fuzz/scenario/draw.ts';
import type { Scenario } from '../src/fuzz/scenario/scenario.ts';

export function scenarioFrom(gen: GeneratorValue, limits: Partial<Limits> = {}): Scenario {
  const below = (bound: number) => gen(fc.nat, { max: bound - 1 });
  return composeScenario(drawBy(below), below(1_000_000), { ...ALL, ...limits });
}

/** All that is wrong with a run of the scenario, as text; with the scenario, so that it can be kept. */
export async function wrongs(scenario: Scenario): Promise<string> {
  const violations = judge(await runScenario(scenario));
  if (violations.length === 0) return '';
  return [...violations.map(({ law, what }) => `${law}: ${what}`), JSON.stringify(scenario)].join('\n');
}
