/** What a saga was asked from outside. Each is durable before it counts. */
import { type Clock, sleep } from '../../qmp/clock.ts';

/**
 * A saga may be asked to roll back, to switch, to keep its copies without a switch, or to drop the mirrors of its
 * snapshot.
 */
export type SignalName = 'abort' | 'pivot' | 'keepCopies' | 'keepSnapshot';

export const SIGNALS: readonly SignalName[] = ['abort', 'pivot', 'keepCopies', 'keepSnapshot'];

export class Signals {
  readonly #controllers = {
    abort: new AbortController(),
    pivot: new AbortController(),
    keepCopies: new AbortController(),
    keepSnapshot: new AbortController(),
  };
  #pending: Promise<void> | undefined;

  get abort(): AbortSignal {
    return this.#controllers.abort.signal;
  }

  get pivot(): AbortSignal {
    return this.#controllers.pivot.signal;
  }

  get keepCopies(): AbortSignal {
    return this.#controllers.keepCopies.signal;
  }

  get keepSnapshot(): AbortSignal {
    return this.#controllers.keepSnapshot.signal;
  }

  /** As steps see them. */
  get ofSteps() {
    const { abort, pivot, keepCopies, keepSnapshot } = this;
    return { abort, pivot, keepCopies, keepSnapshot };
  }

  /** Tells the running step, and those to come: they look at their next safe point. */
  heard(name: SignalName): void {
    const other = EXCLUDES[name];
    if (other !== undefined && this.#controllers[other].signal.aborted) return;
    this.#controllers[name].abort();
  }

  /** The saga is being asked; it counts when it is written. Rejects as the writing does. */
  async ask(name: SignalName, written: Promise<void>): Promise<void> {
    const counted = written.then(() => this.heard(name));
    const before = this.#pending;
    this.#pending = Promise.allSettled([before, counted]).then(() => undefined);
    await counted;
  }

  /**
   * Resolves when all that was asked up to now counts, or could not be written; `withinMs` is what the guest's pause leaves
   * for that. What is written later comes too late.
   */
  async allWritten(clock: Clock, withinMs: number | undefined): Promise<void> {
    if (this.#pending === undefined) return;
    if (withinMs === undefined) return this.#pending;
    const written = new AbortController();
    const all = this.#pending.then(() => written.abort());
    await Promise.race([all, sleep(clock, withinMs, written.signal)]);
  }
}

/** Two ends of one wait: each excludes the other. */
export const EXCLUDES: Readonly<Partial<Record<SignalName, SignalName>>> = {
  pivot: 'keepCopies',
  keepCopies: 'pivot',
};
