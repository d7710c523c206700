/** A caller's `AbortSignal` at a saga: before it has begun, and while it runs. */
import type { Saga } from './running/saga-types.ts';
import { abortedBy } from './unless-ended.ts';

/** Throws ABORTED, before anything was touched. */
export function refuseAborted(signal: AbortSignal | undefined): void {
  for (const ending of abortedBy(signal)) if (ending.signal.aborted) throw ending.error();
}

/** Takes the saga back when that is asked, for as long as it can be. */
export function abortWith(saga: Saga, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  // What it comes to is told by its result; one that has ended has nothing to take back.
  const abort = () => void saga.abort().catch(() => undefined);
  const forget = () => signal.removeEventListener('abort', abort);
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  saga.ended.then(forget, forget);
}
