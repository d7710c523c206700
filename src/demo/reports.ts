/**
 * What the ordered writer has reported: its acknowledged writes, its errors and the gaps between writes. Reads a named
 * pipe that QEMU's debug console writes into, in a thread of its own (`report-reader.ts`); a socket was ruled out
 * because one that is not read at once makes QEMU wait after some 70 writes.
 */
import { execFile } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { promisify } from 'node:util';
import { startThread } from '../package/contents.ts';

/** Where the thread puts what it counts, in shared memory. */
export const SLOT = { acknowledged: 0, errors: 1, missingDisk: 2, gapUs: 3 } as const;
/** How long the thread rests after each read, in milliseconds: the resolution of {@link Reports.gaps}. */
export const REST_MS = 0.25;

/** What the thread is given. */
export interface ReaderData {
  readonly descriptor: number;
  readonly memory: SharedArrayBuffer;
}

/** The guest's reports, always current. */
export interface Reports {
  /** The highest sequence number that the guest has reported as written. */
  acknowledged(): number;
  /** How many writes have failed (the guest tries the same one again). */
  errors(): number;
  /** The first disk that the guest did not find, if it gave up for that reason. */
  missingDisk(): number | undefined;
  /** The longest time between two reported writes since the mark; a gap that is still open does not count yet. Of `timed` guests only. */
  gaps(): { readonly maxMs: number };
  /** Sets the mark. A gap that is open now will count from its beginning. */
  resetGaps(): void;
  /** Tells that QEMU is gone; resolves when all that it wrote has been counted. */
  end(): Promise<void>;
  /** The same without waiting, for the end of the process. */
  endNow(): void;
}

/**
 * Makes the pipe at `path` and starts reading it; QEMU may open it at any time. `firstSequence` is what the guest begins
 * with. Throws what `mkfifo` threw.
 */
export async function readReports(path: string, firstSequence: number): Promise<Reports> {
  await promisify(execFile)('mkfifo', [path]);
  // Opened for both directions, which never waits. As long as this is open the reader never sees the pipe's end.
  let hold: number | undefined = openSync(path, constants.O_RDWR);
  const memory = new SharedArrayBuffer(4 * Object.keys(SLOT).length);
  const shared = new Int32Array(memory);
  Atomics.store(shared, SLOT.acknowledged, firstSequence - 1);

  const descriptor = openSync(path, constants.O_RDONLY);
  const workerData: ReaderData = { descriptor, memory };
  const worker = startThread('report-reader', import.meta.url, { workerData });
  worker.unref();
  let failure: unknown;
  const ended = new Promise<void>(resolve => {
    worker.once('error', error => {
      failure = error;
    });
    worker.once('exit', () => {
      closeSync(descriptor);
      resolve();
    });
  });

  function endNow(): void {
    if (hold !== undefined) closeSync(hold);
    hold = undefined;
  }
  function count(slot: keyof typeof SLOT): number {
    if (failure !== undefined) throw failure;
    return Atomics.load(shared, SLOT[slot]);
  }
  return {
    acknowledged: () => count('acknowledged'),
    errors: () => count('errors'),
    missingDisk: () => (count('missingDisk') === 0 ? undefined : count('missingDisk') - 1),
    gaps: () => ({ maxMs: count('gapUs') / 1000 }),
    resetGaps: () => void Atomics.store(shared, SLOT.gapUs, 0),
    async end() {
      endNow();
      worker.ref();
      await ended;
      if (failure !== undefined) throw failure;
    },
    endNow,
  };
}
