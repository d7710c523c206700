/**
 * How often a step is tried again: hastily while the guest is paused for it and only as long as that may last, patiently
 * otherwise. An undo for which the pause was too short continues while the guest runs. It decides nothing else.
 */
import { BlocksagaError } from '../../errors.ts';
import { readPause, resumeVcpus, wasPausedByUs } from '../../guest/hold-guest.ts';
import type { Clock } from '../../qmp/clock.ts';
import type { Json } from '../../qmp/transport.ts';
import { findHalfBack } from '../../steps/mirror/half-back.ts';
import type { StepContext } from '../../steps/step/step.ts';
import type { PauseBound } from '../connection/pause-bound.ts';
import { ANY, HASTY, type Judge, PATIENT, type RetryPolicy, retry, TRANSIENT } from '../connection/retry.ts';
import type { PastStep } from './history.ts';
import type { Pause } from './pause.ts';

export class Insistence {
  readonly #clock: Clock;
  readonly #pause: Pause;
  readonly #bound: PauseBound;

  constructor(clock: Clock, pause: Pause, bound: PauseBound) {
    this.#clock = clock;
    this.#pause = pause;
    this.#bound = bound;
  }

  /** A pause that an earlier process has begun is counted from when this one takes it over. */
  openPause(past: PastStep | undefined, wasRescued: boolean, observed: Json): void {
    this.#pause.open(past, wasRescued);
    if (past !== undefined && wasPausedByUs(observed)) this.#bound.began();
  }

  /**
   * Tries until it succeeds, is not worth it, or the pause is over; what `endsPause` is not given up for that. One late answer
   * may have used the pause up by itself, before this was begun or in it: what fails then, but by a wait that ended with the
   * pause, is tried once more.
   */
  readonly retry = <T>(
    attempt: (number: number) => Promise<T>,
    isWorthIt: Judge = TRANSIENT,
    policy: RetryPolicy = this.#pause.isOpen ? HASTY : PATIENT,
    endsPause = false,
  ): Promise<T> => {
    const isOver = () => !endsPause && this.#isOver;
    let sparedOnce: BlocksagaError | undefined;
    const mayAsk = (error: BlocksagaError) => {
      if (!isLate(error)) sparedOnce ??= error;
      return error === sparedOnce;
    };
    return retry(policy, this.#clock, attempt, error => isWorthIt(error) && (!isOver() || mayAsk(error)));
  };

  /** Insists; where the pause was too short for the wait that it ended with, resumes the guest and insists once more. */
  async beyondPause(
    attempt: (number: number) => Promise<void>,
    context: () => Promise<StepContext>,
  ): Promise<void> {
    try {
      await this.retry(attempt, ANY);
    } catch (error) {
      if (!isLate(error) || !this.#isOver) throw error;
      await this.retry(async () => resumeBefore(await context()), ANY, HASTY, true);
      // Something of it may be there.
      await this.retry(number => attempt(number + 1), ANY, PATIENT);
    }
  }

  get #isOver(): boolean {
    return this.#pause.isOpen && this.#bound.isOver;
  }
}

function isLate(error: unknown): boolean {
  return error instanceof BlocksagaError && error.code === 'DEADLINE';
}

/** The journal knows first on which side each disk is, and that the guest is this saga's to resume whatever comes. */
async function resumeBefore(context: StepContext): Promise<void> {
  const halfBack = await findHalfBack(context);
  if (halfBack !== undefined) throw halfBack;
  await context.recordSides();
  await context.recordRun();
  await resumeVcpus(context, readPause(context.outcomes.get('pauseGuest') ?? null));
}
