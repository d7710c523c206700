/**
 * Ends an engine well: it takes no new sagas, lets those that hold their guest come out of their pause, and lets go of all
 * others where they stand, as a death of the process would, for the next process to resume.
 */
import { BlocksagaError } from '../errors.ts';
import type { Journal } from '../journal/journal.ts';
import { type Clock, sleep } from '../qmp/clock.ts';
import { letGo } from './durable/let-go.ts';
import { releaseGuests } from './running/last-resort.ts';
import type { RunningSaga } from './running/saga.ts';
import { abortedBy, type Ending } from './unless-ended.ts';

/** How an engine is closed. */
export interface CloseOptions {
  /**
   * For how long sagas may still come to their end, in milliseconds; those that wait for a signal are not waited for. 0 unless
   * told: then only those whose guest is paused are. Who closes again may shorten it.
   */
  readonly drain?: number;
  /** Ends the draining when it is aborted. */
  readonly signal?: AbortSignal;
}

const LOOK_MS = 5;
/** What is about to end is given that long to write its result. */
const ENDING_MS = 10_000;

export class Closing {
  readonly #clock: Clock;
  readonly #busy = new Set<Promise<unknown>>();
  readonly #over = new AbortController();
  #untilMs = Number.POSITIVE_INFINITY;
  #closed: Promise<void> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Throws CLOSED when no saga may be begun or resumed any more. */
  expectOpen(saga?: string): void {
    if (this.#closed !== undefined) throw isClosed(saga);
  }

  /** What ends the asking for a saga that has not begun here: its caller's signal, and the engine's end. */
  endings(saga: string, signal?: AbortSignal): readonly Ending[] {
    return [...abortedBy(signal), { signal: this.#over.signal, error: () => isClosed(saga) }];
  }

  /** What is under way when the engine is closed, and may still bring a saga. Throws CLOSED. */
  during<T>(saga: string | undefined, act: () => Promise<T>): Promise<T> {
    this.expectOpen(saga);
    const busy = act();
    this.#busy.add(busy);
    const over = () => void this.#busy.delete(busy);
    busy.then(over, over);
    return busy;
  }

  /** Who closes it again may only be in more of a hurry. */
  close(
    journal: Journal,
    sagas: () => readonly RunningSaga[],
    { drain = 0, signal }: CloseOptions,
  ): Promise<void> {
    const hurry = () => this.#drainUntil(Number.NEGATIVE_INFINITY);
    if (signal?.aborted) hurry();
    else signal?.addEventListener('abort', hurry, { once: true });
    // What is no number is no time.
    this.#drainUntil(this.#clock.now() + (drain > 0 ? drain : 0));
    this.#closed ??= this.#close(journal, sagas);
    const forget = () => signal?.removeEventListener('abort', hurry);
    this.#closed.then(forget, forget);
    return this.#closed;
  }

  #drainUntil(ms: number): void {
    this.#untilMs = Math.min(this.#untilMs, ms);
  }

  async #close(journal: Journal, sagas: () => readonly RunningSaga[]): Promise<void> {
    const isWorking = () => sagas().some(({ isWaiting }) => !isWaiting);
    while (this.#clock.now() < this.#untilMs && isWorking()) await sleep(this.#clock, LOOK_MS);
    this.#over.abort();
    // A guest must not wait for a plan that is still being made.
    await this.#detachAll(journal, sagas);
    await Promise.allSettled(this.#busy);
    await this.#detachAll(journal, sagas);
  }

  async #detachAll(journal: Journal, sagas: () => readonly RunningSaga[]): Promise<void> {
    const untilMs = this.#clock.now() + ENDING_MS;
    const detached: RunningSaga[] = [];
    for (;;) {
      const running = sagas();
      const left = running.filter(saga => !saga.detach());
      detached.push(...running.filter(saga => !left.includes(saga)));
      const isStuck = this.#clock.now() >= untilMs;
      if (left.length === 0 || (isStuck && !left.some(({ holdsGuest }) => holdsGuest))) break;
      // One that is stuck in its pause is begun again from its journal, and told to go back.
      if (isStuck) await releaseGuests(this.#clock);
      else await sleep(this.#clock, LOOK_MS);
    }
    await Promise.all(detached.map(({ lease }) => letGo(journal, lease)));
  }
}

function isClosed(saga: string | undefined): BlocksagaError {
  const why = 'this engine was closed: it takes no new sagas';
  return new BlocksagaError('CLOSED', why, saga === undefined ? {} : { saga });
}
