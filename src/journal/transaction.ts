/** One transaction on a file, and the end of a connection that failed: what went wrong first is what is thrown. */

import type { DatabaseSync } from 'node:sqlite';

/** Takes the write lock first, so that what is read in it stays true. Throws as SQLite does, and what the work throws. */
export function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    rollBack(db);
    throw error;
  }
}

/** SQLite has rolled back by itself after some errors (disk full, I/O); one that cannot now does so when it is closed. */
function rollBack(db: DatabaseSync): void {
  try {
    if (db.isTransaction) db.exec('ROLLBACK');
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

/** Closes what nothing more is wanted of; all that was written stays. */
export function closeAfter(db: DatabaseSync): void {
  try {
    db.close();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}
