/**
 * QMP's commands and events as types. Generated from query-qmp-schema of QEMU 7.2.22 by
 * scripts/generate-qmp-types.ts, which holds the list of what is kept; do not edit. Integers are typed as `number`;
 * at run time one past 2^53 is a `bigint`, which only absurd sizes reach.
 */

import type { Json } from './transport.ts';

/** An object without members. */
export type Empty = { readonly [key: string]: never };

export interface QmpCommands {
  readonly 'block-commit': { readonly arguments: BlockCommitArguments; readonly returns: Empty };
  readonly 'block-dirty-bitmap-add': { readonly arguments: BlockDirtyBitmapAddArguments; readonly returns: Empty };
  readonly 'block-dirty-bitmap-clear': { readonly arguments: BlockDirtyBitmapClearArguments; readonly returns: Empty };
  readonly 'block-dirty-bitmap-disable': { readonly arguments: BlockDirtyBitmapClearArguments; readonly returns: Empty };
  readonly 'block-dirty-bitmap-enable': { readonly arguments: BlockDirtyBitmapClearArguments; readonly returns: Empty };
  readonly 'block-dirty-bitmap-merge': { readonly arguments: BlockDirtyBitmapMergeArguments; readonly returns: Empty };
  readonly 'block-dirty-bitmap-remove': { readonly arguments: BlockDirtyBitmapClearArguments; readonly returns: Empty };
  readonly 'block-export-add': { readonly arguments: BlockExportOptions; readonly returns: Empty };
  readonly 'block-export-del': { readonly arguments: BlockExportDelArguments; readonly returns: Empty };
  readonly 'block-job-cancel': { readonly arguments: BlockJobCancelArguments; readonly returns: Empty };
  readonly 'block-job-complete': { readonly arguments: BlockJobCompleteArguments; readonly returns: Empty };
  readonly 'block-job-dismiss': { readonly arguments: BlockJobDismissArguments; readonly returns: Empty };
  readonly 'block-job-finalize': { readonly arguments: BlockJobFinalizeArguments; readonly returns: Empty };
  readonly 'block-job-pause': { readonly arguments: BlockJobPauseArguments; readonly returns: Empty };
  readonly 'block-job-resume': { readonly arguments: BlockJobResumeArguments; readonly returns: Empty };
  readonly 'block-job-set-speed': { readonly arguments: BlockJobSetSpeedArguments; readonly returns: Empty };
  readonly 'block-stream': { readonly arguments: BlockStreamArguments; readonly returns: Empty };
  readonly block_resize: { readonly arguments: BlockResizeArguments; readonly returns: Empty };
  readonly 'blockdev-add': { readonly arguments: BlockdevOptions; readonly returns: Empty };
  readonly 'blockdev-backup': { readonly arguments: BlockdevBackupArguments; readonly returns: Empty };
  readonly 'blockdev-create': { readonly arguments: BlockdevCreateArguments; readonly returns: Empty };
  readonly 'blockdev-del': { readonly arguments: BlockdevDelArguments; readonly returns: Empty };
  readonly 'blockdev-mirror': { readonly arguments: BlockdevMirrorArguments; readonly returns: Empty };
  readonly 'blockdev-reopen': { readonly arguments: BlockdevReopenArguments; readonly returns: Empty };
  readonly 'blockdev-snapshot': { readonly arguments: BlockdevSnapshotArguments; readonly returns: Empty };
  readonly 'blockdev-snapshot-delete-internal-sync': { readonly arguments: BlockdevSnapshotDeleteInternalSyncArguments; readonly returns: BlockdevSnapshotDeleteInternalSyncReturns };
  readonly 'blockdev-snapshot-internal-sync': { readonly arguments: BlockdevSnapshotInternalSyncArguments; readonly returns: Empty };
  readonly 'blockdev-snapshot-sync': { readonly arguments: BlockdevSnapshotSyncArguments; readonly returns: Empty };
  readonly 'change-backing-file': { readonly arguments: ChangeBackingFileArguments; readonly returns: Empty };
  readonly cont: { readonly arguments: Empty; readonly returns: Empty };
  readonly device_del: { readonly arguments: DeviceDelArguments; readonly returns: Empty };
  readonly 'drive-mirror': { readonly arguments: DriveMirrorArguments; readonly returns: Empty };
  readonly 'human-monitor-command': { readonly arguments: HumanMonitorCommandArguments; readonly returns: string };
  readonly 'job-cancel': { readonly arguments: JobCancelArguments; readonly returns: Empty };
  readonly 'job-complete': { readonly arguments: JobCompleteArguments; readonly returns: Empty };
  readonly 'job-dismiss': { readonly arguments: JobDismissArguments; readonly returns: Empty };
  readonly 'job-finalize': { readonly arguments: JobFinalizeArguments; readonly returns: Empty };
  readonly 'job-pause': { readonly arguments: JobPauseArguments; readonly returns: Empty };
  readonly 'job-resume': { readonly arguments: JobResumeArguments; readonly returns: Empty };
  readonly 'nbd-server-add': { readonly arguments: NbdServerAddArguments; readonly returns: Empty };
  readonly 'nbd-server-remove': { readonly arguments: NbdServerRemoveArguments; readonly returns: Empty };
  readonly 'nbd-server-start': { readonly arguments: NbdServerStartArguments; readonly returns: Empty };
  readonly 'nbd-server-stop': { readonly arguments: Empty; readonly returns: Empty };
  readonly 'object-add': { readonly arguments: ObjectOptions; readonly returns: Empty };
  readonly 'object-del': { readonly arguments: ObjectDelArguments; readonly returns: Empty };
  readonly qmp_capabilities: { readonly arguments: QmpCapabilitiesArguments; readonly returns: Empty };
  readonly 'qom-get': { readonly arguments: QomGetArguments; readonly returns: Json };
  readonly 'qom-list': { readonly arguments: QomListArguments; readonly returns: readonly ObjectPropertyInfo[] };
  readonly 'qom-list-types': { readonly arguments: QomListTypesArguments; readonly returns: readonly QomListTypesReturns[] };
  readonly 'qom-set': { readonly arguments: QomSetArguments; readonly returns: Empty };
  readonly 'query-block': { readonly arguments: Empty; readonly returns: readonly BlockInfo[] };
  readonly 'query-block-exports': { readonly arguments: Empty; readonly returns: readonly BlockExportInfo[] };
  readonly 'query-block-jobs': { readonly arguments: Empty; readonly returns: readonly BlockJobInfo[] };
  readonly 'query-blockstats': { readonly arguments: QueryBlockstatsArguments; readonly returns: readonly BlockStats[] };
  readonly 'query-commands': { readonly arguments: Empty; readonly returns: readonly QueryCommandsReturns[] };
  readonly 'query-jobs': { readonly arguments: Empty; readonly returns: readonly JobInfo[] };
  readonly 'query-migrate': { readonly arguments: Empty; readonly returns: MigrationInfo };
  readonly 'query-name': { readonly arguments: Empty; readonly returns: QueryNameReturns };
  readonly 'query-named-block-nodes': { readonly arguments: QueryNamedBlockNodesArguments; readonly returns: readonly BlockDeviceInfo[] };
  readonly 'query-qmp-schema': { readonly arguments: Empty; readonly returns: readonly SchemaInfo[] };
  readonly 'query-status': { readonly arguments: Empty; readonly returns: StatusInfo };
  readonly 'query-uuid': { readonly arguments: Empty; readonly returns: QueryUuidReturns };
  readonly 'query-version': { readonly arguments: Empty; readonly returns: VersionInfo };
  readonly quit: { readonly arguments: Empty; readonly returns: Empty };
  readonly stop: { readonly arguments: Empty; readonly returns: Empty };
  readonly transaction: { readonly arguments: TransactionArguments; readonly returns: Empty };
  readonly 'x-debug-query-block-graph': { readonly arguments: Empty; readonly returns: XDebugQueryBlockGraphReturns };
}

export interface QmpEvents {
  readonly BLOCK_EXPORT_DELETED: BlockExportDeletedEvent;
  readonly BLOCK_IO_ERROR: BlockIoErrorEvent;
  readonly BLOCK_JOB_CANCELLED: BlockJobCancelledEvent;
  readonly BLOCK_JOB_COMPLETED: BlockJobCompletedEvent;
  readonly BLOCK_JOB_ERROR: BlockJobErrorEvent;
  readonly BLOCK_JOB_PENDING: BlockJobPendingEvent;
  readonly BLOCK_JOB_READY: BlockJobReadyEvent;
  readonly DEVICE_DELETED: DeviceDeletedEvent;
  readonly JOB_STATUS_CHANGE: JobStatusChangeEvent;
  readonly MIGRATION: MigrationEvent;
  readonly RESET: ResetEvent;
  readonly RESUME: Empty;
  readonly SHUTDOWN: ShutdownEvent;
  readonly STOP: Empty;
  readonly WAKEUP: Empty;
}

export interface BlockCommitArguments {
  readonly 'job-id'?: string;
  readonly device: string;
  readonly 'base-node'?: string;
  readonly base?: string;
  readonly 'top-node'?: string;
  readonly top?: string;
  readonly 'backing-file'?: string;
  readonly speed?: number;
  readonly 'on-error'?: BlockdevOnError;
  readonly 'filter-node-name'?: string;
  readonly 'auto-finalize'?: boolean;
  readonly 'auto-dismiss'?: boolean;
}

export interface BlockDeviceInfo {
  readonly file: string;
  readonly 'node-name'?: string;
  readonly ro: boolean;
  readonly drv: string;
  readonly backing_file?: string;
  readonly backing_file_depth: number;
  readonly encrypted: boolean;
  readonly detect_zeroes: BlockdevDetectZeroesOptions;
  readonly bps: number;
  readonly bps_rd: number;
  readonly bps_wr: number;
  readonly iops: number;
  readonly iops_rd: number;
  readonly iops_wr: number;
  readonly image: ImageInfo;
  readonly bps_max?: number;
  readonly bps_rd_max?: number;
  readonly bps_wr_max?: number;
  readonly iops_max?: number;
  readonly iops_rd_max?: number;
  readonly iops_wr_max?: number;
  readonly bps_max_length?: number;
  readonly bps_rd_max_length?: number;
  readonly bps_wr_max_length?: number;
  readonly iops_max_length?: number;
  readonly iops_rd_max_length?: number;
  readonly iops_wr_max_length?: number;
  readonly iops_size?: number;
  readonly group?: string;
  readonly cache: QueryBlockReturnsInsertedCache;
  readonly write_threshold: number;
  readonly 'dirty-bitmaps'?: readonly BlockDirtyInfo[];
}

export interface BlockDeviceStats {
  readonly rd_bytes: number;
  readonly wr_bytes: number;
  readonly unmap_bytes: number;
  readonly rd_operations: number;
  readonly wr_operations: number;
  readonly flush_operations: number;
  readonly unmap_operations: number;
  readonly rd_total_time_ns: number;
  readonly wr_total_time_ns: number;
  readonly flush_total_time_ns: number;
  readonly unmap_total_time_ns: number;
  readonly wr_highest_offset: number;
  readonly rd_merged: number;
  readonly wr_merged: number;
  readonly unmap_merged: number;
  readonly idle_time_ns?: number;
  readonly failed_rd_operations: number;
  readonly failed_wr_operations: number;
  readonly failed_flush_operations: number;
  readonly failed_unmap_operations: number;
  readonly invalid_rd_operations: number;
  readonly invalid_wr_operations: number;
  readonly invalid_flush_operations: number;
  readonly invalid_unmap_operations: number;
  readonly account_invalid: boolean;
  readonly account_failed: boolean;
  readonly timed_stats: readonly QueryBlockstatsReturnsStatsTimedStats[];
  readonly rd_latency_histogram?: QueryBlockstatsReturnsStatsRdLatencyHistogram;
  readonly wr_latency_histogram?: QueryBlockstatsReturnsStatsRdLatencyHistogram;
  readonly flush_latency_histogram?: QueryBlockstatsReturnsStatsRdLatencyHistogram;
}

export interface BlockDirtyBitmapAddArguments {
  readonly node: string;
  readonly name: string;
  readonly granularity?: number;
  readonly persistent?: boolean;
  readonly disabled?: boolean;
}

export interface BlockDirtyBitmapClearArguments {
  readonly node: string;
  readonly name: string;
}

export interface BlockDirtyBitmapMergeArguments {
  readonly node: string;
  readonly target: string;
  readonly bitmaps: readonly BlockDirtyBitmapMergeBitmaps[];
}

export type BlockDirtyBitmapMergeBitmaps = string | BlockDirtyBitmapClearArguments;

export interface BlockDirtyInfo {
  readonly name?: string;
  readonly count: number;
  readonly granularity: number;
  readonly recording: boolean;
  readonly busy: boolean;
  readonly persistent: boolean;
  readonly inconsistent?: boolean;
}

export type BlockExportAddFuseAllowOther = 'off' | 'on' | 'auto';

export type BlockExportAddVhostUserBlkAddr =
  | BlockExportAddVhostUserBlkAddrInet
  | BlockExportAddVhostUserBlkAddrUnix
  | BlockExportAddVhostUserBlkAddrVsock
  | BlockExportAddVhostUserBlkAddrFd;

export interface BlockExportAddVhostUserBlkAddrInet {
  readonly type: 'inet';
  readonly host: string;
  readonly port: string;
  readonly numeric?: boolean;
  readonly to?: number;
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
  readonly 'keep-alive'?: boolean;
  readonly mptcp?: boolean;
}

export interface BlockExportAddVhostUserBlkAddrUnix {
  readonly type: 'unix';
  readonly path: string;
  readonly abstract?: boolean;
  readonly tight?: boolean;
}

export interface BlockExportAddVhostUserBlkAddrVsock {
  readonly type: 'vsock';
  readonly cid: string;
  readonly port: string;
}

export interface BlockExportAddVhostUserBlkAddrFd {
  readonly type: 'fd';
  readonly str: string;
}

export interface BlockExportDelArguments {
  readonly id: string;
  readonly mode?: BlockExportDelMode;
}

export type BlockExportDelMode = 'safe' | 'hard';

export interface BlockExportDeletedEvent {
  readonly id: string;
}

export interface BlockExportInfo {
  readonly id: string;
  readonly type: QueryBlockExportsReturnsType;
  readonly 'node-name': string;
  readonly 'shutting-down': boolean;
}

export type BlockExportOptions =
  | BlockExportOptionsNbd
  | BlockExportOptionsVhostUserBlk
  | BlockExportOptionsFuse
  | BlockExportOptionsVduseBlk;

export interface BlockExportOptionsBase {
  readonly id: string;
  readonly 'fixed-iothread'?: boolean;
  readonly iothread?: string;
  readonly 'node-name': string;
  readonly writable?: boolean;
  readonly writethrough?: boolean;
}

export interface BlockExportOptionsNbd extends BlockExportOptionsBase {
  readonly type: 'nbd';
  readonly name?: string;
  readonly description?: string;
  readonly bitmaps?: readonly BlockDirtyBitmapMergeBitmaps[];
  readonly 'allocation-depth'?: boolean;
}

export interface BlockExportOptionsVhostUserBlk extends BlockExportOptionsBase {
  readonly type: 'vhost-user-blk';
  readonly addr: BlockExportAddVhostUserBlkAddr;
  readonly 'logical-block-size'?: number;
  readonly 'num-queues'?: number;
}

export interface BlockExportOptionsFuse extends BlockExportOptionsBase {
  readonly type: 'fuse';
  readonly mountpoint: string;
  readonly growable?: boolean;
  readonly 'allow-other'?: BlockExportAddFuseAllowOther;
}

export interface BlockExportOptionsVduseBlk extends BlockExportOptionsBase {
  readonly type: 'vduse-blk';
  readonly name: string;
  readonly 'num-queues'?: number;
  readonly 'queue-size'?: number;
  readonly 'logical-block-size'?: number;
  readonly serial?: string;
}

export interface BlockInfo {
  readonly device: string;
  readonly qdev?: string;
  readonly type: string;
  readonly removable: boolean;
  readonly locked: boolean;
  readonly inserted?: BlockDeviceInfo;
  readonly tray_open?: boolean;
  readonly 'io-status'?: QueryBlockReturnsIoStatus;
}

export type BlockIoErrorAction = 'ignore' | 'report' | 'stop';

export interface BlockIoErrorEvent {
  readonly device: string;
  readonly 'node-name'?: string;
  readonly operation: BlockIoErrorOperation;
  readonly action: BlockIoErrorAction;
  readonly nospace?: boolean;
  readonly reason: string;
}

export type BlockIoErrorOperation = 'read' | 'write';

export interface BlockJobCancelArguments {
  readonly device: string;
  readonly force?: boolean;
}

export interface BlockJobCancelledEvent {
  readonly type: JobType;
  readonly device: string;
  readonly len: number;
  readonly offset: number;
  readonly speed: number;
}

export interface BlockJobCompleteArguments {
  readonly device: string;
}

export interface BlockJobCompletedEvent {
  readonly type: JobType;
  readonly device: string;
  readonly len: number;
  readonly offset: number;
  readonly speed: number;
  readonly error?: string;
}

export interface BlockJobDismissArguments {
  readonly id: string;
}

export interface BlockJobErrorEvent {
  readonly device: string;
  readonly operation: BlockIoErrorOperation;
  readonly action: BlockIoErrorAction;
}

export interface BlockJobFinalizeArguments {
  readonly id: string;
}

export interface BlockJobInfo {
  readonly type: string;
  readonly device: string;
  readonly len: number;
  readonly offset: number;
  readonly busy: boolean;
  readonly paused: boolean;
  readonly speed: number;
  readonly 'io-status': QueryBlockReturnsIoStatus;
  readonly ready: boolean;
  readonly status: JobStatus;
  readonly 'auto-finalize': boolean;
  readonly 'auto-dismiss': boolean;
  readonly error?: string;
}

export interface BlockJobPauseArguments {
  readonly device: string;
}

export interface BlockJobPendingEvent {
  readonly type: JobType;
  readonly id: string;
}

export interface BlockJobReadyEvent {
  readonly type: JobType;
  readonly device: string;
  readonly len: number;
  readonly offset: number;
  readonly speed: number;
}

export interface BlockJobResumeArguments {
  readonly device: string;
}

export interface BlockJobSetSpeedArguments {
  readonly device: string;
  readonly speed: number;
}

export interface BlockResizeArguments {
  readonly device?: string;
  readonly 'node-name'?: string;
  readonly size: number;
}

export interface BlockStats {
  readonly device?: string;
  readonly qdev?: string;
  readonly 'node-name'?: string;
  readonly stats: BlockDeviceStats;
  readonly 'driver-specific'?: QueryBlockstatsReturnsDriverSpecific;
  readonly parent?: BlockStats;
  readonly backing?: BlockStats;
}

export interface BlockStreamArguments {
  readonly 'job-id'?: string;
  readonly device: string;
  readonly base?: string;
  readonly 'base-node'?: string;
  readonly 'backing-file'?: string;
  readonly bottom?: string;
  readonly speed?: number;
  readonly 'on-error'?: BlockdevOnError;
  readonly 'filter-node-name'?: string;
  readonly 'auto-finalize'?: boolean;
  readonly 'auto-dismiss'?: boolean;
}

export interface BlockdevAddBlkdebugInjectError {
  readonly event: BlockdevAddBlkdebugInjectErrorEvent;
  readonly state?: number;
  readonly iotype?: BlockdevAddBlkdebugInjectErrorIotype;
  readonly errno?: number;
  readonly sector?: number;
  readonly once?: boolean;
  readonly immediately?: boolean;
}

export type BlockdevAddBlkdebugInjectErrorEvent =
  | 'l1_update'
  | 'l1_grow_alloc_table'
  | 'l1_grow_write_table'
  | 'l1_grow_activate_table'
  | 'l2_load'
  | 'l2_update'
  | 'l2_update_compressed'
  | 'l2_alloc_cow_read'
  | 'l2_alloc_write'
  | 'read_aio'
  | 'read_backing_aio'
  | 'read_compressed'
  | 'write_aio'
  | 'write_compressed'
  | 'vmstate_load'
  | 'vmstate_save'
  | 'cow_read'
  | 'cow_write'
  | 'reftable_load'
  | 'reftable_grow'
  | 'reftable_update'
  | 'refblock_load'
  | 'refblock_update'
  | 'refblock_update_part'
  | 'refblock_alloc'
  | 'refblock_alloc_hookup'
  | 'refblock_alloc_write'
  | 'refblock_alloc_write_blocks'
  | 'refblock_alloc_write_table'
  | 'refblock_alloc_switch_table'
  | 'cluster_alloc'
  | 'cluster_alloc_bytes'
  | 'cluster_free'
  | 'flush_to_os'
  | 'flush_to_disk'
  | 'pwritev_rmw_head'
  | 'pwritev_rmw_after_head'
  | 'pwritev_rmw_tail'
  | 'pwritev_rmw_after_tail'
  | 'pwritev'
  | 'pwritev_zero'
  | 'pwritev_done'
  | 'empty_image_prepare'
  | 'l1_shrink_write_table'
  | 'l1_shrink_free_l2_clusters'
  | 'cor_write'
  | 'cluster_alloc_space'
  | 'none';

export type BlockdevAddBlkdebugInjectErrorIotype =
  | 'read'
  | 'write'
  | 'write-zeroes'
  | 'discard'
  | 'flush'
  | 'block-status';

export interface BlockdevAddBlkdebugSetState {
  readonly event: BlockdevAddBlkdebugInjectErrorEvent;
  readonly state?: number;
  readonly new_state: number;
}

export type BlockdevAddBlkdebugTakeChildPerms = 'consistent-read' | 'write' | 'write-unchanged' | 'resize';

export type BlockdevAddFileAio = 'threads' | 'native' | 'io_uring';

export type BlockdevAddFileLocking = 'auto' | 'on' | 'off';

export type BlockdevAddQcow2Encrypt = BlockdevAddQcow2EncryptAes | BlockdevAddQcow2EncryptLuks;

export interface BlockdevAddQcow2EncryptAes {
  readonly format: 'aes';
  readonly 'key-secret'?: string;
}

export interface BlockdevAddQcow2EncryptLuks {
  readonly format: 'luks';
  readonly 'key-secret'?: string;
}

export type BlockdevAddQcow2OverlapCheck =
  | BlockdevAddQcow2OverlapCheckForm0
  | BlockdevAddQcow2OverlapCheckForm0Template;

export interface BlockdevAddQcow2OverlapCheckForm0 {
  readonly template?: BlockdevAddQcow2OverlapCheckForm0Template;
  readonly 'main-header'?: boolean;
  readonly 'active-l1'?: boolean;
  readonly 'active-l2'?: boolean;
  readonly 'refcount-table'?: boolean;
  readonly 'refcount-block'?: boolean;
  readonly 'snapshot-table'?: boolean;
  readonly 'inactive-l1'?: boolean;
  readonly 'inactive-l2'?: boolean;
  readonly 'bitmap-directory'?: boolean;
}

export type BlockdevAddQcow2OverlapCheckForm0Template = 'none' | 'constant' | 'cached' | 'all';

export interface BlockdevBackupArguments {
  readonly 'job-id'?: string;
  readonly device: string;
  readonly sync: MirrorSyncMode;
  readonly speed?: number;
  readonly bitmap?: string;
  readonly 'bitmap-mode'?: BlockdevBackupBitmapMode;
  readonly compress?: boolean;
  readonly 'on-source-error'?: BlockdevOnError;
  readonly 'on-target-error'?: BlockdevOnError;
  readonly 'auto-finalize'?: boolean;
  readonly 'auto-dismiss'?: boolean;
  readonly 'filter-node-name'?: string;
  readonly 'x-perf'?: BlockdevBackupXPerf;
  readonly target: string;
}

export type BlockdevBackupBitmapMode = 'on-success' | 'never' | 'always';

export interface BlockdevBackupXPerf {
  readonly 'use-copy-range'?: boolean;
  readonly 'max-workers'?: number;
  readonly 'max-chunk'?: number;
}

export interface BlockdevCacheOptions {
  readonly direct?: boolean;
  readonly 'no-flush'?: boolean;
}

export interface BlockdevCreateArguments {
  readonly 'job-id': string;
  readonly options: BlockdevCreateOptions;
}

export type BlockdevCreateOptions =
  | BlockdevCreateOptionsFile
  | BlockdevCreateOptionsLuks
  | BlockdevCreateOptionsQcow2
  | BlockdevCreateOptionsQed
  | BlockdevCreateOptionsVdi
  | BlockdevCreateOptionsVmdk;

export interface BlockdevCreateOptionsFile {
  readonly driver: 'file';
  readonly filename: string;
  readonly size: number;
  readonly preallocation?: BlockdevCreateOptionsFilePreallocation;
  readonly nocow?: boolean;
  readonly 'extent-size-hint'?: number;
}

export interface BlockdevCreateOptionsLuks {
  readonly driver: 'luks';
  readonly 'key-secret'?: string;
  readonly 'cipher-alg'?: BlockdevCreateOptionsLuksCipherAlg;
  readonly 'cipher-mode'?: BlockdevCreateOptionsLuksCipherMode;
  readonly 'ivgen-alg'?: BlockdevCreateOptionsLuksIvgenAlg;
  readonly 'ivgen-hash-alg'?: BlockdevCreateOptionsLuksIvgenHashAlg;
  readonly 'hash-alg'?: BlockdevCreateOptionsLuksIvgenHashAlg;
  readonly 'iter-time'?: number;
  readonly file: BlockdevRef;
  readonly size: number;
  readonly preallocation?: BlockdevCreateOptionsFilePreallocation;
}

export interface BlockdevCreateOptionsQcow2 {
  readonly driver: 'qcow2';
  readonly file: BlockdevRef;
  readonly 'data-file'?: BlockdevRef;
  readonly 'data-file-raw'?: boolean;
  readonly 'extended-l2'?: boolean;
  readonly size: number;
  readonly version?: BlockdevCreateOptionsQcow2Version;
  readonly 'backing-file'?: string;
  readonly 'backing-fmt'?: BlockdevCreateOptionsQcow2BackingFmt;
  readonly encrypt?: BlockdevCreateOptionsQcow2Encrypt;
  readonly 'cluster-size'?: number;
  readonly preallocation?: BlockdevCreateOptionsFilePreallocation;
  readonly 'lazy-refcounts'?: boolean;
  readonly 'refcount-bits'?: number;
  readonly 'compression-type'?: BlockdevCreateOptionsQcow2CompressionType;
}

export interface BlockdevCreateOptionsQed {
  readonly driver: 'qed';
  readonly file: BlockdevRef;
  readonly size: number;
  readonly 'backing-file'?: string;
  readonly 'backing-fmt'?: BlockdevCreateOptionsQcow2BackingFmt;
  readonly 'cluster-size'?: number;
  readonly 'table-size'?: number;
}

export interface BlockdevCreateOptionsVdi {
  readonly driver: 'vdi';
  readonly file: BlockdevRef;
  readonly size: number;
  readonly preallocation?: BlockdevCreateOptionsFilePreallocation;
}

export interface BlockdevCreateOptionsVmdk {
  readonly driver: 'vmdk';
  readonly file: BlockdevRef;
  readonly size: number;
  readonly extents?: readonly BlockdevRef[];
  readonly subformat?: BlockdevCreateOptionsVmdkSubformat;
  readonly 'backing-file'?: string;
  readonly 'adapter-type'?: BlockdevCreateOptionsVmdkAdapterType;
  readonly hwversion?: string;
  readonly toolsversion?: string;
  readonly 'zeroed-grain'?: boolean;
}

export type BlockdevCreateOptionsFilePreallocation = 'off' | 'metadata' | 'falloc' | 'full';

export type BlockdevCreateOptionsLuksCipherAlg =
  | 'aes-128'
  | 'aes-192'
  | 'aes-256'
  | 'des'
  | '3des'
  | 'cast5-128'
  | 'serpent-128'
  | 'serpent-192'
  | 'serpent-256'
  | 'twofish-128'
  | 'twofish-192'
  | 'twofish-256';

export type BlockdevCreateOptionsLuksCipherMode = 'ecb' | 'cbc' | 'xts' | 'ctr';

export type BlockdevCreateOptionsLuksIvgenAlg = 'plain' | 'plain64' | 'essiv';

export type BlockdevCreateOptionsLuksIvgenHashAlg =
  | 'md5'
  | 'sha1'
  | 'sha224'
  | 'sha256'
  | 'sha384'
  | 'sha512'
  | 'ripemd160';

export type BlockdevCreateOptionsQcow2BackingFmt =
  | 'blkdebug'
  | 'blklogwrites'
  | 'blkreplay'
  | 'blkverify'
  | 'bochs'
  | 'cloop'
  | 'compress'
  | 'copy-before-write'
  | 'copy-on-read'
  | 'dmg'
  | 'file'
  | 'snapshot-access'
  | 'ftp'
  | 'ftps'
  | 'gluster'
  | 'host_cdrom'
  | 'host_device'
  | 'http'
  | 'https'
  | 'iscsi'
  | 'luks'
  | 'nbd'
  | 'nfs'
  | 'null-aio'
  | 'null-co'
  | 'nvme'
  | 'parallels'
  | 'preallocate'
  | 'qcow'
  | 'qcow2'
  | 'qed'
  | 'quorum'
  | 'raw'
  | 'rbd'
  | 'replication'
  | 'ssh'
  | 'throttle'
  | 'vdi'
  | 'vhdx'
  | 'vmdk'
  | 'vpc'
  | 'vvfat';

export type BlockdevCreateOptionsQcow2CompressionType = 'zlib' | 'zstd';

export type BlockdevCreateOptionsQcow2Encrypt =
  | BlockdevCreateOptionsQcow2EncryptQcow
  | BlockdevCreateOptionsQcow2EncryptLuks;

export interface BlockdevCreateOptionsQcow2EncryptQcow {
  readonly format: 'qcow';
  readonly 'key-secret'?: string;
}

export interface BlockdevCreateOptionsQcow2EncryptLuks {
  readonly format: 'luks';
  readonly 'key-secret'?: string;
  readonly 'cipher-alg'?: BlockdevCreateOptionsLuksCipherAlg;
  readonly 'cipher-mode'?: BlockdevCreateOptionsLuksCipherMode;
  readonly 'ivgen-alg'?: BlockdevCreateOptionsLuksIvgenAlg;
  readonly 'ivgen-hash-alg'?: BlockdevCreateOptionsLuksIvgenHashAlg;
  readonly 'hash-alg'?: BlockdevCreateOptionsLuksIvgenHashAlg;
  readonly 'iter-time'?: number;
}

export type BlockdevCreateOptionsQcow2Version = 'v2' | 'v3';

export type BlockdevCreateOptionsVmdkAdapterType = 'ide' | 'buslogic' | 'lsilogic' | 'legacyESX';

export type BlockdevCreateOptionsVmdkSubformat =
  | 'monolithicSparse'
  | 'monolithicFlat'
  | 'twoGbMaxExtentSparse'
  | 'twoGbMaxExtentFlat'
  | 'streamOptimized';

export interface BlockdevDelArguments {
  readonly 'node-name': string;
}

export type BlockdevDetectZeroesOptions = 'off' | 'on' | 'unmap';

export type BlockdevDiscardOptions = 'ignore' | 'unmap';

export interface BlockdevMirrorArguments {
  readonly 'job-id'?: string;
  readonly device: string;
  readonly target: string;
  readonly replaces?: string;
  readonly sync: MirrorSyncMode;
  readonly speed?: number;
  readonly granularity?: number;
  readonly 'buf-size'?: number;
  readonly 'on-source-error'?: BlockdevOnError;
  readonly 'on-target-error'?: BlockdevOnError;
  readonly 'filter-node-name'?: string;
  readonly 'copy-mode'?: MirrorCopyMode;
  readonly 'auto-finalize'?: boolean;
  readonly 'auto-dismiss'?: boolean;
}

export type BlockdevOnError = 'report' | 'ignore' | 'enospc' | 'stop' | 'auto';

export type BlockdevOptions =
  | BlockdevOptionsBlkdebug
  | BlockdevOptionsCopyOnRead
  | BlockdevOptionsFile
  | BlockdevOptionsHostDevice
  | BlockdevOptionsLuks
  | BlockdevOptionsNbd
  | BlockdevOptionsNullCo
  | BlockdevOptionsQcow2
  | BlockdevOptionsQed
  | BlockdevOptionsRaw
  | BlockdevOptionsThrottle
  | BlockdevOptionsVdi
  | BlockdevOptionsVmdk;

export interface BlockdevOptionsBase {
  readonly 'node-name'?: string;
  readonly discard?: BlockdevDiscardOptions;
  readonly cache?: BlockdevCacheOptions;
  readonly 'read-only'?: boolean;
  readonly 'auto-read-only'?: boolean;
  readonly 'force-share'?: boolean;
  readonly 'detect-zeroes'?: BlockdevDetectZeroesOptions;
}

export interface BlockdevOptionsBlkdebug extends BlockdevOptionsBase {
  readonly driver: 'blkdebug';
  readonly image: BlockdevRef;
  readonly config?: string;
  readonly align?: number;
  readonly 'max-transfer'?: number;
  readonly 'opt-write-zero'?: number;
  readonly 'max-write-zero'?: number;
  readonly 'opt-discard'?: number;
  readonly 'max-discard'?: number;
  readonly 'inject-error'?: readonly BlockdevAddBlkdebugInjectError[];
  readonly 'set-state'?: readonly BlockdevAddBlkdebugSetState[];
  readonly 'take-child-perms'?: readonly BlockdevAddBlkdebugTakeChildPerms[];
  readonly 'unshare-child-perms'?: readonly BlockdevAddBlkdebugTakeChildPerms[];
}

export interface BlockdevOptionsCopyOnRead extends BlockdevOptionsBase {
  readonly driver: 'copy-on-read';
  readonly file: BlockdevRef;
  readonly bottom?: string;
}

export interface BlockdevOptionsFile extends BlockdevOptionsBase {
  readonly driver: 'file';
  readonly filename: string;
  readonly 'pr-manager'?: string;
  readonly locking?: BlockdevAddFileLocking;
  readonly aio?: BlockdevAddFileAio;
  readonly 'aio-max-batch'?: number;
  readonly 'drop-cache'?: boolean;
  readonly 'x-check-cache-dropped'?: boolean;
}

export interface BlockdevOptionsHostDevice extends BlockdevOptionsBase {
  readonly driver: 'host_device';
  readonly filename: string;
  readonly 'pr-manager'?: string;
  readonly locking?: BlockdevAddFileLocking;
  readonly aio?: BlockdevAddFileAio;
  readonly 'aio-max-batch'?: number;
  readonly 'drop-cache'?: boolean;
  readonly 'x-check-cache-dropped'?: boolean;
}

export interface BlockdevOptionsLuks extends BlockdevOptionsBase {
  readonly driver: 'luks';
  readonly file: BlockdevRef;
  readonly 'key-secret'?: string;
}

export interface BlockdevOptionsNbd extends BlockdevOptionsBase {
  readonly driver: 'nbd';
  readonly server: BlockExportAddVhostUserBlkAddr;
  readonly export?: string;
  readonly 'tls-creds'?: string;
  readonly 'tls-hostname'?: string;
  readonly 'x-dirty-bitmap'?: string;
  readonly 'reconnect-delay'?: number;
  readonly 'open-timeout'?: number;
}

export interface BlockdevOptionsNullCo extends BlockdevOptionsBase {
  readonly driver: 'null-co';
  readonly size?: number;
  readonly 'latency-ns'?: number;
  readonly 'read-zeroes'?: boolean;
}

export interface BlockdevOptionsQcow2 extends BlockdevOptionsBase {
  readonly driver: 'qcow2';
  readonly file: BlockdevRef;
  readonly backing?: BlockdevRefOrNull;
  readonly 'lazy-refcounts'?: boolean;
  readonly 'pass-discard-request'?: boolean;
  readonly 'pass-discard-snapshot'?: boolean;
  readonly 'pass-discard-other'?: boolean;
  readonly 'overlap-check'?: BlockdevAddQcow2OverlapCheck;
  readonly 'cache-size'?: number;
  readonly 'l2-cache-size'?: number;
  readonly 'l2-cache-entry-size'?: number;
  readonly 'refcount-cache-size'?: number;
  readonly 'cache-clean-interval'?: number;
  readonly encrypt?: BlockdevAddQcow2Encrypt;
  readonly 'data-file'?: BlockdevRef;
}

export interface BlockdevOptionsQed extends BlockdevOptionsBase {
  readonly driver: 'qed';
  readonly file: BlockdevRef;
  readonly backing?: BlockdevRefOrNull;
}

export interface BlockdevOptionsRaw extends BlockdevOptionsBase {
  readonly driver: 'raw';
  readonly file: BlockdevRef;
  readonly offset?: number;
  readonly size?: number;
}

export interface BlockdevOptionsThrottle extends BlockdevOptionsBase {
  readonly driver: 'throttle';
  readonly 'throttle-group': string;
  readonly file: BlockdevRef;
}

export interface BlockdevOptionsVdi extends BlockdevOptionsBase {
  readonly driver: 'vdi';
  readonly file: BlockdevRef;
}

export interface BlockdevOptionsVmdk extends BlockdevOptionsBase {
  readonly driver: 'vmdk';
  readonly file: BlockdevRef;
  readonly backing?: BlockdevRefOrNull;
}

export type BlockdevRef = BlockdevOptions | string;

export type BlockdevRefOrNull = BlockdevOptions | string | null;

export interface BlockdevReopenArguments {
  readonly options: readonly BlockdevOptions[];
}

export interface BlockdevSnapshotArguments {
  readonly node: string;
  readonly overlay: string;
}

export interface BlockdevSnapshotDeleteInternalSyncArguments {
  readonly device: string;
  readonly id?: string;
  readonly name?: string;
}

export interface BlockdevSnapshotDeleteInternalSyncReturns {
  readonly id: string;
  readonly name: string;
  readonly 'vm-state-size': number;
  readonly 'date-sec': number;
  readonly 'date-nsec': number;
  readonly 'vm-clock-sec': number;
  readonly 'vm-clock-nsec': number;
  readonly icount?: number;
}

export interface BlockdevSnapshotInternalSyncArguments {
  readonly device: string;
  readonly name: string;
}

export interface BlockdevSnapshotSyncArguments {
  readonly device?: string;
  readonly 'node-name'?: string;
  readonly 'snapshot-file': string;
  readonly 'snapshot-node-name'?: string;
  readonly format?: string;
  readonly mode?: NewImageMode;
}

export interface ChangeBackingFileArguments {
  readonly device: string;
  readonly 'image-node-name': string;
  readonly 'backing-file': string;
}

export interface DeviceDelArguments {
  readonly id: string;
}

export interface DeviceDeletedEvent {
  readonly device?: string;
  readonly path: string;
}

export interface DriveMirrorArguments {
  readonly 'job-id'?: string;
  readonly device: string;
  readonly target: string;
  readonly format?: string;
  readonly 'node-name'?: string;
  readonly replaces?: string;
  readonly sync: MirrorSyncMode;
  readonly mode?: NewImageMode;
  readonly speed?: number;
  readonly granularity?: number;
  readonly 'buf-size'?: number;
  readonly 'on-source-error'?: BlockdevOnError;
  readonly 'on-target-error'?: BlockdevOnError;
  readonly unmap?: boolean;
  readonly 'copy-mode'?: MirrorCopyMode;
  readonly 'auto-finalize'?: boolean;
  readonly 'auto-dismiss'?: boolean;
}

export interface HumanMonitorCommandArguments {
  readonly 'command-line': string;
  readonly 'cpu-index'?: number;
}

export interface ImageInfo {
  readonly filename: string;
  readonly format: string;
  readonly 'dirty-flag'?: boolean;
  readonly 'actual-size'?: number;
  readonly 'virtual-size': number;
  readonly 'cluster-size'?: number;
  readonly encrypted?: boolean;
  readonly compressed?: boolean;
  readonly 'backing-filename'?: string;
  readonly 'full-backing-filename'?: string;
  readonly 'backing-filename-format'?: string;
  readonly snapshots?: readonly BlockdevSnapshotDeleteInternalSyncReturns[];
  readonly 'backing-image'?: ImageInfo;
  readonly 'format-specific'?: QueryBlockReturnsInsertedImageFormatSpecific;
}

export interface JobCancelArguments {
  readonly id: string;
}

export interface JobCompleteArguments {
  readonly id: string;
}

export interface JobDismissArguments {
  readonly id: string;
}

export interface JobFinalizeArguments {
  readonly id: string;
}

export interface JobInfo {
  readonly id: string;
  readonly type: JobType;
  readonly status: JobStatus;
  readonly 'current-progress': number;
  readonly 'total-progress': number;
  readonly error?: string;
}

export interface JobPauseArguments {
  readonly id: string;
}

export interface JobResumeArguments {
  readonly id: string;
}

export type JobStatus =
  | 'undefined'
  | 'created'
  | 'running'
  | 'paused'
  | 'ready'
  | 'standby'
  | 'waiting'
  | 'pending'
  | 'aborting'
  | 'concluded'
  | 'null';

export interface JobStatusChangeEvent {
  readonly id: string;
  readonly status: JobStatus;
}

export type JobType =
  | 'commit'
  | 'stream'
  | 'mirror'
  | 'backup'
  | 'create'
  | 'amend'
  | 'snapshot-load'
  | 'snapshot-save'
  | 'snapshot-delete';

export interface MigrationEvent {
  readonly status: MigrationStatus;
}

export interface MigrationInfo {
  readonly status?: MigrationStatus;
  readonly ram?: QueryMigrateReturnsRam;
  readonly disk?: QueryMigrateReturnsRam;
  readonly vfio?: QueryMigrateReturnsVfio;
  readonly 'xbzrle-cache'?: QueryMigrateReturnsXbzrleCache;
  readonly 'total-time'?: number;
  readonly 'expected-downtime'?: number;
  readonly downtime?: number;
  readonly 'setup-time'?: number;
  readonly 'cpu-throttle-percentage'?: number;
  readonly 'error-desc'?: string;
  readonly 'blocked-reasons'?: readonly string[];
  readonly 'postcopy-blocktime'?: number;
  readonly 'postcopy-vcpu-blocktime'?: readonly number[];
  readonly compression?: QueryMigrateReturnsCompression;
  readonly 'socket-address'?: readonly BlockExportAddVhostUserBlkAddr[];
}

export type MigrationStatus =
  | 'none'
  | 'setup'
  | 'cancelling'
  | 'cancelled'
  | 'active'
  | 'postcopy-active'
  | 'postcopy-paused'
  | 'postcopy-recover'
  | 'completed'
  | 'failed'
  | 'colo'
  | 'pre-switchover'
  | 'device'
  | 'wait-unplug';

export type MirrorCopyMode = 'background' | 'write-blocking';

export type MirrorSyncMode = 'top' | 'full' | 'none' | 'incremental' | 'bitmap';

export interface NbdServerAddArguments {
  readonly name?: string;
  readonly description?: string;
  readonly device: string;
  readonly writable?: boolean;
  readonly bitmap?: string;
}

export interface NbdServerRemoveArguments {
  readonly name: string;
  readonly mode?: BlockExportDelMode;
}

export type NbdServerStartAddr =
  | NbdServerStartAddrInet
  | NbdServerStartAddrUnix
  | NbdServerStartAddrVsock
  | NbdServerStartAddrFd;

export interface NbdServerStartAddrInet {
  readonly type: 'inet';
  readonly data: NbdServerStartAddrInetData;
}

export interface NbdServerStartAddrUnix {
  readonly type: 'unix';
  readonly data: NbdServerStartAddrUnixData;
}

export interface NbdServerStartAddrVsock {
  readonly type: 'vsock';
  readonly data: NbdServerStartAddrVsockData;
}

export interface NbdServerStartAddrFd {
  readonly type: 'fd';
  readonly data: NbdServerStartAddrFdData;
}

export interface NbdServerStartAddrFdData {
  readonly str: string;
}

export interface NbdServerStartAddrInetData {
  readonly host: string;
  readonly port: string;
  readonly numeric?: boolean;
  readonly to?: number;
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
  readonly 'keep-alive'?: boolean;
  readonly mptcp?: boolean;
}

export interface NbdServerStartAddrUnixData {
  readonly path: string;
  readonly abstract?: boolean;
  readonly tight?: boolean;
}

export interface NbdServerStartAddrVsockData {
  readonly cid: string;
  readonly port: string;
}

export interface NbdServerStartArguments {
  readonly addr: NbdServerStartAddr;
  readonly 'tls-creds'?: string;
  readonly 'tls-authz'?: string;
  readonly 'max-connections'?: number;
}

export type NewImageMode = 'existing' | 'absolute-paths';

export interface ObjectAddThrottleGroupLimits {
  readonly 'iops-total'?: number;
  readonly 'iops-total-max'?: number;
  readonly 'iops-total-max-length'?: number;
  readonly 'iops-read'?: number;
  readonly 'iops-read-max'?: number;
  readonly 'iops-read-max-length'?: number;
  readonly 'iops-write'?: number;
  readonly 'iops-write-max'?: number;
  readonly 'iops-write-max-length'?: number;
  readonly 'bps-total'?: number;
  readonly 'bps-total-max'?: number;
  readonly 'bps-total-max-length'?: number;
  readonly 'bps-read'?: number;
  readonly 'bps-read-max'?: number;
  readonly 'bps-read-max-length'?: number;
  readonly 'bps-write'?: number;
  readonly 'bps-write-max'?: number;
  readonly 'bps-write-max-length'?: number;
  readonly 'iops-size'?: number;
}

export interface ObjectDelArguments {
  readonly id: string;
}

export type ObjectOptions = ObjectOptionsThrottleGroup;

export interface ObjectOptionsBase {
  readonly id: string;
}

export interface ObjectOptionsThrottleGroup extends ObjectOptionsBase {
  readonly 'qom-type': 'throttle-group';
  readonly limits?: ObjectAddThrottleGroupLimits;
  readonly 'x-iops-total'?: number;
  readonly 'x-iops-total-max'?: number;
  readonly 'x-iops-total-max-length'?: number;
  readonly 'x-iops-read'?: number;
  readonly 'x-iops-read-max'?: number;
  readonly 'x-iops-read-max-length'?: number;
  readonly 'x-iops-write'?: number;
  readonly 'x-iops-write-max'?: number;
  readonly 'x-iops-write-max-length'?: number;
  readonly 'x-bps-total'?: number;
  readonly 'x-bps-total-max'?: number;
  readonly 'x-bps-total-max-length'?: number;
  readonly 'x-bps-read'?: number;
  readonly 'x-bps-read-max'?: number;
  readonly 'x-bps-read-max-length'?: number;
  readonly 'x-bps-write'?: number;
  readonly 'x-bps-write-max'?: number;
  readonly 'x-bps-write-max-length'?: number;
  readonly 'x-iops-size'?: number;
}

export interface ObjectPropertyInfo {
  readonly name: string;
  readonly type: string;
  readonly description?: string;
  readonly 'default-value'?: Json;
}

export interface QmpCapabilitiesArguments {
  readonly enable?: readonly QmpCapabilitiesEnable[];
}

export type QmpCapabilitiesEnable = 'oob';

export interface QomGetArguments {
  readonly path: string;
  readonly property: string;
}

export interface QomListArguments {
  readonly path: string;
}

export interface QomListTypesArguments {
  readonly implements?: string;
  readonly abstract?: boolean;
}

export interface QomListTypesReturns {
  readonly name: string;
  readonly abstract?: boolean;
  readonly parent?: string;
}

export interface QomSetArguments {
  readonly path: string;
  readonly property: string;
  readonly value: Json;
}

export type QueryBlockExportsReturnsType = 'nbd' | 'vhost-user-blk' | 'fuse' | 'vduse-blk';

export interface QueryBlockReturnsInsertedCache {
  readonly writeback: boolean;
  readonly direct: boolean;
  readonly 'no-flush': boolean;
}

export type QueryBlockReturnsInsertedImageFormatSpecific =
  | QueryBlockReturnsInsertedImageFormatSpecificQcow2
  | QueryBlockReturnsInsertedImageFormatSpecificVmdk
  | QueryBlockReturnsInsertedImageFormatSpecificLuks
  | QueryBlockReturnsInsertedImageFormatSpecificRbd;

export interface QueryBlockReturnsInsertedImageFormatSpecificQcow2 {
  readonly type: 'qcow2';
  readonly data: QueryBlockReturnsInsertedImageFormatSpecificQcow2Data;
}

export interface QueryBlockReturnsInsertedImageFormatSpecificVmdk {
  readonly type: 'vmdk';
  readonly data: QueryBlockReturnsInsertedImageFormatSpecificVmdkData;
}

export interface QueryBlockReturnsInsertedImageFormatSpecificLuks {
  readonly type: 'luks';
  readonly data: QueryBlockReturnsInsertedImageFormatSpecificLuksData;
}

export interface QueryBlockReturnsInsertedImageFormatSpecificRbd {
  readonly type: 'rbd';
  readonly data: QueryBlockReturnsInsertedImageFormatSpecificRbdData;
}

export interface QueryBlockReturnsInsertedImageFormatSpecificLuksData {
  readonly 'cipher-alg': BlockdevCreateOptionsLuksCipherAlg;
  readonly 'cipher-mode': BlockdevCreateOptionsLuksCipherMode;
  readonly 'ivgen-alg': BlockdevCreateOptionsLuksIvgenAlg;
  readonly 'ivgen-hash-alg'?: BlockdevCreateOptionsLuksIvgenHashAlg;
  readonly 'hash-alg': BlockdevCreateOptionsLuksIvgenHashAlg;
  readonly 'payload-offset': number;
  readonly 'master-key-iters': number;
  readonly uuid: string;
  readonly slots: readonly QueryBlockReturnsInsertedImageFormatSpecificQcow2DataEncryptLuksSlots[];
}

export interface QueryBlockReturnsInsertedImageFormatSpecificQcow2Data {
  readonly compat: string;
  readonly 'data-file'?: string;
  readonly 'data-file-raw'?: boolean;
  readonly 'extended-l2'?: boolean;
  readonly 'lazy-refcounts'?: boolean;
  readonly corrupt?: boolean;
  readonly 'refcount-bits': number;
  readonly encrypt?: QueryBlockReturnsInsertedImageFormatSpecificQcow2DataEncrypt;
  readonly bitmaps?: readonly QueryBlockReturnsInsertedImageFormatSpecificQcow2DataBitmaps[];
  readonly 'compression-type': BlockdevCreateOptionsQcow2CompressionType;
}

export interface QueryBlockReturnsInsertedImageFormatSpecificQcow2DataBitmaps {
  readonly name: string;
  readonly granularity: number;
  readonly flags: readonly QueryBlockReturnsInsertedImageFormatSpecificQcow2DataBitmapsFlags[];
}

export type QueryBlockReturnsInsertedImageFormatSpecificQcow2DataBitmapsFlags = 'in-use' | 'auto';

export type QueryBlockReturnsInsertedImageFormatSpecificQcow2DataEncrypt =
  | QueryBlockReturnsInsertedImageFormatSpecificQcow2DataEncryptLuks
  | QueryBlockReturnsInsertedImageFormatSpecificQcow2DataEncryptAes;

export interface QueryBlockReturnsInsertedImageFormatSpecificQcow2DataEncryptLuks {
  readonly format: 'luks';
  readonly 'cipher-alg': BlockdevCreateOptionsLuksCipherAlg;
  readonly 'cipher-mode': BlockdevCreateOptionsLuksCipherMode;
  readonly 'ivgen-alg': BlockdevCreateOptionsLuksIvgenAlg;
  readonly 'ivgen-hash-alg'?: BlockdevCreateOptionsLuksIvgenHashAlg;
  readonly 'hash-alg': BlockdevCreateOptionsLuksIvgenHashAlg;
  readonly 'payload-offset': number;
  readonly 'master-key-iters': number;
  readonly uuid: string;
  readonly slots: readonly QueryBlockReturnsInsertedImageFormatSpecificQcow2DataEncryptLuksSlots[];
}

export interface QueryBlockReturnsInsertedImageFormatSpecificQcow2DataEncryptAes {
  readonly format: 'aes';
}

export interface QueryBlockReturnsInsertedImageFormatSpecificQcow2DataEncryptLuksSlots {
  readonly active: boolean;
  readonly iters?: number;
  readonly stripes?: number;
  readonly 'key-offset': number;
}

export interface QueryBlockReturnsInsertedImageFormatSpecificRbdData {
  readonly 'encryption-format'?: QueryBlockReturnsInsertedImageFormatSpecificRbdDataEncryptionFormat;
}

export type QueryBlockReturnsInsertedImageFormatSpecificRbdDataEncryptionFormat = 'luks' | 'luks2';

export interface QueryBlockReturnsInsertedImageFormatSpecificVmdkData {
  readonly 'create-type': string;
  readonly cid: number;
  readonly 'parent-cid': number;
  readonly extents: readonly ImageInfo[];
}

export type QueryBlockReturnsIoStatus = 'ok' | 'failed' | 'nospace';

export interface QueryBlockstatsArguments {
  readonly 'query-nodes'?: boolean;
}

export type QueryBlockstatsReturnsDriverSpecific =
  | QueryBlockstatsReturnsDriverSpecificFile
  | QueryBlockstatsReturnsDriverSpecificHostDevice
  | QueryBlockstatsReturnsDriverSpecificNvme
  | QueryBlockstatsReturnsDriverSpecificBlkdebug
  | QueryBlockstatsReturnsDriverSpecificBlklogwrites
  | QueryBlockstatsReturnsDriverSpecificBlkreplay
  | QueryBlockstatsReturnsDriverSpecificBlkverify
  | QueryBlockstatsReturnsDriverSpecificBochs
  | QueryBlockstatsReturnsDriverSpecificCloop
  | QueryBlockstatsReturnsDriverSpecificCompress
  | QueryBlockstatsReturnsDriverSpecificCopyBeforeWrite
  | QueryBlockstatsReturnsDriverSpecificCopyOnRead
  | QueryBlockstatsReturnsDriverSpecificDmg
  | QueryBlockstatsReturnsDriverSpecificSnapshotAccess
  | QueryBlockstatsReturnsDriverSpecificFtp
  | QueryBlockstatsReturnsDriverSpecificFtps
  | QueryBlockstatsReturnsDriverSpecificGluster
  | QueryBlockstatsReturnsDriverSpecificHostCdrom
  | QueryBlockstatsReturnsDriverSpecificHttp
  | QueryBlockstatsReturnsDriverSpecificHttps
  | QueryBlockstatsReturnsDriverSpecificIscsi
  | QueryBlockstatsReturnsDriverSpecificLuks
  | QueryBlockstatsReturnsDriverSpecificNbd
  | QueryBlockstatsReturnsDriverSpecificNfs
  | QueryBlockstatsReturnsDriverSpecificNullAio
  | QueryBlockstatsReturnsDriverSpecificNullCo
  | QueryBlockstatsReturnsDriverSpecificParallels
  | QueryBlockstatsReturnsDriverSpecificPreallocate
  | QueryBlockstatsReturnsDriverSpecificQcow
  | QueryBlockstatsReturnsDriverSpecificQcow2
  | QueryBlockstatsReturnsDriverSpecificQed
  | QueryBlockstatsReturnsDriverSpecificQuorum
  | QueryBlockstatsReturnsDriverSpecificRaw
  | QueryBlockstatsReturnsDriverSpecificRbd
  | QueryBlockstatsReturnsDriverSpecificReplication
  | QueryBlockstatsReturnsDriverSpecificSsh
  | QueryBlockstatsReturnsDriverSpecificThrottle
  | QueryBlockstatsReturnsDriverSpecificVdi
  | QueryBlockstatsReturnsDriverSpecificVhdx
  | QueryBlockstatsReturnsDriverSpecificVmdk
  | QueryBlockstatsReturnsDriverSpecificVpc
  | QueryBlockstatsReturnsDriverSpecificVvfat;

export interface QueryBlockstatsReturnsDriverSpecificFile {
  readonly driver: 'file';
  readonly 'discard-nb-ok': number;
  readonly 'discard-nb-failed': number;
  readonly 'discard-bytes-ok': number;
}

export interface QueryBlockstatsReturnsDriverSpecificHostDevice {
  readonly driver: 'host_device';
  readonly 'discard-nb-ok': number;
  readonly 'discard-nb-failed': number;
  readonly 'discard-bytes-ok': number;
}

export interface QueryBlockstatsReturnsDriverSpecificNvme {
  readonly driver: 'nvme';
  readonly 'completion-errors': number;
  readonly 'aligned-accesses': number;
  readonly 'unaligned-accesses': number;
}

export interface QueryBlockstatsReturnsDriverSpecificBlkdebug {
  readonly driver: 'blkdebug';
}

export interface QueryBlockstatsReturnsDriverSpecificBlklogwrites {
  readonly driver: 'blklogwrites';
}

export interface QueryBlockstatsReturnsDriverSpecificBlkreplay {
  readonly driver: 'blkreplay';
}

export interface QueryBlockstatsReturnsDriverSpecificBlkverify {
  readonly driver: 'blkverify';
}

export interface QueryBlockstatsReturnsDriverSpecificBochs {
  readonly driver: 'bochs';
}

export interface QueryBlockstatsReturnsDriverSpecificCloop {
  readonly driver: 'cloop';
}

export interface QueryBlockstatsReturnsDriverSpecificCompress {
  readonly driver: 'compress';
}

export interface QueryBlockstatsReturnsDriverSpecificCopyBeforeWrite {
  readonly driver: 'copy-before-write';
}

export interface QueryBlockstatsReturnsDriverSpecificCopyOnRead {
  readonly driver: 'copy-on-read';
}

export interface QueryBlockstatsReturnsDriverSpecificDmg {
  readonly driver: 'dmg';
}

export interface QueryBlockstatsReturnsDriverSpecificSnapshotAccess {
  readonly driver: 'snapshot-access';
}

export interface QueryBlockstatsReturnsDriverSpecificFtp {
  readonly driver: 'ftp';
}

export interface QueryBlockstatsReturnsDriverSpecificFtps {
  readonly driver: 'ftps';
}

export interface QueryBlockstatsReturnsDriverSpecificGluster {
  readonly driver: 'gluster';
}

export interface QueryBlockstatsReturnsDriverSpecificHostCdrom {
  readonly driver: 'host_cdrom';
}

export interface QueryBlockstatsReturnsDriverSpecificHttp {
  readonly driver: 'http';
}

export interface QueryBlockstatsReturnsDriverSpecificHttps {
  readonly driver: 'https';
}

export interface QueryBlockstatsReturnsDriverSpecificIscsi {
  readonly driver: 'iscsi';
}

export interface QueryBlockstatsReturnsDriverSpecificLuks {
  readonly driver: 'luks';
}

export interface QueryBlockstatsReturnsDriverSpecificNbd {
  readonly driver: 'nbd';
}

export interface QueryBlockstatsReturnsDriverSpecificNfs {
  readonly driver: 'nfs';
}

export interface QueryBlockstatsReturnsDriverSpecificNullAio {
  readonly driver: 'null-aio';
}

export interface QueryBlockstatsReturnsDriverSpecificNullCo {
  readonly driver: 'null-co';
}

export interface QueryBlockstatsReturnsDriverSpecificParallels {
  readonly driver: 'parallels';
}

export interface QueryBlockstatsReturnsDriverSpecificPreallocate {
  readonly driver: 'preallocate';
}

export interface QueryBlockstatsReturnsDriverSpecificQcow {
  readonly driver: 'qcow';
}

export interface QueryBlockstatsReturnsDriverSpecificQcow2 {
  readonly driver: 'qcow2';
}

export interface QueryBlockstatsReturnsDriverSpecificQed {
  readonly driver: 'qed';
}

export interface QueryBlockstatsReturnsDriverSpecificQuorum {
  readonly driver: 'quorum';
}

export interface QueryBlockstatsReturnsDriverSpecificRaw {
  readonly driver: 'raw';
}

export interface QueryBlockstatsReturnsDriverSpecificRbd {
  readonly driver: 'rbd';
}

export interface QueryBlockstatsReturnsDriverSpecificReplication {
  readonly driver: 'replication';
}

export interface QueryBlockstatsReturnsDriverSpecificSsh {
  readonly driver: 'ssh';
}

export interface QueryBlockstatsReturnsDriverSpecificThrottle {
  readonly driver: 'throttle';
}

export interface QueryBlockstatsReturnsDriverSpecificVdi {
  readonly driver: 'vdi';
}

export interface QueryBlockstatsReturnsDriverSpecificVhdx {
  readonly driver: 'vhdx';
}

export interface QueryBlockstatsReturnsDriverSpecificVmdk {
  readonly driver: 'vmdk';
}

export interface QueryBlockstatsReturnsDriverSpecificVpc {
  readonly driver: 'vpc';
}

export interface QueryBlockstatsReturnsDriverSpecificVvfat {
  readonly driver: 'vvfat';
}

export interface QueryBlockstatsReturnsStatsRdLatencyHistogram {
  readonly boundaries: readonly number[];
  readonly bins: readonly number[];
}

export interface QueryBlockstatsReturnsStatsTimedStats {
  readonly interval_length: number;
  readonly min_rd_latency_ns: number;
  readonly max_rd_latency_ns: number;
  readonly avg_rd_latency_ns: number;
  readonly min_wr_latency_ns: number;
  readonly max_wr_latency_ns: number;
  readonly avg_wr_latency_ns: number;
  readonly min_flush_latency_ns: number;
  readonly max_flush_latency_ns: number;
  readonly avg_flush_latency_ns: number;
  readonly avg_rd_queue_depth: number;
  readonly avg_wr_queue_depth: number;
}

export interface QueryCommandsReturns {
  readonly name: string;
}

export interface QueryMigrateReturnsCompression {
  readonly pages: number;
  readonly busy: number;
  readonly 'busy-rate': number;
  readonly 'compressed-size': number;
  readonly 'compression-rate': number;
}

export interface QueryMigrateReturnsRam {
  readonly transferred: number;
  readonly remaining: number;
  readonly total: number;
  readonly duplicate: number;
  readonly skipped: number;
  readonly normal: number;
  readonly 'normal-bytes': number;
  readonly 'dirty-pages-rate': number;
  readonly mbps: number;
  readonly 'dirty-sync-count': number;
  readonly 'postcopy-requests': number;
  readonly 'page-size': number;
  readonly 'multifd-bytes': number;
  readonly 'pages-per-second': number;
  readonly 'precopy-bytes': number;
  readonly 'downtime-bytes': number;
  readonly 'postcopy-bytes': number;
  readonly 'dirty-sync-missed-zero-copy': number;
}

export interface QueryMigrateReturnsVfio {
  readonly transferred: number;
}

export interface QueryMigrateReturnsXbzrleCache {
  readonly 'cache-size': number;
  readonly bytes: number;
  readonly pages: number;
  readonly 'cache-miss': number;
  readonly 'cache-miss-rate': number;
  readonly 'encoding-rate': number;
  readonly overflow: number;
}

export interface QueryNameReturns {
  readonly name?: string;
}

export interface QueryNamedBlockNodesArguments {
  readonly flat?: boolean;
}

export interface QueryQmpSchemaReturnsAlternateMembers {
  readonly type: string;
}

export type QueryQmpSchemaReturnsBuiltinJsonType =
  | 'string'
  | 'number'
  | 'int'
  | 'boolean'
  | 'null'
  | 'object'
  | 'array'
  | 'value';

export interface QueryQmpSchemaReturnsEnumMembers {
  readonly name: string;
  readonly features?: readonly string[];
}

export interface QueryQmpSchemaReturnsObjectMembers {
  readonly name: string;
  readonly type: string;
  readonly default?: Json;
  readonly features?: readonly string[];
}

export interface QueryQmpSchemaReturnsObjectVariants {
  readonly case: string;
  readonly type: string;
}

export interface QueryUuidReturns {
  readonly UUID: string;
}

export interface QueryVersionReturnsQemu {
  readonly major: number;
  readonly minor: number;
  readonly micro: number;
}

export interface ResetEvent {
  readonly guest: boolean;
  readonly reason: ResetReason;
}

export type ResetReason =
  | 'none'
  | 'host-error'
  | 'host-qmp-quit'
  | 'host-qmp-system-reset'
  | 'host-signal'
  | 'host-ui'
  | 'guest-shutdown'
  | 'guest-reset'
  | 'guest-panic'
  | 'subsystem-reset'
  | 'snapshot-load';

export type RunState =
  | 'debug'
  | 'inmigrate'
  | 'internal-error'
  | 'io-error'
  | 'paused'
  | 'postmigrate'
  | 'prelaunch'
  | 'finish-migrate'
  | 'restore-vm'
  | 'running'
  | 'save-vm'
  | 'shutdown'
  | 'suspended'
  | 'watchdog'
  | 'guest-panicked'
  | 'colo';

export type SchemaInfo =
  | SchemaInfoBuiltin
  | SchemaInfoEnum
  | SchemaInfoArray
  | SchemaInfoObject
  | SchemaInfoAlternate
  | SchemaInfoCommand
  | SchemaInfoEvent;

export interface SchemaInfoBase {
  readonly name: string;
  readonly features?: readonly string[];
}

export interface SchemaInfoBuiltin extends SchemaInfoBase {
  readonly 'meta-type': 'builtin';
  readonly 'json-type': QueryQmpSchemaReturnsBuiltinJsonType;
}

export interface SchemaInfoEnum extends SchemaInfoBase {
  readonly 'meta-type': 'enum';
  readonly members: readonly QueryQmpSchemaReturnsEnumMembers[];
  readonly values: readonly string[];
}

export interface SchemaInfoArray extends SchemaInfoBase {
  readonly 'meta-type': 'array';
  readonly 'element-type': string;
}

export interface SchemaInfoObject extends SchemaInfoBase {
  readonly 'meta-type': 'object';
  readonly members: readonly QueryQmpSchemaReturnsObjectMembers[];
  readonly tag?: string;
  readonly variants?: readonly QueryQmpSchemaReturnsObjectVariants[];
}

export interface SchemaInfoAlternate extends SchemaInfoBase {
  readonly 'meta-type': 'alternate';
  readonly members: readonly QueryQmpSchemaReturnsAlternateMembers[];
}

export interface SchemaInfoCommand extends SchemaInfoBase {
  readonly 'meta-type': 'command';
  readonly 'arg-type': string;
  readonly 'ret-type': string;
  readonly 'allow-oob'?: boolean;
}

export interface SchemaInfoEvent extends SchemaInfoBase {
  readonly 'meta-type': 'event';
  readonly 'arg-type': string;
}

export interface ShutdownEvent {
  readonly guest: boolean;
  readonly reason: ResetReason;
}

export interface StatusInfo {
  readonly running: boolean;
  readonly singlestep: boolean;
  readonly status: RunState;
}

export type TransactionAction =
  | TransactionActionAbort
  | TransactionActionBlockDirtyBitmapAdd
  | TransactionActionBlockDirtyBitmapRemove
  | TransactionActionBlockDirtyBitmapClear
  | TransactionActionBlockDirtyBitmapEnable
  | TransactionActionBlockDirtyBitmapDisable
  | TransactionActionBlockDirtyBitmapMerge
  | TransactionActionBlockdevBackup
  | TransactionActionBlockdevSnapshot
  | TransactionActionBlockdevSnapshotInternalSync
  | TransactionActionBlockdevSnapshotSync
  | TransactionActionDriveBackup;

export interface TransactionActionAbort {
  readonly type: 'abort';
  readonly data: Empty;
}

export interface TransactionActionBlockDirtyBitmapAdd {
  readonly type: 'block-dirty-bitmap-add';
  readonly data: BlockDirtyBitmapAddArguments;
}

export interface TransactionActionBlockDirtyBitmapRemove {
  readonly type: 'block-dirty-bitmap-remove';
  readonly data: BlockDirtyBitmapClearArguments;
}

export interface TransactionActionBlockDirtyBitmapClear {
  readonly type: 'block-dirty-bitmap-clear';
  readonly data: BlockDirtyBitmapClearArguments;
}

export interface TransactionActionBlockDirtyBitmapEnable {
  readonly type: 'block-dirty-bitmap-enable';
  readonly data: BlockDirtyBitmapClearArguments;
}

export interface TransactionActionBlockDirtyBitmapDisable {
  readonly type: 'block-dirty-bitmap-disable';
  readonly data: BlockDirtyBitmapClearArguments;
}

export interface TransactionActionBlockDirtyBitmapMerge {
  readonly type: 'block-dirty-bitmap-merge';
  readonly data: BlockDirtyBitmapMergeArguments;
}

export interface TransactionActionBlockdevBackup {
  readonly type: 'blockdev-backup';
  readonly data: BlockdevBackupArguments;
}

export interface TransactionActionBlockdevSnapshot {
  readonly type: 'blockdev-snapshot';
  readonly data: BlockdevSnapshotArguments;
}

export interface TransactionActionBlockdevSnapshotInternalSync {
  readonly type: 'blockdev-snapshot-internal-sync';
  readonly data: BlockdevSnapshotInternalSyncArguments;
}

export interface TransactionActionBlockdevSnapshotSync {
  readonly type: 'blockdev-snapshot-sync';
  readonly data: BlockdevSnapshotSyncArguments;
}

export interface TransactionActionDriveBackup {
  readonly type: 'drive-backup';
  readonly data: TransactionActionsDriveBackupData;
}

export interface TransactionActionsDriveBackupData {
  readonly 'job-id'?: string;
  readonly device: string;
  readonly sync: MirrorSyncMode;
  readonly speed?: number;
  readonly bitmap?: string;
  readonly 'bitmap-mode'?: BlockdevBackupBitmapMode;
  readonly compress?: boolean;
  readonly 'on-source-error'?: BlockdevOnError;
  readonly 'on-target-error'?: BlockdevOnError;
  readonly 'auto-finalize'?: boolean;
  readonly 'auto-dismiss'?: boolean;
  readonly 'filter-node-name'?: string;
  readonly 'x-perf'?: BlockdevBackupXPerf;
  readonly target: string;
  readonly format?: string;
  readonly mode?: NewImageMode;
}

export interface TransactionArguments {
  readonly actions: readonly TransactionAction[];
  readonly properties?: TransactionProperties;
}

export interface TransactionProperties {
  readonly 'completion-mode'?: TransactionPropertiesCompletionMode;
}

export type TransactionPropertiesCompletionMode = 'individual' | 'grouped';

export interface VersionInfo {
  readonly qemu: QueryVersionReturnsQemu;
  readonly package: string;
}

export interface XDebugQueryBlockGraphReturns {
  readonly nodes: readonly XDebugQueryBlockGraphReturnsNodes[];
  readonly edges: readonly XDebugQueryBlockGraphReturnsEdges[];
}

export interface XDebugQueryBlockGraphReturnsEdges {
  readonly parent: number;
  readonly child: number;
  readonly name: string;
  readonly perm: readonly BlockdevAddBlkdebugTakeChildPerms[];
  readonly 'shared-perm': readonly BlockdevAddBlkdebugTakeChildPerms[];
}

export interface XDebugQueryBlockGraphReturnsNodes {
  readonly id: number;
  readonly type: XDebugQueryBlockGraphReturnsNodesType;
  readonly name: string;
}

export type XDebugQueryBlockGraphReturnsNodesType = 'block-backend' | 'block-job' | 'block-driver';
