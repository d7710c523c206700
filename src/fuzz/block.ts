/**
 * A block of consecutive seeds: draws, runs and judges each, and shrinks what breaks a law. What comes of it is plain data
 * that follows from the order alone, so that blocks may be run anywhere and put together in the order of their seeds.
 */
import { createCoverage, type Seen } from './coverage.ts';
import { drawScenario, type Limits } from './draw/draw-scenario.ts';
import { judge, type Violation } from './laws/laws.ts';
import { runScenario } from './run/run-scenario.ts';
import type { Scenario } from './scenario/scenario.ts';
import { shrink } from './shrink.ts';

export interface BlockOrder {
  /** The first seed. */
  readonly seed: number;
  readonly runs: number;
  readonly limits: Limits;
}

/** A scenario that breaks a law, made small. */
export interface Finding {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly scenario: Scenario;
}

export interface BlockResult {
  readonly runs: number;
  /** How often each outcome came. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly findings: readonly Finding[];
  readonly seen: Seen;
}

/** More findings than this are not worth looking for. */
export const FINDINGS_MAX = 10;

export async function runBlock({ seed, runs, limits }: BlockOrder): Promise<BlockResult> {
  const coverage = createCoverage(limits.operations);
  const outcomes: Record<string, number> = {};
  const findings: Finding[] = [];
  let done = 0;
  while (done < runs && findings.length < FINDINGS_MAX) {
    const scenario = drawScenario(seed + done, limits);
    const account = await withoutStacks(() => runScenario(scenario));
    done += 1;
    coverage.add(account);
    const outcome = account.refusal === undefined ? (account.result?.outcome ?? 'none') : 'refused';
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    const violations = judge(account);
    if (violations.length > 0) findings.push(await findingOf(scenario, violations));
  }
  return { runs: done, outcomes, findings, seen: coverage.seen() };
}

/** Runs it again, this time with what an error tells of its place, and makes it small. */
async function findingOf(scenario: Scenario, atFirst: readonly Violation[]): Promise<Finding> {
  const again = judge(await runScenario(scenario));
  const violations = again.length === 0 ? atFirst : again;
  const law = violations[0]?.law ?? '';
  return { seed: scenario.seed, violations, scenario: await shrink(scenario, law) };
}

/** QEMU refuses a lot here, and to note where each error was made costs more than the refusal. */
async function withoutStacks<T>(act: () => Promise<T>): Promise<T> {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return await act();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
