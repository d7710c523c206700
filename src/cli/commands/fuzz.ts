/** `blocksaga fuzz`: attacks sagas on simulated guests, or replays one attack step by step. */
import type { Command } from 'commander';
import { randomSeed } from '../../engine/connection/ids.ts';
import { ALL, type Limits } from '../../fuzz/draw/draw-scenario.ts';
import { type FuzzProgress, type FuzzReport, fuzz } from '../../fuzz/fuzz.ts';
import { judge } from '../../fuzz/laws/laws.ts';
import { narrate } from '../../fuzz/narrate.ts';
import { judgeProbes, type ProbeReport } from '../../fuzz/probes.ts';
import { readReplay, writeReplay } from '../../fuzz/replay-file.ts';
import { runScenario } from '../../fuzz/run/run-scenario.ts';
import type { Scenario } from '../../fuzz/scenario/scenario.ts';
import type { Wish } from '../../fuzz/scenario/wish.ts';
import { PROFILE_NAMES, type ProfileName } from '../../sim/state/profiles.ts';
import { absoluteFile, readBetween, readChoice, readCount } from '../options/option-values.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, type Finished } from '../print/exit-status.ts';
import { linesOf } from '../print/printable.ts';

const RUNS = 1_000;
const MINUTE_MS = 60_000;
const DISKS_MAX = 8;
const JOBS_MAX = 64;

const HELP = `
Each run draws a guest, a request and what goes wrong from its seed, runs the saga on the simulator, and holds what came
of it against every law. What breaks one is shrunk and written to blocksaga-fuzz-SEED.json. Exit status: 0 when every
law held, 1 when one was broken.

Examples:
  $ blocksaga fuzz --runs 10000 --seed 1
  $ blocksaga fuzz --runs 1000000 --seed 1 --jobs 4 --disks 3
  $ blocksaga fuzz --minutes 10 --runs 1000000 --operation copy --profile 7.2
  $ blocksaga fuzz --replay blocksaga-fuzz-4711.json`;

interface FuzzCommandOptions {
  readonly runs?: number;
  readonly seed?: number;
  readonly operation?: Wish['operation'];
  readonly profile?: ProfileName;
  readonly disks?: number;
  readonly jobs?: number;
  readonly minutes?: number;
  readonly replay?: string;
  readonly held?: boolean;
  readonly probes?: boolean;
  readonly json?: boolean;
}

export function defineFuzz(program: Command, context: CliContext, finished: Finished): void {
  program
    .command('fuzz')
    .summary('attack sagas on simulated guests')
    .description('Runs sagas on simulated guests while things go wrong, and holds them against the laws.')
    .option('--runs <count>', `how many sagas (default: ${RUNS})`, readCount('--runs'))
    .option('--seed <number>', 'the first seed; made up and printed when absent', readCount('--seed'))
    .option('--operation <name>', 'only this one', readChoice('--operation', ALL.operations))
    .option('--profile <version>', 'only this version of QEMU', readChoice('--profile', PROFILE_NAMES))
    .option('--disks <count>', 'only guests with so many disks', readBetween('--disks', 1, DISKS_MAX))
    .option(
      '--jobs <count>',
      'threads (default: 1); what is found does not depend on them',
      readBetween('--jobs', 1, JOBS_MAX),
    )
    .option('--minutes <count>', 'end after so long', readCount('--minutes'))
    .option('--replay <file>', 'run one scenario again and tell every step')
    .option('--held', 'draw also what the engine is known not to survive yet')
    .option(
      '--probes',
      'name each transition, foreign command and error that was not met; 1 without a reason',
    )
    .option('--json', 'one JSON object per line')
    .addHelpText('after', HELP)
    .action(async (options: FuzzCommandOptions) => {
      const { replay } = options;
      const held =
        replay === undefined
          ? await attack(options, context)
          : await replayFile(absoluteFile(replay, context), context);
      finished(held ? EXIT.done : EXIT.rolledBack);
    });
}

async function attack(options: FuzzCommandOptions, context: CliContext): Promise<boolean> {
  const seed = options.seed ?? randomSeed();
  const say = (type: string, body: object, words: string) =>
    write(options.json ? JSON.stringify({ type, ...body }) : words, context);
  say('seed', { seed }, `seed ${seed}`);
  const report = await fuzz({
    seed,
    runs: options.runs ?? RUNS,
    limits: limitsOf(options),
    jobs: options.jobs ?? 1,
    ...(options.minutes === undefined ? {} : { forMs: options.minutes * MINUTE_MS }),
    onProgress: progress => say('progress', progress, progressInWords(progress)),
    onFinding: async finding => {
      const file = absoluteFile(`blocksaga-fuzz-${finding.seed}.json`, context);
      await writeReplay(file, finding);
      const broken = finding.violations.map(({ law, what }) => `${law}: ${what}`).join('; ');
      say(
        'finding',
        { file, ...finding },
        [
          `BROKEN by seed ${finding.seed}: ${broken}`,
          ...offLines(finding.scenario),
          `  blocksaga fuzz --replay ${file}`,
          `  blocksaga inspect --sim --replay ${file}`,
        ].join('\n'),
      );
    },
  });
  say('result', report, summary(report));
  if (!options.probes) return report.findings.length === 0;
  const probes = judgeProbes(report.coverage);
  say('probes', probes, probesInWords(probes));
  return report.findings.length === 0 && probes.missing.length === 0 && probes.refuted.length === 0;
}

function write(text: string, context: CliContext): void {
  for (const line of linesOf(text)) context.write(line);
}

/** Tells every step of one scenario and whether each law held. */
async function replayFile(file: string, context: CliContext): Promise<boolean> {
  const scenario = await readReplay(file);
  for (const line of offLines(scenario)) context.write(line.trimStart());
  const account = await runScenario(scenario, happening => write(narrate(happening), context));
  const violations = judge(account);
  for (const { law, what } of violations) context.write(`BROKEN ${law}: ${what}`);
  context.write(`As a story, with its faults on the steps: blocksaga inspect --sim --replay ${file}`);
  context.write(violations.length === 0 ? 'Every law held.' : `${violations.length} laws were broken.`);
  return violations.length === 0;
}

function probesInWords({ total, hit, missing, excused, refuted }: ProbeReport): string {
  return [
    `probes ${hit} of ${total} hit`,
    ...excused.map(({ probe, reason }) => `  not hit: ${probe} (${reason})`),
    ...missing.map(
      probe => `  MISSING: ${probe}; run longer, draw what leads there, or write down why nothing does`,
    ),
    ...refuted.map(probe => `  REFUTED: ${probe} was hit, and a reason says that it cannot be`),
  ].join('\n');
}

function offLines(scenario: Scenario): readonly string[] {
  return scenario.off === undefined ? [] : [`  ${offInWords(scenario)}`];
}

/** What the run did without. */
function offInWords({ off = [] }: Scenario): string {
  return `switched off in this run: ${off.join(', ')}`;
}

function limitsOf({ operation, profile, disks, held }: FuzzCommandOptions): Limits {
  return {
    ...ALL,
    ...(held ? { held } : {}),
    ...(operation === undefined ? {} : { operations: [operation] }),
    ...(profile === undefined ? {} : { profiles: [profile] }),
    ...(disks === undefined ? {} : { disks }),
  };
}

function progressInWords({ findings, states, transitions, ...rate }: FuzzProgress): string {
  const found = findings === 0 ? '' : `; ${findings} broke a law`;
  return `${rate.runs} sagas, ${rateInWords(rate)}; states ${reached(states)}, transitions ${reached(transitions)}${found}`;
}

function rateInWords({ perSecond, perCpuSecond }: Pick<FuzzReport, 'perSecond' | 'perCpuSecond'>): string {
  return `${Math.round(perSecond)} a second, ${Math.round(perCpuSecond)} a second of CPU time`;
}

function reached({ reached: some, total }: { readonly reached: number; readonly total: number }): string {
  return `${some} of ${total}`;
}

function summary({ runs, outcomes, coverage, findings, seed, ...rate }: FuzzReport): string {
  const counts = Object.entries(outcomes).map(([outcome, count]) => `${count} ${outcome}`);
  return [
    `${runs} sagas from seed ${seed}, ${rateInWords(rate)}: ${counts.join(', ')}`,
    `states ${reached(coverage.states)}; never: ${coverage.states.never.join(', ') || 'none'}`,
    `transitions ${reached(coverage.transitions)}; never: ${coverage.transitions.never.join(', ') || 'none'}`,
    `states in which nothing ever went wrong: ${coverage.unharmed.join(', ') || 'none'}`,
    findings.length === 0 ? 'Every law held in every run.' : `${findings.length} runs broke a law.`,
  ].join('\n');
}
