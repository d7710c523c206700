/**
 * The torture: first every operation undisturbed, to learn its moments, then rounds in some lanes at once, each lane with
 * a guest of its own. It counts and tells; what is right is decided in `play-round.ts`.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BlocksagaError } from '../../src/errors.ts';
import { systemClock } from '../../src/qmp/clock.ts';
import { Arena } from './arena.ts';
import type { Operation } from './operation.ts';
import { operationNamed } from './operations.ts';
import { type Played, playRound } from './play-round.ts';
import { playThirdParty } from './play-third-party.ts';
import { nameOf, type Round, stateOf, type Undisturbed } from './rounds.ts';

/** A round that went wrong. */
export interface Failure {
  readonly round: string;
  readonly wrong: readonly string[];
  /** Where its images, its journal and what was said are kept. */
  readonly directory: string;
}

/** What one boundary came to. */
export interface Row {
  readonly operation: string;
  readonly state: string;
  readonly victim: string;
  /** How often each outcome was reached. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly missed: number;
  readonly failed: number;
}

/** What a torture came to. */
export interface Tally {
  readonly rows: readonly Row[];
  readonly rounds: number;
  /** Rounds in which a process really died. */
  readonly deaths: number;
  readonly failures: readonly Failure[];
}

const UNDISTURBED = 'nothing/dies';

/** Runs an operation in which nothing dies. Throws `VERIFY_FAILED` when that alone goes wrong. */
export async function learn(operation: Operation, pacingUs?: number): Promise<Undisturbed> {
  await using arena = await Arena.open(operation, pacingUs);
  const round: Round = {
    operation: operation.name,
    moment: UNDISTURBED,
    victim: 'orchestrator',
    delayMs: 0,
    seed: 0,
  };
  const { wrong, said, moments, durationMs, outcome } = await playRound(arena, round, 'undisturbed');
  if (wrong.length === 0 && moments.length > 0) {
    return { operation: operation.name, moments, durationMs, outcome };
  }
  arena.keep = true;
  throw new BlocksagaError(
    'VERIFY_FAILED',
    `${operation.name}, undisturbed: ${wrong.join('; ')} ${JSON.stringify(said)}; see ${arena.home}`,
  );
}

/** The same of some, so many at once, by their names. */
export async function learnAll(
  operations: readonly Operation[],
  lanes: number,
): Promise<ReadonlyMap<string, Undisturbed>> {
  const left = [...operations];
  const learnt = new Map<string, Undisturbed>();
  async function lane(): Promise<void> {
    for (let next = left.shift(); next !== undefined; next = left.shift())
      learnt.set(next.name, await learn(next));
  }
  await Promise.all(Array.from({ length: lanes }, lane));
  return learnt;
}

/** How a torture is run. */
export interface TortureOptions {
  readonly rounds: readonly Round[];
  /** How many rounds are played at once. */
  readonly lanes: number;
  /** How long the guests rest after each write; not at all if not said. */
  readonly pacingUs?: number;
  /** No round is begun after so many milliseconds; without end if not said. */
  readonly deadlineMs?: number;
  /** No round is begun any more when it aborts. */
  readonly stop?: AbortSignal;
  /** Hears of every round that was played. */
  readonly tell?: (round: Round, played: Played) => void;
}

/** Plays the rounds and counts. A round that throws has failed; the others go on. */
export async function torture(options: TortureOptions): Promise<Tally> {
  const { rounds, lanes, pacingUs, deadlineMs = Number.POSITIVE_INFINITY, stop, tell } = options;
  const untilMs = systemClock.now() + deadlineMs;
  const left = [...rounds].reverse();
  const rows = new Map<string, Row>();
  const failures: Failure[] = [];
  let played = 0;
  let deaths = 0;

  async function lane(): Promise<void> {
    let arena: Arena | undefined;
    try {
      for (let round = left.pop(); round !== undefined; round = left.pop()) {
        if (systemClock.now() > untilMs || stop?.aborted) return;
        const operation = operationNamed(round.operation);
        if (arena !== undefined && (round.victim !== 'orchestrator' || !arena.fits(operation))) {
          await arena[Symbol.asyncDispose]();
          arena = undefined;
        }
        arena ??= await Arena.open(operation, pacingUs);
        played += 1;
        const result = await playOrFail(arena, round, `round${played}`);
        if (result.struck) deaths += 1;
        count(rows, round, result);
        tell?.(round, result);
        if (result.wrong.length > 0) failures.push(await keep(arena, round, result));
        const isOver =
          operation.guest.rests === 'ended' ||
          round.foreign !== undefined ||
          (round.victim !== 'orchestrator' && result.struck);
        if (result.wrong.length > 0 || isOver) {
          await arena[Symbol.asyncDispose]();
          arena = undefined;
        } else {
          await arena.tidy();
        }
      }
    } finally {
      await arena?.[Symbol.asyncDispose]();
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane));
  const order = new Map(rounds.map((round, at) => [keyOf(round), at] as const).reverse());
  const place = (row: Row) => order.get(`${row.operation} ${row.state} ${row.victim}`) ?? 0;
  const sorted = [...rows.values()].sort((a, b) => byPlace(a, b) || place(a) - place(b));
  return { rows: sorted, rounds: played, deaths, failures };
}

async function playOrFail(arena: Arena, round: Round, id: string): Promise<Played> {
  try {
    return await (round.foreign === undefined ? playRound : playThirdParty)(arena, round, id);
  } catch (error) {
    const wrong = [`the round came to nothing: ${String(error)}; QEMU: ${arena.vm.stderr()}`];
    return { outcome: 'hung', struck: false, wrong, said: [], moments: [], durationMs: 0 };
  }
}

async function keep(arena: Arena, round: Round, played: Played): Promise<Failure> {
  arena.keep = true;
  const failure = { round: nameOf(round), wrong: played.wrong, directory: arena.home };
  await writeFile(join(arena.home, 'round.json'), JSON.stringify({ ...failure, ...played }, null, 2));
  return failure;
}

function count(rows: Map<string, Row>, round: Round, { outcome, struck, wrong }: Played): void {
  const { operation, victim } = round;
  const state = stateOf(round.moment);
  const key = keyOf(round);
  const row = rows.get(key) ?? { operation, state, victim, outcomes: {}, missed: 0, failed: 0 };
  rows.set(key, {
    ...row,
    outcomes: { ...row.outcomes, [outcome]: (row.outcomes[outcome] ?? 0) + 1 },
    missed: row.missed + (struck ? 0 : 1),
    failed: row.failed + (wrong.length > 0 ? 1 : 0),
  });
}

function keyOf({ operation, moment, victim }: Round): string {
  return `${operation} ${stateOf(moment)} ${victim}`;
}

function byPlace(a: Row, b: Row): number {
  return `${a.operation} ${a.victim}`.localeCompare(`${b.operation} ${b.victim}`);
}
