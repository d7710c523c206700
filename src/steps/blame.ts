/**
 * Says which disk the refusal of one command for all disks is about. It reads QEMU's words for people only: nothing is
 * ever decided on them.
 */
import { BlocksagaError } from '../errors.ts';
import type { DiskPlan } from './plan.ts';

/** Awaits one command for all disks; a refusal whose words name a file or node of just one disk gets that disk. */
export async function blaming<T>(disks: readonly DiskPlan[], command: Promise<T>): Promise<T> {
  try {
    return await command;
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    const words = error.qmp?.desc ?? '';
    const meant = disks.filter(disk =>
      [disk.image.file, disk.node, ...Object.values(disk.names)].some(name => words.includes(`'${name}'`)),
    );
    throw meant.length === 1 && meant[0] !== undefined ? error.at({ disk: meant[0].disk }) : error;
  }
}
