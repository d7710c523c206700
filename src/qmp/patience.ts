/**
 * A deadline that counts silence, not time: only while this process could have heard something, and from the last sign
 * of life. A machine that did not run (a host that was suspended, a process without a processor, an event loop that did
 * not turn) must not be taken for a QEMU that does not answer. It bounds no pause of the guest: that is wall-clock
 * time.
 */

import type { Clock } from './clock.ts';

/** The longest time that is counted at once, in milliseconds: all that a moment in which nothing ran can cost. */
const SLICE_MS = 1_000;
/** Signs of life that are no progress put a deadline off to this many times its length at most. */
const PUT_OFF_MAX = 4;

/** A deadline under way. */
export interface Patience {
  /** What was waited for came, in part: all counts anew. */
  progress(): void;
  cancel(): void;
}

export interface PatienceOptions {
  readonly clock: Clock;
  readonly deadlineMs: number;
  /** By the clock, when the other side was last heard; signs may come from anything that it sends. */
  readonly heardMs?: () => number;
}

/** Calls back once when nothing was heard for the deadline, after a last turn in which what has arrived is read. */
export function startPatience(
  { clock, deadlineMs, heardMs = () => Number.NEGATIVE_INFINITY }: PatienceOptions,
  onPassed: () => void,
): Patience {
  let silentMs = 0;
  let totalMs = 0;
  let sinceMs = clock.now();
  let hasProgressed = false;
  let cancel = () => {};

  const count = () => {
    const sliceMs = Math.max(0, Math.min(SLICE_MS, deadlineMs - silentMs));
    sinceMs = clock.now();
    const endMs = sinceMs + sliceMs;
    hasProgressed = false;
    cancel = clock.after(sliceMs, () => {
      // Since the last progress: that comes with each reply, which must not cost a timer each time.
      const countedMs = hasProgressed ? Math.max(0, endMs - sinceMs) : sliceMs;
      totalMs += countedMs;
      hear(countedMs);
      if (silentMs >= deadlineMs || totalMs >= deadlineMs * PUT_OFF_MAX) lookOnce();
      else count();
    });
  };

  /** Timers come before sockets in a turn of the event loop: what waits in one must not be found too late. */
  const lookOnce = () => {
    sinceMs = clock.now();
    cancel = clock.after(0, () => {
      hear(0);
      if (silentMs >= deadlineMs || totalMs >= deadlineMs * PUT_OFF_MAX) onPassed();
      else count();
    });
  };

  const hear = (sliceMs: number) => {
    const heard = heardMs();
    silentMs = heard >= sinceMs ? Math.min(sliceMs, clock.now() - heard) : silentMs + sliceMs;
  };

  count();
  return {
    progress() {
      silentMs = 0;
      totalMs = 0;
      sinceMs = clock.now();
      hasProgressed = true;
    },
    cancel: () => cancel(),
  };
}
