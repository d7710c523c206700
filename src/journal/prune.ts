/**
 * Forgets sagas that ended long ago, with their records. It touches only those that committed or were rolled back: one that
 * is open, or needs recovery, stays for as long as it takes.
 */

import { type Clock, systemClock } from '../qmp/clock.ts';
import { isNeeded } from './keep.ts';
import { guarded } from './sqlite-errors.ts';
import { openFile } from './sqlite-file.ts';
import { closeAfter, inTransaction } from './transaction.ts';
import { blocking } from './waiting.ts';

/** Others write their sagas meanwhile, and go first. */
const PRUNE_PATIENCE_MS = 60_000;

/**
 * Removes all sagas from the journal's file that ended before then (milliseconds since the epoch), and returns their ids,
 * oldest first. Other processes may use the file meanwhile. Throws `JOURNAL` as `openJournal` does.
 *
 * @example
 * ```ts
 * const file = join(tmpdir(), 'pruned.db');
 * await openJournal(file).close();
 * console.log(pruneJournal(file, 1_700_000_000_000).length); // 0
 * ```
 */
export function pruneJournal(
  file: string,
  endedBeforeMs: number,
  clock: Clock = systemClock,
): readonly string[] {
  const db = openFile(file, clock);
  const forget = () =>
    inTransaction(db, () => {
      const ended = `state IN ('committed', 'rolledBack') AND ended_at_ms < ? AND NOT (${isNeeded(clock.epochMs())})`;
      const rows = db.prepare(`SELECT id FROM saga WHERE ${ended} ORDER BY number`).all(endedBeforeMs);
      const ids = rows.map(row => String(row['id']));
      for (const id of ids) {
        db.prepare('DELETE FROM record WHERE saga = ?').run(id);
        db.prepare('DELETE FROM saga WHERE id = ?').run(id);
      }
      return ids;
    });
  try {
    return blocking(PRUNE_PATIENCE_MS, () => guarded(file, 'prune', forget));
  } finally {
    closeAfter(db);
  }
}
