/** Writes down a decision while QEMU works on it. Decides nothing itself. */
import type { Json } from '../../qmp/transport.ts';

/** Writes the decision; durable when it resolves. */
export type Decide = () => Promise<void>;

/**
 * Calls `decide` while the work is under way; when that fails, the work is waited for before anything is undone. Where both
 * fail, the work's reason counts: the undo goes by what has become of the disks.
 */
export async function alongside(work: Promise<Json>, decide: Decide): Promise<void> {
  work.catch(() => undefined); // the caller that awaits the work gets the rejection; until then it is not an unhandled one
  try {
    await decide();
  } catch (error) {
    await work;
    throw error;
  }
}
