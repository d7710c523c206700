/**
 * `npm run torture -- --rounds N --seed S`: kills orchestrators and QEMUs at every moment of every operation, or plays
 * one round again. Reads its arguments, tells what it does, and ends with 1 when a round went wrong.
 */
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/qmp/clock.ts';
import { uncrossed } from './crossed.ts';
import { FILE_ACTS } from './file-acts.ts';
import { OPERATIONS, operationNamed } from './operations.ts';
import type { Victim } from './orders.ts';
import {
  boundaryRounds,
  drawOperations,
  drawRounds,
  everyRound,
  nameOf,
  type Round,
  roundNamed,
  victimsOf,
} from './rounds.ts';
import { matrixOf, tableOf } from './table.ts';
import { drawThirdPartyRounds, meetsThirdParties } from './third-party-rounds.ts';
import { learnAll, torture } from './torture.ts';

const ROUNDS = 200;

const HELP = `npm run torture -- [options]
  --rounds N       how many rounds are played (default ${ROUNDS})
  --seed S         which ones, in which order; printed first when it is made up
  --third-parties  nothing is killed: a third party sends one command of the table, about one disk, at one moment
  --files          the same, and what a third party does is to rename, remove, replace or re-create an image or its directory
  --command A,B    of these only
  --every          every moment of every operation once, instead of a choice
  --boundaries     every boundary between two steps of every operation once, for each who dies; the table is Markdown
  --operation A,B  only these: ${OPERATIONS.map(operation => operation.name).join(', ')}
  --who A,B        who dies: orchestrator, qemu, both (default: all three)
  --in PATTERN     only moments that match, such as 'switching|compensating' or /sent/
  --lanes N        rounds at once (default 2)
  --replay ROUND   plays one round again, --rounds times (default 1)
  --verbose        tells of every round
SIGTERM ends it after the rounds that are being played, with the table.`;

const TELL_EVERY = 50;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string' },
    seed: { type: 'string' },
    'third-parties': { type: 'boolean', default: false },
    files: { type: 'boolean', default: false },
    command: { type: 'string' },
    every: { type: 'boolean', default: false },
    boundaries: { type: 'boolean', default: false },
    operation: { type: 'string' },
    who: { type: 'string', default: 'orchestrator,qemu,both' },
    in: { type: 'string', default: '' },
    lanes: { type: 'string', default: '2' },
    replay: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const say = (line: string) => process.stdout.write(`${line}\n`);
if (values.help) say(HELP);
else await main();

async function main(): Promise<void> {
  const seed = Number(values.seed ?? systemClock.epochMs() % 1_000_000);
  say(`seed ${seed}`);
  const rounds = values.replay === undefined ? await choose(seed) : replayed(values.replay);
  say(`${rounds.length} rounds in ${values.lanes} lanes`);
  const beganMs = systemClock.now();
  let played = 0;
  const stop = new AbortController();
  process.on('SIGTERM', () => stop.abort());
  const tally = await torture({
    rounds,
    lanes: Number(values.lanes),
    stop: stop.signal,
    tell(round, result) {
      played += 1;
      if (played % TELL_EVERY === 0) say(`${played} rounds, ${secondsSince(beganMs)} s`);
      if (values.verbose || result.wrong.length > 0) {
        say(`${nameOf(round)} -> ${result.outcome}${result.struck ? '' : ' (it did not come to that)'}`);
      }
      for (const line of result.wrong) say(`    ${line}`);
    },
  });
  for (const line of values.boundaries ? matrixOf(tally.rows) : tableOf(tally.rows)) say(line);
  say(
    `${tally.rounds} rounds, ${tally.deaths} deaths, ${secondsSince(beganMs)} s, ${tally.failures.length} failures`,
  );
  for (const { round, wrong, directory } of tally.failures) {
    say(`FAILED ${round}`);
    for (const line of wrong) say(`    ${line}`);
    say(`    kept in ${directory}; play it again: npm run torture -- --replay '${round}'`);
  }
  process.exitCode = tally.failures.length === 0 ? 0 : 1;
}

/** Whether no round is left to chance. */
function drawsAll(): boolean {
  return values.every || values.boundaries;
}

function secondsSince(beganMs: number): number {
  return Math.round((systemClock.now() - beganMs) / 1000);
}

async function choose(seed: number): Promise<readonly Round[]> {
  const named = values.operation?.split(',').map(operationNamed) ?? OPERATIONS;
  const hasThirdParties = values['third-parties'] || values.files;
  const meeting = hasThirdParties ? named.filter(({ name }) => meetsThirdParties(name)) : named;
  const operations = drawsAll() ? meeting : drawOperations(meeting, Number(values.rounds ?? ROUNDS), seed);
  const victims = values.who.split(',') as Victim[];
  const pattern = new RegExp(values.in);
  const likes = values.boundaries ? operations.flatMap(({ like = [] }) => like.map(operationNamed)) : [];
  const learnt = await learnAll([...new Set([...operations, ...likes])], Number(values.lanes));
  const runs = operations.flatMap(({ name }) => learnt.get(name) ?? []);
  for (const { operation, outcome, durationMs, moments } of runs)
    say(`${operation}: ${outcome} in ${Math.round(durationMs)} ms, ${moments.length} moments`);
  for (const state of uncrossed(runs)) say(`no round crosses ${state}`);
  const meant = runs.map(run => ({ ...run, moments: run.moments.filter(moment => pattern.test(moment)) }));
  if (hasThirdParties) {
    const commands = values.command?.split(',') ?? (values.files ? FILE_ACTS : undefined);
    return drawThirdPartyRounds(meant, Number(values.rounds ?? ROUNDS), seed, commands);
  }
  if (!drawsAll()) return drawRounds(meant, victims, Number(values.rounds ?? ROUNDS), seed);
  const all = meant.flatMap(({ operation, moments }) => {
    const who = victimsOf(operation, victims);
    if (values.every) return everyRound(operation, moments, who);
    const { like = [] } = operationNamed(operation);
    const known = like.flatMap(name => learnt.get(name)?.moments ?? []);
    return boundaryRounds(operation, moments, who, known);
  });
  return values.rounds === undefined ? all : all.slice(0, Number(values.rounds));
}

function replayed(name: string): readonly Round[] {
  const round = roundNamed(name);
  return Array.from({ length: Number(values.rounds ?? 1) }, () => round);
}
