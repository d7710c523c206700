/**
 * The only file that touches timers and dates. All else takes a `Clock`, so that a simulator can run on virtual time.
 */

/** A source of time; milliseconds everywhere. */
export interface Clock {
  /** Monotonic milliseconds with fractions, for durations and deadlines. */
  now(): number;
  /** Milliseconds since the epoch, for records that people read and deadlines that outlive a process. */
  epochMs(): number;
  /** Calls back once after `delayMs`; returns what cancels it. */
  after(delayMs: number, callback: () => void): () => void;
}

/** Real time. */
export const systemClock: Clock = {
  now: () => performance.now(),
  epochMs: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Calls back once after `delayMs` of real time if the process still runs then: it is not kept alive for it. */
export function afterIfAlive(delayMs: number, callback: () => void): void {
  const timer: unknown = setTimeout(callback, delayMs);
  if (typeof timer === 'object' && timer !== null && 'unref' in timer && typeof timer.unref === 'function')
    timer.unref();
}

/** Blocks this process, its event loop and all; for the few things that must be done on return. */
export function blockFor(delayMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, delayMs);
}

/** Resolves after `delayMs`, or at once when `signal` aborts. Never rejects. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise(resolve => {
    const done = () => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(delayMs, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}
