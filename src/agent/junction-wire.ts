/**
 * What goes over the wire between the agents of two hosts that have guests of one group, and the following agent's end of it: the
 * members of its host come to the leader as one. It asks the leader and is never asked. Each message is bounded in time, says of
 * which group, host and attempt it is, and is answered once.
 */
import type { AskLeader, FollowedPart } from '../engine/durable/group-across.ts';
import { hostIsGone, type Junction } from '../engine/group-hosts.ts';
import { BlocksagaError, isErrorCode } from '../errors.ts';
import { type Clock, sleep } from '../qmp/clock.ts';
import { groupIsBack } from '../steps/step/barrier.ts';
import { CopyingPart } from './copying-part.ts';
import type { Verb, Wire } from './wire.ts';

/** For how long the parts of a group wait for one another, before anything is begun. */
export const JOIN_MS = 15_000;
/** For how long a part waits for the others to make their overlays, while no guest is paused. */
export const PREPARE_MS = 60_000;
/** For how long the leader waits for a part's answer, and one message of a part in doubt for its own. */
export const ANSWER_MS = 10_000;
/** Of a message that only tells. */
const TELL_MS = 2_000;
/** What the answer to a vote may take longer than the vote is good for: the member goes back by its own clock. */
const SPARE_MS = 100;
/** Characters of a peer's reason. */
export const WORDS_MAX = 1_000;
const FIRST_DELAY_MS = 50;
const LAST_DELAY_MS = 5_000;

interface FollowingParts {
  readonly clock: Clock;
  /** Aborted when this process tells nothing any more. */
  readonly stop: AbortSignal;
  /** Hears why an answer is waited for. */
  readonly waits?: (why: string) => void;
  /** Whether its guests are cloned: what the parts wait for one another may take hours. */
  readonly copies?: boolean;
}

const NEVER = new AbortController().signal;

export class FollowedJunction implements Junction {
  readonly #wire: Wire;
  readonly #parts: FollowingParts;
  readonly #host: string;
  readonly #left = new AbortController();
  readonly #copying: CopyingPart | undefined;
  #attempt = '';
  #isRefused = false;

  constructor(wire: Wire, host: string, parts: FollowingParts) {
    this.#wire = wire;
    this.#host = host;
    this.#parts = parts;
    const signal = AbortSignal.any([this.#left.signal, parts.stop]);
    if (parts.copies) this.#copying = new CopyingPart(wire, parts.clock, signal);
  }

  get left(): AbortSignal {
    return this.#copying?.leaderLeft ?? NEVER;
  }

  async planned(): Promise<string> {
    const { clock } = this.#parts;
    const untilMs = clock.now() + JOIN_MS;
    for (;;) {
      try {
        const told = await this.#ask('planned', JOIN_MS);
        const attempt = textIn(told, 'attempt');
        if (attempt === undefined) throw groupIsBack('the leader answers something else');
        this.#attempt = attempt;
        void this.#copying?.follow(attempt);
        return attempt;
      } catch (error) {
        // It may be asked a moment later than this one.
        const isEarly = error instanceof BlocksagaError && error.code === 'SAGA_UNKNOWN';
        if (!isEarly) {
          this.#isRefused = true;
          throw error;
        }
        if (clock.now() >= untilMs) throw hostIsGone(this.#host, error.message);
      }
      await sleep(clock, FIRST_DELAY_MS, this.#left.signal);
    }
  }

  async prepared(): Promise<void> {
    await (this.#copying?.come('prepared') ?? this.#meet('prepared', PREPARE_MS));
  }

  async converged(): Promise<void> {
    await this.#copying?.come('converged');
  }

  async taken(withinMs: number): Promise<void> {
    await this.#meet('taken', withinMs);
  }

  async confirmed(): Promise<void> {
    const decided = await askUntilTold(this.#wire, 'confirmed', this.#attempt, this.#parts);
    if (decided === 'rolledBack') throw groupIsBack('the leader has not decided to commit');
  }

  leave(why: string): void {
    if (this.#left.signal.aborted) return;
    this.#left.abort();
    if (this.#attempt === '') return;
    this.#wire('left', { attempt: this.#attempt, why }, { withinMs: TELL_MS }).catch(error =>
      this.#unheard(error),
    );
  }

  refuse(why: unknown): void {
    this.#left.abort();
    if (this.#attempt !== '' || this.#isRefused) return;
    this.#tellRefused(why).catch(error => this.#unheard(error));
  }

  /** The leader may be asked a moment later than this one. */
  async #tellRefused(why: unknown): Promise<void> {
    const { clock, stop } = this.#parts;
    const error = why instanceof BlocksagaError ? why.toJSON() : { message: String(why) };
    for (const untilMs = clock.now() + JOIN_MS; ; await sleep(clock, FIRST_DELAY_MS, stop)) {
      try {
        await this.#wire('refused', { error }, { withinMs: TELL_MS, signal: stop });
        return;
      } catch (cause) {
        const isEarly = cause instanceof BlocksagaError && cause.code === 'SAGA_UNKNOWN';
        if (!isEarly || clock.now() >= untilMs) throw cause;
      }
    }
  }

  async #meet(verb: 'prepared' | 'taken', withinMs: number): Promise<void> {
    try {
      await this.#ask(verb, withinMs);
    } catch (error) {
      if (!(error instanceof BlocksagaError)) throw error;
      throw error.code === 'GROUP' ? error : groupIsBack(error.message);
    }
  }

  #ask(verb: Verb, withinMs: number): Promise<unknown> {
    const signal = AbortSignal.any([this.#left.signal, this.#parts.stop]);
    const body = { attempt: this.#attempt, withinMs, copies: this.#copying !== undefined };
    return this.#wire(verb, body, { withinMs: withinMs + SPARE_MS, signal });
  }

  /** A leader that does not hear it goes by its own clock. */
  #unheard(error: unknown): void {
    this.#parts.waits?.(`the leader was not told that this host has left: ${error}`);
  }
}

/** For parts whose process has died: what the leader has decided, asked until it tells. */
export function askLeaderBy(
  wireTo: (part: FollowedPart) => Wire,
  parts: (part: FollowedPart) => FollowingParts,
): AskLeader {
  return part => askUntilTold(wireTo(part), 'decision', part.attempt, parts(part));
}

async function askUntilTold(
  wire: Wire,
  verb: 'confirmed' | 'decision',
  attempt: string,
  { clock, stop, waits }: FollowingParts,
): Promise<'committed' | 'rolledBack'> {
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(2 * delayMs, LAST_DELAY_MS)) {
    if (stop.aborted) throw new BlocksagaError('CLOSED', 'this agent ends, and the next one asks again');
    let why = 'it has not decided yet';
    try {
      const told = await wire(verb, { attempt }, { withinMs: ANSWER_MS + SPARE_MS, signal: stop });
      const decided = textIn(told, 'decided');
      if (decided === 'committed' || decided === 'rolledBack') return decided;
    } catch (error) {
      if (!(error instanceof BlocksagaError)) throw error;
      why = error.message;
    }
    waits?.(why);
    await sleep(clock, delayMs, stop);
  }
}

export function textIn(told: unknown, field: string): string | undefined {
  const value: unknown =
    typeof told === 'object' && told !== null ? new Map(Object.entries(told)).get(field) : undefined;
  return typeof value === 'string' ? value : undefined;
}

/** What an error was told as, as far as it is one; a peer's words decide nothing else. */
export function errorTold(told: unknown): BlocksagaError {
  const message = textIn(told, 'message')?.slice(0, WORDS_MAX) ?? 'no reason was given';
  const code = textIn(told, 'code');
  if (code === undefined || !isErrorCode(code)) return groupIsBack(message);
  const isRetryable: unknown = new Map(Object.entries(told ?? {})).get('retryable');
  return new BlocksagaError(code, message, { retryable: isRetryable === true });
}
