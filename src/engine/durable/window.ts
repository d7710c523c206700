/**
 * The time for which a saga holds the guest still: since when, and whether the guest stood still throughout. It stops a
 * guest that somebody let run while the saga was dead; letting it run again is a step's.
 */
import type { QmpClient } from '../../qmp/client.ts';
import type { Clock } from '../../qmp/clock.ts';
import type { Step } from '../../steps/step/step.ts';
import { LEAST_MS } from '../connection/pause-bound.ts';

export class Window {
  readonly #clock: Clock;
  readonly #maxBlackoutMs: number;
  #isOpen = false;
  /** Whether a process before this one had begun the pause: then any step in it may have been begun too. */
  #isResumed = false;
  /** Whether the guest was looked at since the saga came back into a window that an earlier life had opened. */
  #reentered = true;
  /** `unsure`: it ran when this life came back to its pause, which may not have come about before. */
  #guest: 'still' | 'ran' | 'unsure' = 'still';
  #openedMs = 0;
  /** Whether every mirror was seen to hold all that its source holds, in this pause; `apart`: nobody can say that any more. */
  #seen: 'alike' | 'apart' | 'unknown' = 'unknown';
  /** The longest time that the guest stood still for a switch, or that a snapshot's transaction took; milliseconds. */
  blackoutMs: number | null = null;

  /** What steps ask of it and tell it. */
  readonly ofSteps = {
    pausedThroughout: () => this.pausedThroughout(),
    sides: () => (this.pausedThroughout() ? this.#seen : 'apart'),
    sawAlike: () => {
      if (this.#isOpen) this.#seen = 'alike';
    },
  } as const;

  constructor(clock: Clock, maxBlackoutMs: number) {
    this.#clock = clock;
    this.#maxBlackoutMs = maxBlackoutMs;
  }

  /** For how long a write may wait for the journal: what is left of the pause, but long enough to be tried at all, also when it is over. */
  get within(): { readonly withinMs?: number } {
    if (!this.#isOpen) return {};
    return { withinMs: Math.max(LEAST_MS, this.#openedMs + this.#maxBlackoutMs - this.#clock.now()) };
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get isResumed(): boolean {
    return this.#isOpen && this.#isResumed;
  }

  pausedThroughout(): boolean {
    return this.#guest === 'still';
  }

  /** Somebody lets the guest run; gives whether the saga holds it. */
  guestRuns(): boolean {
    if (this.#isOpen) this.#guest = 'ran';
    return this.#isOpen;
  }

  /** `wasRescued`: a process before this one may have let the guest run from the middle of the pause. */
  open(inEarlierLife: boolean, wasRescued: boolean): void {
    this.#isOpen = true;
    this.#isResumed = inEarlierLife;
    this.#seen = inEarlierLife && wasRescued ? 'apart' : 'unknown';
    this.#reentered = !inEarlierLife;
    this.#guest = 'still';
    this.#openedMs = this.#clock.now();
  }

  close(): void {
    if (this.#isOpen) this.measure(this.#openedMs);
    this.#isOpen = false;
    this.#seen = 'unknown';
  }

  measure(sinceMs: number): void {
    this.blackoutMs = Math.max(this.blackoutMs ?? 0, this.#clock.now() - sinceMs);
  }

  /**
   * A saga that died between stopping the guest and letting it run goes on with a guest that stands still. Where
   * somebody has let it run, it is stopped again, and the steps are told: what it wrote may not be on the new side.
   * Where the pause itself has no known end, the step after it tells: nothing of it is there, so nothing was held.
   * `record` makes durable first that it ran, for the next life to let it run.
   */
  async reenter(step: Step, qmp: QmpClient, record: () => Promise<void>): Promise<void> {
    if (!this.#isOpen || this.#reentered) return;
    const { running } = await qmp.execute('query-status');
    this.#reentered = true;
    if (!running) return;
    this.#guest = step.window === 'opens' ? 'unsure' : 'ran';
    if (step.window !== undefined) return;
    await record();
    await qmp.execute('stop');
  }

  /** What the first step after a pause of unknown end has found: `nothingSentYet` when nothing of it was there. */
  found(step: Step, nothingSentYet: boolean): void {
    if (step.window !== undefined || step.outlastsPause) return;
    if (this.#guest === 'unsure') this.#guest = nothingSentYet ? 'still' : 'ran';
  }
}
