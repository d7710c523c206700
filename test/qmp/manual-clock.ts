/**
 * A clock that does not move until a test moves it. Callbacks run in order of their time, inside `advance`.
 */

import type { Clock } from '../../src/qmp/clock.ts';

export class ManualClock implements Clock {
  #now = 0;
  readonly #timers = new Map<symbol, { readonly at: number; readonly callback: () => void }>();

  /** Timers that are set and have not run. */
  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  epochMs(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): () => void {
    const key = Symbol();
    this.#timers.set(key, { at: this.#now + delayMs, callback });
    return () => this.#timers.delete(key);
  }

  /** Moves time on and lets every promise that this settles run. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settled();
      const [next] = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at);
      if (!next) break;
      const [key, { at, callback }] = next;
      this.#timers.delete(key);
      this.#now = Math.max(this.#now, at);
      callback();
    }
    this.#now = end;
    await settled();
  }
}

/** Lets all promises that can settle without time or I/O do so. */
export function settled(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}
