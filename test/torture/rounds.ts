/**
 * A round: which operation, who dies, when. Written as one word that the harness prints when a round fails and takes
 * back with `--replay`.
 */
import { BlocksagaError } from '../../src/errors.ts';
import { FOREIGN_COMMANDS } from '../../src/fuzz/scenario/foreign-commands.ts';
import { type Chance, seededChance } from '../../src/sim/host/random.ts';
import { isFileAct } from './file-acts.ts';
import { operationNamed } from './operations.ts';
import type { Victim } from './orders.ts';

/** The moment of a round in which the harness kills from outside, `delayMs` after the saga was begun. */
export const ANY_INSTANT = 'anyInstant';

/** One death and what follows. */
export interface Round {
  readonly operation: string;
  /** A moment as `moments.ts` names it, or {@link ANY_INSTANT}. */
  readonly moment: string;
  readonly victim: Victim;
  readonly delayMs: number;
  /** Chance within the round: whether and when those who take over die too. 0: they live. */
  readonly seed: number;
  /** What a third party sends, a row of `foreign-commands.ts`, or does to a file, about which disk; where nothing dies. */
  readonly foreign?: { readonly command: string; readonly disk: number };
}

/** `finalize:switching.parkMirrors/sent/job-complete/2:orchestrator:0:0`. */
export function nameOf({ operation, moment, victim, delayMs, seed, foreign }: Round): string {
  const sent = foreign === undefined ? [] : [foreign.command, foreign.disk];
  return [operation, moment, victim, delayMs, seed, ...sent].join(':');
}

/** The round of this name. Throws `REQUEST_INVALID`. */
export function roundNamed(name: string): Round {
  const [operation = '', moment = '', victim = '', delay = '', seed = '', command, disk] = name.split(':');
  const delayMs = Number(delay);
  const isKnown = command !== undefined && (FOREIGN_COMMANDS[command] !== undefined || isFileAct(command));
  if (victim === 'thirdParty' && isKnown) {
    operationNamed(operation);
    const foreign = { command, disk: Number(disk) || 0 };
    return { operation, moment, victim, delayMs: delayMs || 0, seed: Number(seed) || 0, foreign };
  }
  if ((victim !== 'orchestrator' && victim !== 'qemu' && victim !== 'both') || moment === '' || delayMs < 0) {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `"${name}" is no round: OPERATION:MOMENT:WHO:DELAY_MS:SEED, of a third party :COMMAND:DISK`,
    );
  }
  operationNamed(operation);
  return { operation, moment, victim, delayMs: delayMs || 0, seed: Number(seed) || 0 };
}

/** The state in which a moment lies. */
export function stateOf(moment: string): string {
  return moment.split('/')[0] ?? moment;
}

const POLLS_MAX = 2;
/** Who may die of those who are to: of an operation without a QEMU only the orchestrator. */
export function victimsOf(operation: string, victims: readonly Victim[]): readonly Victim[] {
  const { rests } = operationNamed(operation).guest;
  return rests === 'ended' ? victims.filter(victim => victim === 'orchestrator') : victims;
}

/** All who may die. */
export const VICTIMS: readonly Victim[] = ['orchestrator', 'qemu', 'both'];
/** How long after a state was entered the second and third deaths in it come, in milliseconds. */
const LATER_MS = [1, 4] as const;

/** The saga is there from this moment on; until then it only asks. */
const CLAIMED = 'beginning/unwritten/begin/1';

/**
 * All rounds of an operation whose undisturbed run passed these moments: each moment for each victim, states also a
 * little later. Of what is asked again and again until it is so, the first two times; of the planning, which changes
 * nothing, the first and the last moment.
 */
export function everyRound(
  operation: string,
  passed: readonly string[],
  victims: readonly Victim[] = VICTIMS,
): readonly Round[] {
  const claimed = Math.max(0, passed.indexOf(CLAIMED));
  const moments = passed.filter((moment, at) => {
    if (at > 0 && at < claimed - 1) return false;
    const [, , what = '', nth = ''] = moment.split('/');
    return !what.startsWith('query-') || Number(nth) <= POLLS_MAX;
  });
  return victims.flatMap(victim =>
    moments.flatMap(moment => {
      const delays = moment.split('/')[1] === 'enter' ? [0, ...LATER_MS] : [0];
      return delays.map(delayMs => ({ operation, moment, victim, delayMs, seed: 0 }));
    }),
  );
}

/**
 * One round for each boundary between two steps: the moment at which a state is entered, with the outcome of the step
 * before durable and the intent of its own not yet written. `known` are boundaries that another operation has as well.
 */
export function boundaryRounds(
  operation: string,
  passed: readonly string[],
  victims: readonly Victim[] = VICTIMS,
  known: readonly string[] = [],
): readonly Round[] {
  const moments = passed.filter(moment => {
    const [, kind, , nth] = moment.split('/');
    return kind === 'enter' && Number(nth) <= POLLS_MAX && !known.includes(moment);
  });
  return victims.flatMap(victim =>
    moments.map(moment => ({ operation, moment, victim, delayMs: 0, seed: 0 })),
  );
}

/** How an operation went when nothing died. */
export interface Undisturbed {
  readonly operation: string;
  readonly moments: readonly string[];
  readonly durationMs: number;
  /** `committed`, or `rolledBack` for those that are made to go back. */
  readonly outcome: string;
}

/** As many operations as there are rounds, by chance: to learn the moments of one takes as long as a round. */
export function drawOperations<T>(operations: readonly T[], count: number, seed: number): readonly T[] {
  return count < operations.length ? shuffled(operations, seededChance(seed)).slice(0, count) : operations;
}

/** Every so many rounds of an operation and victim, the moment is left to chance altogether. */
const ANY_INSTANT_EVERY = 4;

/**
 * `count` rounds in an order of chance that goes round the operations and victims. Moments come once each; when they are
 * used up, and now and then before, it is any instant, and those who take over may die as well.
 */
export function drawRounds(
  runs: readonly Undisturbed[],
  victims: readonly Victim[],
  count: number,
  seed: number,
): readonly Round[] {
  const chance = seededChance(seed);
  const kinds = shuffled(
    runs.flatMap(run =>
      victimsOf(run.operation, victims).map(victim => ({
        ...run,
        victim,
        rounds: shuffled(everyRound(run.operation, run.moments, [victim]), chance),
      })),
    ),
    chance,
  );
  const drawn: Round[] = [];
  for (let at = 0; at < count; at += 1) {
    const kind = kinds[at % kinds.length];
    if (kind === undefined) return drawn;
    const lap = Math.floor(at / kinds.length);
    const next = lap % ANY_INSTANT_EVERY === ANY_INSTANT_EVERY - 1 ? undefined : kind.rounds.pop();
    drawn.push(
      next ?? {
        operation: kind.operation,
        moment: ANY_INSTANT,
        victim: kind.victim,
        delayMs: chance.below(Math.ceil(kind.durationMs)),
        seed: 1 + chance.below(2 ** 31),
      },
    );
  }
  return drawn;
}

/** The values in an order of chance. */
export function shuffled<T>(values: readonly T[], chance: Chance): T[] {
  const left = [...values];
  for (let at = left.length - 1; at > 0; at -= 1) {
    const other = chance.below(at + 1);
    const [a, b] = [left[at], left[other]];
    if (a === undefined || b === undefined) continue;
    left[at] = b;
    left[other] = a;
  }
  return left;
}
