/**
 * The fuzzer: draws scenarios from consecutive seeds, runs and judges each, shrinks what breaks a law, and says how fast
 * it was and what it has been through. It writes no files and prints nothing.
 */
import { type Clock, systemClock } from '../qmp/clock.ts';
import { type CoverageReport, createCoverage } from './coverage.ts';
import { ALL, drawScenario, type Limits } from './draw-scenario.ts';
import { judge, type Violation } from './laws.ts';
import { runScenario } from './run-scenario.ts';
import type { Scenario } from './scenario.ts';
import { shrink } from './shrink.ts';

export interface FuzzOptions {
  /** The first seed; run n has the seed `seed + n`. */
  readonly seed: number;
  readonly runs: number;
  /** Ends earlier when so much time has passed. */
  readonly forMs?: number;
  readonly limits?: Limits;
  readonly clock?: Clock;
  /** Called about every second. */
  readonly onProgress?: (progress: FuzzProgress) => void;
}

interface FuzzProgress {
  readonly runs: number;
  readonly perSecond: number;
  readonly findings: number;
}

/** A scenario that breaks a law, made small. */
export interface Finding {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly scenario: Scenario;
}

export interface FuzzReport {
  readonly seed: number;
  readonly runs: number;
  readonly perSecond: number;
  /** How often each outcome came. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly findings: readonly Finding[];
  readonly coverage: CoverageReport;
}

const FINDINGS_MAX = 10;
const PROGRESS_EVERY_MS = 1_000;

/**
 * Runs until `runs` or `forMs` are used up, or enough has been found.
 *
 * @example
 * ```ts
 * const { perSecond, findings } = await fuzz({ seed: 1, runs: 100 });
 * ```
 */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const { seed, runs, forMs = Number.POSITIVE_INFINITY, limits = ALL, clock = systemClock } = options;
  const coverage = createCoverage(limits.operations);
  const outcomes: Record<string, number> = {};
  const findings: Finding[] = [];
  const beganMs = clock.now();
  let shownMs = beganMs;
  let done = 0;
  const perSecond = () => (done * 1_000) / Math.max(1, clock.now() - beganMs);
  while (done < runs && clock.now() - beganMs < forMs && findings.length < FINDINGS_MAX) {
    const scenario = drawScenario(seed + done, limits);
    const account = await runScenario(scenario);
    done += 1;
    coverage.add(account);
    const outcome = account.refusal === undefined ? (account.result?.outcome ?? 'none') : 'refused';
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    const violations = judge(account);
    const [first] = violations;
    if (first !== undefined) {
      findings.push({ seed: scenario.seed, violations, scenario: await shrink(scenario, first.law) });
    }
    if (clock.now() - shownMs < PROGRESS_EVERY_MS) continue;
    shownMs = clock.now();
    options.onProgress?.({ runs: done, perSecond: perSecond(), findings: findings.length });
  }
  return { seed, runs: done, perSecond: perSecond(), outcomes, findings, coverage: coverage.report() };
}
