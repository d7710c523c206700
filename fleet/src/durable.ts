/**
 * How Restate is to treat the fleet's handlers, whatever its own defaults are. A handler that fails is tried again for ever, at most
 * five seconds apart: by Restate's defaults one whose endpoint was gone for an hour would be paused without a word, and hold its key. An
 * attempt from which nothing is heard is given up, as a stopped process holds its connection open.
 */
export const DURABLE = {
  retryPolicy: {
    initialInterval: 100,
    exponentiationFactor: 2,
    maxInterval: 5_000,
    /** Two months of them. */
    maxAttempts: 1_000_000,
    onMaxAttempts: 'pause',
  },
  /** Longer than any run of a handler, which is a call that is given up after ten seconds. */
  inactivityTimeout: 20_000,
  abortTimeout: 20_000,
} as const;
