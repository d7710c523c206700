/**
 * How a journal that another process has locked is waited for. SQLite's own waiting blocks the process and is unfair: who has
 * waited long looks seldom, and many processes starve some. Here each looks again after a time of its own, without holding up
 * the event loop; only what must be written on return, such as a decision in the pause of the guest, blocks, and looks often.
 */

import { BlocksagaError } from '../errors.ts';
import { blockFor, type Clock, sleep, systemClock } from '../qmp/clock.ts';
import type { Within } from './journal.ts';

/** For how long a saga whose guest runs waits for its journal, in milliseconds. */
export const PATIENCE_MS = 5 * 60_000;
/** For how long a write that blocks the process is tried unless its caller knows better. */
export const BLOCKING_MS = 2_000;
/** For how long it is tried before the event loop turns and it is tried again: about what a transaction of another process takes. */
const BETWEEN_TURNS: Within = { withinMs: 20 };
const FIRST_DELAY_MS = 2;
const LAST_DELAY_MS = 150;
const OFTEN_MS = 1;

/** Whether nothing was written because another process had the file locked. */
export function isLocked(error: unknown): error is BlocksagaError {
  return error instanceof BlocksagaError && error.code === 'JOURNAL' && error.retryable;
}

/** Delays that grow up to a bound, each between half and all of it: no two processes look at the same moments. */
export class Delays {
  static #state = process.pid;
  #nextMs = FIRST_DELAY_MS;

  next(): number {
    const delayMs = this.#nextMs;
    this.#nextMs = Math.min(LAST_DELAY_MS, delayMs * 1.5);
    return delayMs * (0.5 + 0.5 * Delays.fraction());
  }

  /** From a generator of this process's own (Park and Miller's); for fairness, not for secrets. */
  static fraction(): number {
    Delays.#state = (Math.imul(Delays.#state, 48_271) >>> 0) % 2_147_483_647 || 1;
    return Delays.#state / 2_147_483_647;
  }
}

/** Tries again until the file is free, and lets the event loop turn meanwhile. Throws what else the work throws. `work` hands `within` to the journal. */
export async function whenFree<T>(
  clock: Clock,
  work: (within: Within) => T,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const delays = new Delays();
  // It counts the waiting, not the time: the time in which the machine was suspended does not count.
  for (let waitedMs = 0; ; ) {
    try {
      return work(BETWEEN_TURNS);
    } catch (error) {
      if (!isLocked(error) || waitedMs >= patienceMs) throw error;
    }
    const delayMs = delays.next();
    waitedMs += delayMs;
    await sleep(clock, delayMs);
  }
}

/** Tries again until the file is free, at most for so long, and blocks the process meanwhile: in real time, since no other passes. */
export function blocking<T>(withinMs: number, work: () => T): T {
  const untilMs = systemClock.now() + withinMs;
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!isLocked(error) || systemClock.now() >= untilMs) throw error;
    }
    blockFor(OFTEN_MS * (0.5 + Delays.fraction()));
  }
}
