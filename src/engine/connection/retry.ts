/**
 * Runs attempts by a policy that is data. p-retry counts and decides; the waiting is ours, because p-retry's own timers
 * are global and a simulator runs on virtual time.
 */
import pRetry from 'p-retry';
import { BlocksagaError } from '../../errors.ts';
import { type Clock, sleep } from '../../qmp/clock.ts';

/** How often and how patiently something is tried again. */
export interface RetryPolicy {
  readonly retriesMax: number;
  readonly firstDelayMs: number;
  /** Each delay is this many times the one before. */
  readonly factor: number;
}

/** Steps before the pause and after it. */
export const PATIENT: RetryPolicy = { retriesMax: 5, firstDelayMs: 100, factor: 2 };
/** Steps while the guest is paused. */
export const HASTY: RetryPolicy = { retriesMax: 5, firstDelayMs: 5, factor: 2 };

/** Steps that ask something that may be away for minutes: about four of them, besides the attempts themselves. */
export const STUBBORN: RetryPolicy = { retriesMax: 9, firstDelayMs: 500, factor: 2 };

/** Which failures are worth another attempt. */
export type Judge = (error: BlocksagaError) => boolean;

/** For a step that ends the possibility of a rollback: what QEMU has refused once is not asked again. */
export const TRANSIENT: Judge = error => error.retryable;

/** Where there is no other way than through: all but what no attempt can change. */
export const ANY: Judge = ({ code }) => !HOPELESS.has(code);

/** Where others are asked again for minutes: a QEMU that cannot be reached at all is not waited for so long. */
export const WHILE_REACHABLE: Judge = error => ANY(error) && error.code !== 'QMP_CONNECT';

const HOPELESS: ReadonlySet<string> = new Set([
  'QEMU_REPLACED',
  'JOURNAL_BEHIND',
  'JOURNAL',
  'REQUEST_INVALID',
  'VM_BUSY',
  'OVERTAKEN',
  'BOTH_SIDES',
  'GROUP',
  'MIGRATING',
]);

/** Calls `attempt` with 1, 2, ... until it succeeds, throws what is not worth it, or the policy is used up. */
export function retry<T>(
  policy: RetryPolicy,
  clock: Clock,
  attempt: (number: number) => Promise<T>,
  isWorthIt: Judge = TRANSIENT,
): Promise<T> {
  return pRetry(attempt, {
    retries: policy.retriesMax,
    minTimeout: 0,
    maxTimeout: 0,
    shouldRetry: ({ error }) => error instanceof BlocksagaError && isWorthIt(error),
    onFailedAttempt: ({ error, attemptNumber, retriesLeft }) => {
      if (retriesLeft === 0 || !(error instanceof BlocksagaError) || !isWorthIt(error)) return;
      return sleep(clock, policy.firstDelayMs * policy.factor ** (attemptNumber - 1));
    },
  });
}
