/**
 * Says which disk the refusal of one command for all disks is about. It reads QEMU's words for people only: nothing is
 * ever decided on them.
 */
import { BlocksagaError } from '../../errors.ts';
import type { DiskPlan } from '../../plan/plan.ts';

/** Awaits one command for all disks; a refusal whose words name a file or node of just one disk gets that disk. */
export async function attributeToDisk<T>(disks: readonly DiskPlan[], command: Promise<T>): Promise<T> {
  try {
    return await command;
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    const desc = error.qmp?.desc ?? '';
    // QEMU 5.2 puts no quotes around names; without them only our own are told from ordinary words.
    const words = new Set(desc.split(/[^\w-]+/));
    const meant = disks.filter(
      disk =>
        [disk.image.file, disk.node].some(name => desc.includes(`'${name}'`)) ||
        Object.values(disk.names).some(name => words.has(name)),
    );
    throw meant.length === 1 && meant[0] !== undefined ? error.at({ disk: meant[0].disk }) : error;
  }
}
