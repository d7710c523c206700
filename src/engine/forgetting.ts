/**
 * Has the journal forget what its policy does not keep: a few sagas at a time, while sagas come and go, and never while a guest
 * is paused for one. It decides nothing about which.
 */
import { BlocksagaError } from '../errors.ts';
import type { Journal } from '../journal/journal.ts';
import type { Clock } from '../qmp/clock.ts';
import type { RunningSaga } from './running/saga.ts';

/** Behind the beginning or the end of a saga, whose own commits go first. */
const SOON_MS = 200;
/** Between two commits where much is to be forgotten. */
const NEXT_MS = 20;

export class Forgetting {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #sagas: () => readonly RunningSaga[];
  #cancel: (() => void) | undefined;
  #isStopped = false;

  constructor(journal: Journal, clock: Clock, sagas: () => readonly RunningSaga[]) {
    this.#journal = journal;
    this.#clock = clock;
    this.#sagas = sagas;
  }

  /** A saga has begun here, or ended. */
  changed(): void {
    if (this.#journal.forget === undefined || this.#isStopped) return;
    this.#cancel ??= this.#clock.after(SOON_MS, () => this.#forget());
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  async #forget(): Promise<void> {
    const forgotten = this.#sagas().some(({ holdsGuest }) => holdsGuest) ? null : await this.#some();
    this.#cancel = undefined;
    if (forgotten === 0 || this.#isStopped) return;
    this.#cancel = this.#clock.after(forgotten === null ? SOON_MS : NEXT_MS, () => this.#forget());
  }

  /** A journal that cannot be written, or was closed, is told by the sagas' own records. */
  async #some(): Promise<number> {
    try {
      return (await this.#journal.forget?.()) ?? 0;
    } catch (error) {
      if (!(error instanceof BlocksagaError)) throw error;
      return 0;
    }
  }
}
