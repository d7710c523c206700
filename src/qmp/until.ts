/**
 * Waiting for something that QEMU reports only in part by events: look, sleep until an event, the end of the connection
 * or the next poll, look again. An event only wakes; what is so is always asked of QEMU.
 */

import { BlocksagaError } from '../errors.ts';
import type { Clock } from './clock.ts';
import type { EventName, QmpEvent } from './commands.ts';
import { startPatience } from './patience.ts';

/** When {@link QmpClient.until} looks again, and when it gives up; milliseconds. */
export interface UntilOptions {
  readonly wakeOn: readonly EventName[];
  /** Which of those events are worth a look (default: all); the poll sees to what is missed. */
  readonly wakeIf?: (event: QmpEvent) => boolean;
  readonly deadlineMs: number;
  /**
   * Counts by the wall clock, also the time in which this process or the machine did not run: for what bounds the guest's
   * pause. All other waits count only what they could have heard ({@link startPatience}).
   */
  readonly byWallClock?: boolean;
  /**
   * Looks again this often even if no event comes (default 1000). A wait that lasts is looked at ever more seldom, so that what QEMU
   * refuses for long makes no work for it: it ends at most a twentieth of its time late, and never more than a second.
   */
  readonly pollMs?: number;
  /** Looks as often to the end: for what may be so for a moment only. */
  readonly steady?: boolean;
  /** Ends the wait with ABORTED, or with its reason where that is an error of this package. */
  readonly signal?: AbortSignal;
}

/** What a wait needs of a connection: calls back for every event and at its end (undefined); returns what ends it. */
export type Watch = (onSign: (event: QmpEvent | undefined) => void) => () => void;

const POLL_MS = 1_000;
const LATE_SHARE = 1 / 20;

/** How long a wait that has lasted so long may sleep. */
function sleepMs(pollMs: number, lastedMs: number): number {
  return Math.max(pollMs, Math.min(lastedMs * LATE_SHARE, POLL_MS));
}

/** What a wait is ended with by a signal that has aborted. */
export function abortedBy({ reason }: AbortSignal, what: string): BlocksagaError {
  return reason instanceof BlocksagaError
    ? reason
    : new BlocksagaError('ABORTED', `stopped waiting for ${what}`);
}

/** Repeats `check` as {@link QmpClient.until} says; `assertOpen` throws once the connection has ended. */
export async function repeatUntil<T>(
  connection: { readonly clock: Clock; readonly watch: Watch; readonly assertOpen: () => void },
  what: string,
  check: () => Promise<T | undefined>,
  options: UntilOptions,
): Promise<T> {
  const { clock } = connection;
  const {
    wakeOn,
    wakeIf,
    deadlineMs,
    byWallClock = false,
    pollMs = POLL_MS,
    steady = false,
    signal,
  } = options;
  const began = clock.now();
  let woken = false;
  let passed = false;
  let endSleep = () => {};
  const wake = () => {
    woken = true;
    endSleep();
  };
  const unwatch = connection.watch(event => {
    if (event === undefined || (wakeOn.includes(event.event) && (wakeIf?.(event) ?? true))) wake();
  });
  signal?.addEventListener('abort', wake);
  const pass = () => {
    passed = true;
    wake();
  };
  const patience = byWallClock ? undefined : startPatience({ clock, deadlineMs }, pass);
  try {
    for (;;) {
      woken = false;
      const wasPassed = passed; // seen before the look, which is the last one then
      if (signal?.aborted) throw abortedBy(signal, what);
      connection.assertOpen();
      const value = await check();
      if (value !== undefined) return value;
      const lastedMs = clock.now() - began;
      const leftMs = byWallClock ? deadlineMs - lastedMs : Number.POSITIVE_INFINITY;
      if (wasPassed || leftMs <= 0)
        throw new BlocksagaError('DEADLINE', `waited ${deadlineMs} ms in vain for ${what}`);
      if (woken) continue;
      await new Promise<void>(resolve => {
        const cancel = clock.after(Math.min(steady ? pollMs : sleepMs(pollMs, lastedMs), leftMs), resolve);
        endSleep = () => {
          cancel();
          resolve();
        };
      });
    }
  } finally {
    unwatch();
    patience?.cancel();
    signal?.removeEventListener('abort', wake);
  }
}
