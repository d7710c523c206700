/**
 * A call that is tried again for so long, whatever becomes of Restate meanwhile: that counts from the first failure which its leader of the
 * moment has seen, and a cluster whose leaders change again and again would try for ever. It remembers failures in this process alone.
 */
import * as restate from '@restatedev/restate-sdk';

type Retry = restate.RunOptions<unknown> & { readonly maxRetryDuration: number };

const failingSince = new Map<string, number>();
/** Of those that go on elsewhere nothing is heard any more. */
const FAILING_MAX = 10_000;

/** Rejects with a terminal error 500 when it has failed for as long as the policy says. */
export function runFor<T>(
  ctx: restate.Context,
  what: string,
  action: () => Promise<T>,
  retry: Retry,
): restate.RestatePromise<T> {
  const key = `${ctx.request().id}/${what}`;
  const tried = async () => {
    try {
      const told = await action();
      failingSince.delete(key);
      return told;
    } catch (error) {
      if (error instanceof restate.TerminalError || hasFailedFor(key, retry.maxRetryDuration)) {
        failingSince.delete(key);
        throw error instanceof restate.TerminalError
          ? error
          : new restate.TerminalError(error instanceof Error ? error.message : String(error), {
              errorCode: 500,
            });
      }
      throw error;
    }
  };
  return ctx.run(what, tried, retry as restate.RunOptions<T>);
}

function hasFailedFor(key: string, durationMs: number): boolean {
  const nowMs = Date.now();
  const sinceMs = failingSince.get(key);
  if (sinceMs !== undefined) return nowMs - sinceMs >= durationMs;
  const [oldest] = failingSince.keys();
  if (oldest !== undefined && failingSince.size >= FAILING_MAX) failingSince.delete(oldest);
  failingSince.set(key, nowMs);
  return false;
}
