/**
 * What all sagas want written, in the order in which it came, taken by one transaction per turn of the event loop (databases call that
 * group commit). Decides when to write and whom to tell, and waits while another process has the file locked; what is written, and
 * how, is the store's business.
 */

import { BlocksagaError, definedOnly } from '../errors.ts';
import type { Clock } from '../qmp/clock.ts';
import type { Entry, SqliteStore } from './sqlite-store.ts';
import { BLOCKING_MS, blocking, Delays, isLocked, PATIENCE_MS } from './waiting.ts';

/** What may wait to be written; a journal that cannot be written must not eat the memory. */
const QUEUE_MAX_BYTES = 64 * 1024 * 1024;
/** From here on, records that need not be durable are written without waiting for one that must. */
const UNHURRIED_MAX_BYTES = 1024 * 1024;
/** About what a record takes beside its body. */
const RECORD_OVERHEAD_BYTES = 200;
/** How soon a locked file is tried again while the guest of one that waits is paused. */
const HASTY_DELAY_MS = 3;
/** Writes between two checkpoints: about 1,000 pages, which is SQLite's own habit. */
const CHECKPOINT_EVERY_WRITES = 256;

interface Waiting {
  readonly entry: Entry;
  readonly sizeBytes: number;
  /** Absent for records that are not waited for. */
  readonly settle?: (error: Error | undefined) => void;
  /** What is left of the waiting for a locked file. */
  patienceMs: number;
  /** Until when, by the clock, where the guest is paused meanwhile. */
  readonly untilMs?: number;
}

/** The queue before a store. */
export class WriteQueue {
  readonly #store: Pick<SqliteStore, 'write' | 'checkpoint' | 'close'>;
  #waiting: Waiting[] = [];
  #sizeBytes = 0;
  #isScheduled = false;
  #isClosed = false;
  #writesSinceCheckpoint = 0;
  readonly #clock: Clock;

  constructor(store: Pick<SqliteStore, 'write' | 'checkpoint' | 'close'>, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Queues what is not waited for. Throws `JOURNAL` when too much waits. */
  add(entry: Entry): void {
    this.#push(entry);
    if (this.#sizeBytes > UNHURRIED_MAX_BYTES) this.#schedule();
  }

  /** Resolves when the entry is durable; rejects when it was refused or could not be written, in time where one is set. */
  written(entry: Entry, withinMs?: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#push(entry, error => (error === undefined ? resolve() : reject(error)), withinMs);
    this.#schedule();
    return promise;
  }

  /** Writes all that waits and the entry, before it returns. Throws what `written` would reject with. */
  writeNow(entry: Entry, withinMs = BLOCKING_MS): void {
    const outcome: { error?: Error | undefined } = {};
    const settle = (error: Error | undefined) => {
      outcome.error = error;
    };
    this.#push(entry, settle);
    try {
      this.#writeWithin(withinMs);
    } finally {
      this.#forget(one => one.settle === settle);
    }
    if (outcome.error !== undefined) throw outcome.error;
  }

  /** Writes all that waits and closes the store. Throws `JOURNAL` when records that were not waited for are lost. */
  close(): void {
    if (this.#isClosed) return;
    const failure = this.#lastWrite();
    const isLost = this.#waiting.length > 0;
    for (const { settle } of this.#waiting) settle?.(failure);
    this.#waiting = [];
    this.#isClosed = true;
    try {
      this.#store.close();
    } catch (error) {
      throw failure ?? error; // why the last records were not written says more
    }
    if (failure !== undefined && isLost) throw failure;
  }

  #push(entry: Entry, settle?: (error: Error | undefined) => void, withinMs?: number): void {
    const sizeBytes = entry.records.reduce((sum, { body }) => sum + body.length + RECORD_OVERHEAD_BYTES, 0);
    if (this.#sizeBytes + sizeBytes > QUEUE_MAX_BYTES) {
      throw new BlocksagaError(
        'JOURNAL',
        'too much waits to be written to the journal: is its disk full or stuck?',
        {
          effect: 'notApplied',
          saga: entry.lease.saga,
        },
      );
    }
    this.#sizeBytes += sizeBytes;
    const untilMs = withinMs === undefined ? undefined : this.#clock.now() + withinMs;
    this.#waiting.push({ entry, sizeBytes, patienceMs: PATIENCE_MS, ...definedOnly({ settle, untilMs }) });
  }

  /**
   * Writes once the event loop has handed out what has arrived meanwhile: replies to many sagas come in one turn, and
   * their records then share one fsync. Not a timer: on an idle loop it is at once.
   */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#isClosed) return;
      const failure = this.#write();
      if (isLocked(failure)) this.#waitForFile(failure, new Delays());
      if (this.#writesSinceCheckpoint >= CHECKPOINT_EVERY_WRITES) setImmediate(() => this.#checkpoint());
    });
  }

  /**
   * Looks again and again, with the event loop turning; those whose time is over are rejected, and the others keep
   * waiting.
   */
  #waitForFile(failure: Error, delays: Delays): void {
    const nowMs = this.#clock.now();
    const isLate = ({ untilMs, patienceMs }: Waiting) => patienceMs <= 0 || (untilMs ?? nowMs + 1) <= nowMs;
    this.#forget(one => one.settle !== undefined && isLate(one), failure);
    const awaited = this.#waiting.filter(({ settle }) => settle !== undefined);
    if (awaited.length === 0 && this.#sizeBytes <= UNHURRIED_MAX_BYTES) return;
    const leftMs = Math.min(...awaited.map(({ untilMs }) => (untilMs ?? Number.POSITIVE_INFINITY) - nowMs));
    const delayMs = Number.isFinite(leftMs) ? Math.min(leftMs, HASTY_DELAY_MS) : delays.next();
    for (const one of awaited) one.patienceMs -= delayMs;
    this.#isScheduled = true;
    this.#clock.after(delayMs, () => {
      this.#isScheduled = false;
      if (this.#isClosed) return;
      const again = this.#write();
      if (isLocked(again)) this.#waitForFile(again, delays);
    });
  }

  /** Takes entries out that are not to be written any more. */
  #forget(isGone: (one: Waiting) => boolean, why?: Error): void {
    const gone = this.#waiting.filter(isGone);
    if (gone.length === 0) return;
    this.#waiting = this.#waiting.filter(one => !gone.includes(one));
    this.#sizeBytes = this.#waiting.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    if (why !== undefined) for (const { settle } of gone) settle?.(why);
  }

  /** Throws JOURNAL when the file stays locked; all else is told to those who wait. */
  #writeWithin(withinMs: number): void {
    blocking(withinMs, () => {
      const failure = this.#write();
      if (isLocked(failure)) throw failure;
    });
  }

  #lastWrite(): Error | undefined {
    try {
      return blocking(BLOCKING_MS, () => {
        const failure = this.#write();
        if (isLocked(failure)) throw failure;
        return failure;
      });
    } catch (error) {
      if (isLocked(error)) return error;
      throw error;
    }
  }

  /** One try. A locked file leaves all as it was; any other failure is told to all that wait. */
  #write(): Error | undefined {
    const batch = this.#waiting;
    if (batch.length === 0) return undefined;
    let refusals: readonly (Error | undefined)[];
    try {
      refusals = this.#store.write(batch.map(({ entry }) => entry));
    } catch (cause) {
      const failure = cause instanceof Error ? cause : new Error('the journal failed', { cause });
      if (isLocked(failure)) return failure;
      // Nothing was written. Who waits is told; the rest stays in its place and goes with the next write.
      this.#waiting = batch.filter(({ settle }) => settle === undefined);
      this.#sizeBytes = this.#waiting.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      for (const { settle } of batch) settle?.(failure);
      return failure;
    }
    this.#waiting = [];
    this.#sizeBytes = 0;
    this.#writesSinceCheckpoint += 1;
    for (const [index, { settle }] of batch.entries()) settle?.(refusals[index]);
    return undefined;
  }

  /** After those who waited have continued. What fails here is in the write-ahead log all the same, and tried again. */
  #checkpoint(): void {
    if (this.#isClosed || this.#writesSinceCheckpoint < CHECKPOINT_EVERY_WRITES) return;
    try {
      this.#store.checkpoint();
      this.#writesSinceCheckpoint = 0;
    } catch (error) {
      if (!(error instanceof BlocksagaError)) throw error;
      // A disk that is full or broken shows at the next write, whose answer is waited for.
      this.#writesSinceCheckpoint = CHECKPOINT_EVERY_WRITES / 2;
    }
  }
}
