/**
 * What SQLite's result codes mean to the one who runs the program, as `JOURNAL` errors. Decides on the numeric code
 * only (sqlite.org/rescode.html), never on texts.
 */

import { BlocksagaError, type Effect } from '../errors.ts';

/** Primary result code: what to do, and what became of a transaction that ended with it. */
const ADVICE: Readonly<Record<number, readonly [advice: string, effect: Effect]>> = {
  5: ['another process keeps it locked: try again, or see who has it open', 'notApplied'],
  8: [
    'it is read-only: make the file and its directory writable, or name another with --journal',
    'notApplied',
  ],
  // A failed fsync may still have left what was written on the disk.
  10: ['the disk failed: look at the kernel log, do not delete the file', 'unknown'],
  11: [
    'the file is damaged and is kept as it is: restore it, or set it aside and run `blocksaga doctor`',
    'unknown',
  ],
  13: ['the disk is full: free some space, then run `blocksaga resume --all`', 'notApplied'],
  14: [
    'it must be a file that this user may read and write, in a directory where it may make files: run as the user who owns it, or name another with --journal',
    'notApplied',
  ],
  15: ['others open and close it all the time: try again', 'notApplied'],
  26: ['it is not a journal of blocksaga and is kept as it is: name another with --journal', 'notApplied'],
};

/** SQLITE_BUSY, and SQLITE_PROTOCOL: others had the file locked, or opened and closed it all the time. */
const LOCKED: ReadonlySet<number> = new Set([5, 15]);

/** Runs `work` and turns SQLite's errors into `JOURNAL`; what else it throws passes through. */
export function guarded<T>(file: string, what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw journalError(file, what, error);
  }
}

/** SQLite's error as a `JOURNAL` error that says what to do; any other error as it is. */
function journalError(file: string, what: string, error: unknown): unknown {
  const code = primaryCode(error);
  if (code === undefined) return error;
  const [advice, effect] = ADVICE[code] ?? ['see the cause', 'unknown'];
  return new BlocksagaError(
    'JOURNAL',
    `cannot ${what} the journal ${file}: ${advice} (${(error as Error).message})`,
    {
      effect,
      retryable: LOCKED.has(code),
      cause: error,
    },
  );
}

function primaryCode(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  return code === 'ERR_SQLITE_ERROR' && typeof errcode === 'number' ? errcode & 0xff : undefined;
}
