/**
 * The part of a host whose guests are cloned, while they copy: it asks the leader again and again, so that each hears of the other's end
 * within a minute however long the copies take, and a connection that breaks meanwhile is of no consequence.
 */
import { BlocksagaError } from '../errors.ts';
import { type Clock, sleep } from '../qmp/clock.ts';
import { groupIsBack } from '../steps/step/barrier.ts';
import { HOLD_MS, SILENCE_MS, type Wire } from './wire.ts';

/** How far a part is in front of its pause: it comes there first, then hears that all have. */
export const COPYING = ['copying', 'prepared', 'converged'] as const;
export type Copying = (typeof COPYING)[number];

/** What the answer may take beside what the leader holds the question. */
const ANSWER_MS = 10_000;
const AGAIN_MS = 500;

export class CopyingPart {
  readonly #wire: Wire;
  readonly #clock: Clock;
  /** Aborts when this part asks no more. */
  readonly #stop: AbortSignal;
  readonly #leaderLeft = new AbortController();
  readonly #met = { prepared: Promise.withResolvers<void>(), converged: Promise.withResolvers<void>() };
  #at: Copying = 'copying';

  constructor(wire: Wire, clock: Clock, stop: AbortSignal) {
    this.#wire = wire;
    this.#clock = clock;
    this.#stop = stop;
    for (const { promise } of Object.values(this.#met)) promise.catch(() => undefined); // told to who comes there
  }

  /** Aborts, with GROUP, when the leader has rolled back, or is not heard any more. */
  get leaderLeft(): AbortSignal {
    return this.#leaderLeft.signal;
  }

  /** Resolves when the parts of all hosts have come there too. */
  come(at: 'prepared' | 'converged'): Promise<void> {
    this.#at = at;
    return this.#met[at].promise;
  }

  /** Asks until all have converged, the leader has left, or is silent for too long. */
  async follow(attempt: string): Promise<void> {
    let heardMs = this.#clock.now();
    while (!this.#stop.aborted) {
      const at = this.#at;
      try {
        const told = await this.#wire(
          'following',
          { attempt, at },
          { withinMs: HOLD_MS + ANSWER_MS, signal: this.#stop },
        );
        heardMs = this.#clock.now();
        if (at === 'copying' || !isMet(told)) continue;
        this.#met[at].resolve();
        if (at === 'converged') return;
        await sleep(this.#clock, AGAIN_MS, this.#stop);
      } catch (error) {
        if (!(error instanceof BlocksagaError)) throw error;
        const isFinal = !error.retryable || this.#clock.now() - heardMs > SILENCE_MS;
        if (isFinal) return this.#leave(error.code === 'GROUP' ? error : groupIsBack(error.message));
        await sleep(this.#clock, AGAIN_MS, this.#stop);
      }
    }
  }

  #leave(why: BlocksagaError): void {
    for (const { reject } of Object.values(this.#met)) reject(why);
    this.#leaderLeft.abort(why);
  }
}

function isMet(told: unknown): boolean {
  return typeof told === 'object' && told !== null && 'met' in told && told.met === true;
}
