/** What a saga was asked from outside. Each is durable before it counts. */

/** A saga may be asked to go back, to go on, or to do without the mirrors of its snapshot. */
export type SignalName = 'abort' | 'pivot' | 'keepSnapshot';

export const SIGNALS: readonly SignalName[] = ['abort', 'pivot', 'keepSnapshot'];

export class Signals {
  readonly #controllers = {
    abort: new AbortController(),
    pivot: new AbortController(),
    keepSnapshot: new AbortController(),
  };
  #pending: Promise<void> | undefined;

  get abort(): AbortSignal {
    return this.#controllers.abort.signal;
  }

  get pivot(): AbortSignal {
    return this.#controllers.pivot.signal;
  }

  get keepSnapshot(): AbortSignal {
    return this.#controllers.keepSnapshot.signal;
  }

  /** As steps see them. */
  get ofSteps() {
    const { abort, pivot, keepSnapshot } = this;
    return { abort, pivot, keep: keepSnapshot };
  }

  /** Tells the running step, and those to come: they look at their next safe point. */
  heard(name: SignalName): void {
    this.#controllers[name].abort();
  }

  /** The saga is being asked; it counts when it is written. Rejects as the writing does. */
  async ask(name: SignalName, written: Promise<void>): Promise<void> {
    const counted = written.then(() => this.heard(name));
    const before = this.#pending;
    this.#pending = Promise.allSettled([before, counted]).then(() => undefined);
    await counted;
  }

  /** Resolves when all that was asked up to now counts, or could not be written. */
  async settled(): Promise<void> {
    if (this.#pending !== undefined) await this.#pending;
  }
}
