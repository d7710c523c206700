/**
 * The administrator of a scenario: asks its saga for what the scenario says, when it says so, and for an abort again after a
 * death of the process, until that is written. Faults are none of its business.
 */
import type { Saga } from '../../engine/running/saga.ts';
import { BlocksagaError } from '../../errors.ts';
import type { MemoryJournalState } from '../../journal/memory.ts';
import type { VirtualClock } from '../../sim/host/virtual-clock.ts';
import { crashText } from '../account/account.ts';
import type { Mortal } from '../account/mortal.ts';
import { wasHeard } from '../account/recorded.ts';
import type { Scenario, Signal } from '../scenario/scenario.ts';

const ASKED_AGAIN_MS = 500;

interface AdministratorParts {
  readonly clock: VirtualClock;
  /** Is told of each signal that a living process was sent. */
  readonly note: (signal: Signal) => void;
  readonly journal: () => MemoryJournalState | undefined;
}

export class Administrator {
  readonly #parts: AdministratorParts;
  /** The process that has the saga, and the saga once it has begun there. */
  process: Mortal | undefined;
  saga: Saga | undefined;
  /** Asks for nothing again: the time of faults is over. */
  isDone = false;
  /** What a signal failed with that is no error of ours. */
  crash: string | undefined;

  constructor(parts: AdministratorParts) {
    this.#parts = parts;
  }

  /** Asks for each signal at its time from now. */
  schedule(signals: Scenario['signals']): void {
    for (const { atMs, ...signal } of signals) this.#parts.clock.after(atMs, () => this.#ask(signal));
  }

  #ask(signal: Signal): void {
    const { saga, process } = this;
    if (saga === undefined || process === undefined || !process.isAlive()) {
      this.#askAgain(signal);
      return;
    }
    this.#parts.note(signal);
    process.death.then(() => this.#askAgain(signal));
    const heeded: Promise<unknown> =
      signal.signal === 'setSpeed' ? saga.setSpeed(signal.bytesPerSecond) : saga[signal.signal]();
    heeded.catch(error => {
      if (process.isAlive() && !(error instanceof BlocksagaError)) this.crash ??= crashText(error);
    });
  }

  #askAgain(signal: Signal): void {
    if (signal.signal !== 'abort' || this.isDone) return;
    this.#parts.clock.after(
      ASKED_AGAIN_MS,
      () => wasHeard(this.#parts.journal(), signal) || this.#ask(signal),
    );
  }
}
