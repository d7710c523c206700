/**
 * A domain with libvirt's calls for block jobs and snapshots, each run as a saga. The calls take libvirt's arguments in
 * libvirt's order; what differs from libvirt, and why, is in docs/libvirt.md.
 */
import type { Saga } from '../engine/running/saga.ts';
import { hasMirrors, type Plan } from '../plan/plan.ts';
import type { Bandwidth } from './bandwidth.ts';
import type { BlockJobEvent, WorkKind } from './block-job.ts';
import { blockCommit, blockCopy, blockPull, blockRebase } from './block-jobs.ts';
import type { CopyDestination, TypedParameter } from './copy-destination.ts';
import { DomainCore, type DomainOptions } from './domain-core.ts';
import { refuse } from './errors.ts';
import type {
  BLOCK_COMMIT,
  BLOCK_COPY,
  BLOCK_JOB_ABORT,
  BLOCK_JOB_INFO,
  BLOCK_JOB_SPEED,
  BLOCK_PULL,
  BLOCK_REBASE,
  Flags,
  SNAPSHOT_CREATE,
  SNAPSHOT_DELETE,
} from './flags.ts';
import { blockJobAbort, blockJobInfo, blockJobSetSpeed } from './job-calls.ts';
import type { BlockJobInfo } from './job-info.ts';
import type { SnapshotDefinition } from './snapshot-definition.ts';
import { type Snapshot, Snapshots } from './snapshots.ts';

/**
 * One running domain. A disk is named by its device's id, its node, or the file of its active image. Every call throws
 * `LibvirtError`; one that begins a block job resolves when QEMU works on it. Bandwidths are MiB/s unless
 * BANDWIDTH_BYTES is set, 0 is unlimited.
 */
export interface Domain {
  /** Pulls what is below the active image into it, down to and without `base`; with COPY a copy to the file `base`. */
  blockRebase(
    disk: string,
    base?: string | null,
    bandwidth?: Bandwidth,
    flags?: Flags<typeof BLOCK_REBASE>,
  ): Promise<void>;
  /** Pulls everything that is below the active image into it. */
  blockPull(disk: string, bandwidth?: Bandwidth, flags?: Flags<typeof BLOCK_PULL>): Promise<void>;
  /** Copies a disk and keeps the copy up with it, until `blockJobAbort` switches to it (PIVOT) or takes it away. */
  blockCopy(
    disk: string,
    destination: CopyDestination,
    parameters?: readonly TypedParameter[],
    flags?: Flags<typeof BLOCK_COPY>,
  ): Promise<void>;
  /** Merges `top` (the active image when null) into `base` (the lowest when null, the next one with SHALLOW). */
  blockCommit(
    disk: string,
    base?: string | null,
    top?: string | null,
    bandwidth?: Bandwidth,
    flags?: Flags<typeof BLOCK_COMMIT>,
  ): Promise<void>;
  /** Ends a disk's block job; with PIVOT the guest goes over to its other side. Waits for the end, unless ASYNC. */
  blockJobAbort(disk: string, flags?: Flags<typeof BLOCK_JOB_ABORT>): Promise<void>;
  /** How far a disk's block job is; null when it has none that this domain began. */
  blockJobInfo(disk: string, flags?: Flags<typeof BLOCK_JOB_INFO>): Promise<BlockJobInfo | null>;
  /** Limits a disk's block job. */
  blockJobSetSpeed(disk: string, bandwidth: Bandwidth, flags?: Flags<typeof BLOCK_JOB_SPEED>): Promise<void>;
  /** Puts overlays on the disks, on all or on none, and resolves when they are there. */
  snapshotCreate(definition?: SnapshotDefinition, flags?: Flags<typeof SNAPSHOT_CREATE>): Promise<Snapshot>;
  /** Merges the overlays of a snapshot into the images below them, on all disks or on none, and removes their files. */
  snapshotDelete(name: string, flags?: Flags<typeof SNAPSHOT_DELETE>): Promise<void>;
  /** The snapshots that this handle has made and not deleted, oldest first. */
  snapshots(): readonly Snapshot[];
  /** Calls back for every block job that is ready or has ended; returns what unsubscribes. A listener must not throw. */
  onBlockJob(listener: (event: BlockJobEvent) => void): () => void;
  /** Takes a saga of this domain that `engine.resume` continues, so that the calls above know its job. */
  adopt(saga: Saga): void;
}

/**
 * A domain over an engine. Nothing is sent to QEMU before the first call.
 *
 * @example
 * ```ts
 * const domain = openDomain({ engine, qmp: '/run/vm.qmp' });
 * domain.onBlockJob(async ({ disk, status }) => {
 *   if (status === 'READY') await domain.blockJobAbort(disk, ['PIVOT']);
 * });
 * await domain.blockCopy('disk0', { file: '/new/disk0.qcow2' });
 * ```
 */
export function openDomain(options: DomainOptions): Domain {
  expectOptions(options);
  const core = new DomainCore(options);
  const snapshots = new Snapshots(core);
  return {
    blockRebase: (disk, base = null, bandwidth = 0, flags = []) =>
      blockRebase(core, disk, base, bandwidth, flags),
    blockPull: (disk, bandwidth = 0, flags = []) => blockPull(core, disk, bandwidth, flags),
    blockCopy: (disk, destination, parameters = [], flags = []) =>
      blockCopy(core, disk, destination, parameters, flags),
    blockCommit: (disk, base = null, top = null, bandwidth = 0, flags = []) =>
      blockCommit(core, disk, base, top, bandwidth, flags),
    blockJobAbort: (disk, flags = []) => blockJobAbort(core, disk, flags),
    blockJobInfo: (disk, flags = []) => blockJobInfo(core, disk, flags),
    blockJobSetSpeed: (disk, bandwidth, flags = []) => blockJobSetSpeed(core, disk, bandwidth, flags),
    snapshotCreate: (definition = {}, flags = []) => snapshots.create(definition, flags),
    snapshotDelete: (name, flags = []) => snapshots.delete(name, flags),
    snapshots: () => snapshots.list(),
    onBlockJob: listener => core.listen(listener),
    adopt(saga) {
      core.adopt(kindOf(saga.plan), saga);
    },
  };
}

/** A profile that is misspelt must not do as another one. */
function expectOptions({ profile = 'compat', persistent = false }: DomainOptions): void {
  if (!PROFILES.includes(profile))
    refuse('INVALID_ARG', `openDomain: the profile is one of ${PROFILES.join(', ')}, not ${profile}`);
  if (typeof persistent !== 'boolean') refuse('INVALID_ARG', 'openDomain: persistent is true or false');
}

const PROFILES = ['compat', 'strict'] as const satisfies readonly DomainOptions['profile'][];

function kindOf(plan: Plan): WorkKind {
  if (plan.operation === 'copy') return 'COPY';
  if (plan.operation === 'pull') return 'PULL';
  if (plan.operation !== 'commit') return 'SNAPSHOT';
  return hasMirrors(plan) ? 'ACTIVE_COMMIT' : 'COMMIT';
}
