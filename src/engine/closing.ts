/**
 * Ends an engine well: it takes no new sagas, lets those that hold their guest come out of their pause, and lets go of all
 * others where they stand, as a death of the process would, for the next process to resume.
 */
import { BlocksagaError } from '../errors.ts';
import type { Journal, Lease } from '../journal/journal.ts';
import { type Clock, sleep } from '../qmp/clock.ts';
import { releaseGuests } from './running/last-resort.ts';
import type { RunningSaga } from './running/saga.ts';

/** How an engine is closed. */
export interface CloseOptions {
  /**
   * For how long sagas may still come to their end, in milliseconds; those that wait for a signal are not waited for. 0 unless
   * told: then only those whose guest is paused are.
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
  #closed: Promise<void> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Throws CLOSED when no saga may be begun or resumed any more. */
  expectOpen(saga?: string): void {
    if (this.#closed === undefined) return;
    throw new BlocksagaError('CLOSED', 'this engine was closed: it takes no new sagas', {
      ...(saga === undefined ? {} : { saga }),
    });
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

  close(journal: Journal, sagas: () => readonly RunningSaga[], options: CloseOptions): Promise<void> {
    this.#closed ??= this.#close(journal, sagas, options);
    return this.#closed;
  }

  async #close(journal: Journal, sagas: () => readonly RunningSaga[], options: CloseOptions): Promise<void> {
    await this.#drain(sagas, options);
    // A guest must not wait for a plan that is still being made.
    await this.#detachAll(journal, sagas);
    await Promise.allSettled(this.#busy);
    await this.#detachAll(journal, sagas);
  }

  async #drain(sagas: () => readonly RunningSaga[], { drain = 0, signal }: CloseOptions): Promise<void> {
    const untilMs = this.#clock.now() + drain;
    const isOver = () => signal?.aborted === true || this.#clock.now() >= untilMs;
    while (!isOver() && sagas().some(({ isWaiting }) => !isWaiting)) await sleep(this.#clock, LOOK_MS);
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
    await Promise.all(detached.map(({ lease }) => release(journal, lease)));
  }
}

/** Writes what is queued with it. What cannot be written is known to the next process by what was written before. */
async function release(journal: Journal, lease: Lease): Promise<void> {
  try {
    if (journal.release === undefined) await journal.append(lease, [], { durable: true });
    else await journal.release(lease);
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
  }
}
