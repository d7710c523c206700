/**
 * The public entry `blocksaga/libvirt`: block jobs and snapshots with the calls, flags, units and error categories that
 * users of libvirt know, run as sagas.
 */

import '../supported-node.ts';

export type { Bandwidth } from './bandwidth.ts';
export type { BlockJobEvent } from './block-job.ts';
export type { CopyDestination, TypedParameter } from './copy-destination.ts';
export { type Domain, openDomain } from './domain.ts';
export type { DomainOptions } from './domain-core.ts';
export { type LibvirtCategory, LibvirtError } from './errors.ts';
export {
  BLOCK_COMMIT,
  BLOCK_COPY,
  BLOCK_JOB_ABORT,
  BLOCK_JOB_INFO,
  BLOCK_JOB_SPEED,
  BLOCK_PULL,
  BLOCK_REBASE,
  type Flags,
  SNAPSHOT_CREATE,
  SNAPSHOT_DELETE,
} from './flags.ts';
export type { BlockJobInfo, BlockJobType } from './job-info.ts';
export type { OfflineWork } from './offline-work.ts';
export type { SnapshotDefinition, SnapshotDisk, SnapshotMode } from './snapshot-definition.ts';
export type { Snapshot, SnapshottedDisk } from './snapshots.ts';
