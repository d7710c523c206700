/** A guest's disk and its images as they are told to clients. */
import type { GuestDisk } from './survey.ts';

/** By which name it is best asked for. */
export function nameOfDisk(disk: GuestDisk): string {
  return disk.device ?? (disk.drive || disk.node);
}

/** For a client, without what only a planner needs. */
export function describeDisk(disk: GuestDisk) {
  return {
    disk: nameOfDisk(disk),
    node: disk.node,
    device: disk.device,
    drive: disk.drive === '' ? null : disk.drive,
    sizeBytes: disk.sizeBytes,
    readOnly: disk.readOnly,
    job: disk.job,
    filters: disk.filters.map(({ node, driver }) => ({ node, driver })),
    chain: disk.chain.map(({ file, driver, node }) => ({ file, format: driver, node })),
  } as const;
}
