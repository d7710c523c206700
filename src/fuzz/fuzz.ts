/**
 * The fuzzer: hands out blocks of consecutive seeds, puts together what came of them in the order of the seeds, and says
 * how fast it was and what it has been through. It writes no files and prints nothing.
 */
import { type Clock, systemClock } from '../qmp/clock.ts';
import { type BlockOrder, type BlockResult, FINDINGS_MAX, type Finding } from './block.ts';
import { type CoverageReport, createCoverage } from './coverage.ts';
import { ALL, type Limits } from './draw/draw-scenario.ts';
import { soloist, type Team, threads } from './team.ts';

export interface FuzzOptions {
  /** The first seed; run n has the seed `seed + n`. */
  readonly seed: number;
  readonly runs: number;
  /** Ends earlier when so much time has passed. */
  readonly forMs?: number;
  readonly limits?: Limits;
  /** Threads; what is found does not depend on their number. This thread alone when absent. */
  readonly jobs?: number;
  readonly clock?: Clock;
  /** Called about every second. */
  readonly onProgress?: (progress: FuzzProgress) => void;
  /** Called as soon as something is found, so that it is not lost when the run is ended; waited for. */
  readonly onFinding?: (finding: Finding) => Promise<void>;
}

interface Rate {
  readonly runs: number;
  readonly perSecond: number;
  /** By the time that all threads of this process have used, its start and the compiler's included. */
  readonly perCpuSecond: number;
}

export interface FuzzProgress extends Rate {
  readonly findings: number;
  readonly states: Portion;
  readonly transitions: Portion;
}

type Portion = Pick<CoverageReport['states'], 'reached' | 'total'>;

export interface FuzzReport extends Rate {
  readonly seed: number;
  /** How often each outcome came. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly findings: readonly Finding[];
  readonly coverage: CoverageReport;
}

const BLOCK_RUNS = 20;
const PROGRESS_EVERY_MS = 1_000;

/**
 * Runs until `runs` or `forMs` are used up, or enough has been found. Throws what ends a thread, and what `onFinding` throws.
 *
 * @example
 * ```ts
 * const { perCpuSecond, findings } = await fuzz({ seed: 1, runs: 20 });
 * ```
 */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const team = options.jobs === undefined ? soloist() : threads(options.jobs);
  try {
    return await runAll(options, team);
  } finally {
    await team.end();
  }
}

async function runAll(options: FuzzOptions, team: Team): Promise<FuzzReport> {
  const { seed, runs, forMs = Number.POSITIVE_INFINITY, limits = ALL, clock = systemClock } = options;
  const total = createTotal(limits);
  const early = new Map<number, BlockResult>();
  const beganMs = clock.now();
  const cpuBefore = process.cpuUsage();
  let shownMs = beganMs;
  let begun = 0;
  let added = 0;

  const rate = (): Rate => {
    const { user, system } = process.cpuUsage(cpuBefore);
    return {
      runs: total.runs,
      perSecond: (total.runs * 1_000) / Math.max(1, clock.now() - beganMs),
      perCpuSecond: (total.runs * 1_000_000) / Math.max(1, user + system),
    };
  };
  const continues = () =>
    begun * BLOCK_RUNS < runs && clock.now() - beganMs < forMs && total.findings.length < FINDINGS_MAX;
  const orderOf = (block: number): BlockOrder => {
    const from = block * BLOCK_RUNS;
    return { seed: seed + from, runs: Math.min(BLOCK_RUNS, runs - from), limits };
  };
  /** In the order of the seeds; what lies beyond enough findings does not count, whichever thread was faster. */
  const addInOrder = async () => {
    for (let next = early.get(added); next !== undefined; next = early.get(added)) {
      early.delete(added);
      added += 1;
      if (total.findings.length >= FINDINGS_MAX) continue;
      total.add(next);
      for (const finding of next.findings) await options.onFinding?.(finding);
    }
  };
  const show = () => {
    if (clock.now() - shownMs < PROGRESS_EVERY_MS) return;
    shownMs = clock.now();
    const { states, transitions } = total.coverage();
    options.onProgress?.({ ...rate(), findings: total.findings.length, states, transitions });
  };

  await Promise.all(
    team.members.map(async run => {
      while (continues()) {
        const block = begun;
        begun += 1;
        early.set(block, await run(orderOf(block)));
        await addInOrder();
        show();
      }
    }),
  );
  const { outcomes, findings } = total;
  return { seed, ...rate(), outcomes, findings, coverage: total.coverage() };
}

/** What all blocks so far came to. */
function createTotal(limits: Limits) {
  const coverage = createCoverage(limits.operations);
  const outcomes: Record<string, number> = {};
  const findings: Finding[] = [];
  let runs = 0;
  return {
    get runs() {
      return runs;
    },
    outcomes,
    findings,
    coverage: () => coverage.report(),
    add(block: BlockResult): void {
      runs += block.runs;
      findings.push(...block.findings);
      coverage.absorb(block.seen);
      for (const [outcome, count] of Object.entries(block.outcomes)) {
        outcomes[outcome] = (outcomes[outcome] ?? 0) + count;
      }
    },
  };
}
