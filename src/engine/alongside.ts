/** Writes down a decision while QEMU works on it. Decides nothing itself. */
import type { Json } from '../qmp/transport.ts';

/**
 * Calls `decide` while the work is under way; when that fails, the work is waited for before anything is undone. Where both
 * fail, the work's reason counts: the undo goes by what has become of the disks.
 */
export async function alongside(work: Promise<Json>, decide: () => void): Promise<void> {
  try {
    decide();
  } catch (error) {
    await work;
    throw error;
  }
}
