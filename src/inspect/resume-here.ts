/**
 * Makes the page's process the one of a saga whose own has ended, when a person asks for that on the page. It takes no saga from a
 * living process, and begins none.
 */
import type { Guest } from '../engine/connection/guest.ts';
import type { WireLine } from '../engine/connection/wire.ts';
import { SIGNALS } from '../engine/durable/signals.ts';
import { createEngine } from '../engine/engine.ts';
import { BlocksagaError, definedOnly } from '../errors.ts';
import type { Journal } from '../journal/journal.ts';
import type { Clock } from '../qmp/clock.ts';

type Engine = ReturnType<typeof createEngine>;

export interface ResumeHereParts {
  readonly journal: Journal;
  readonly clock: Clock;
  /** How its QEMU and files are reached, where not as its journal says. */
  readonly guest?: Partial<Guest>;
  /** What goes over the monitors of these sagas. */
  readonly trace?: (line: WireLine) => void;
  /** Told how each saga that was resumed here has ended, in a word or a sentence. */
  readonly ended: (saga: string, how: string) => void;
}

export class ResumeHere {
  readonly #parts: ResumeHereParts;
  /** Made for the first saga: the journal may have come into being behind the page. */
  #engine: Engine | undefined;
  readonly #running = new Set<string>();

  constructor(parts: ResumeHereParts) {
    this.#parts = parts;
  }

  /** The sagas that have this process now. */
  get running(): readonly string[] {
    return [...this.#running];
  }

  /**
   * `how`: `resume`, or a signal that the saga hears at once. Resolves when it runs here, or has ended. Throws as
   * `Engine.resume`: VM_BUSY where its process lives.
   */
  async resume(id: string, how: unknown): Promise<void> {
    const signal = SIGNALS.find(each => each === how);
    if (signal === undefined && how !== 'resume') {
      throw new BlocksagaError('REQUEST_INVALID', `a saga cannot be resumed with "${String(how)}"`, {
        saga: id,
      });
    }
    if (this.#running.has(id)) {
      throw new BlocksagaError('SAGA_STATE', `saga ${id} has this process already`, { saga: id });
    }
    this.#running.add(id);
    try {
      const { journal, clock, trace } = this.#parts;
      this.#engine ??= createEngine({ journal, clock, ...definedOnly({ trace }) });
      const saga = await this.#engine.resume(id, { ...this.#parts.guest, ...definedOnly({ signal }) });
      const over = (how: string) => {
        this.#running.delete(id);
        this.#parts.ended(id, how);
      };
      saga.ended.then(
        ({ outcome }) => over(outcome),
        error => over(String(error)),
      );
    } catch (error) {
      this.#running.delete(id);
      throw error;
    }
  }

  /** Waits for the ends of its sagas, but for those that wait to be asked; `letGo` ends the waiting, and they stop where they can be resumed. */
  async close(letGo: AbortSignal): Promise<void> {
    await this.#engine?.close({ drain: Number.POSITIVE_INFINITY, signal: letGo });
  }
}
