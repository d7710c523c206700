/** What of QEMU's schema goes into the simulator's tables, and what its hidden types are called. Asks no QEMU. */

export const COMMANDS = words(`
  transaction blockdev-snapshot blockdev-snapshot-sync drive-mirror blockdev-mirror blockdev-backup block-commit block-stream
  block-job-set-speed block-job-cancel block-job-pause block-job-resume block-job-complete block-job-finalize
  block-job-dismiss block-job-change job-cancel job-pause job-resume job-complete job-finalize job-dismiss query-jobs
  query-block-jobs query-block query-blockstats query-named-block-nodes blockdev-add blockdev-reopen blockdev-del blockdev-create
  change-backing-file block-dirty-bitmap-add block-dirty-bitmap-remove block-dirty-bitmap-clear
  block-dirty-bitmap-enable block-dirty-bitmap-disable block-dirty-bitmap-merge block-export-add block-export-del query-block-exports
  nbd-server-start nbd-server-stop block_resize qmp_capabilities query-version query-commands query-qmp-schema stop cont
  query-status quit human-monitor-command x-debug-query-block-graph query-uuid query-name qom-set qom-get qom-list
  object-add object-del query-migrate migrate migrate_cancel system_reset system_wakeup device_del eject
`);

export const ACTIONS = words(`
  abort blockdev-snapshot blockdev-snapshot-sync blockdev-backup block-dirty-bitmap-add block-dirty-bitmap-remove
  block-dirty-bitmap-clear block-dirty-bitmap-enable block-dirty-bitmap-disable block-dirty-bitmap-merge
`);

/** QEMU's own names (qapi/*.json), by member, or by command and member where one member has several types. */
export const NAMES: Readonly<Record<string, string>> = {
  actions: 'TransactionAction',
  properties: 'TransactionProperties',
  'completion-mode': 'ActionCompletionMode',
  mode: 'NewImageMode',
  'block-export-del.mode': 'BlockExportRemoveMode',
  sync: 'MirrorSyncMode',
  'on-source-error': 'BlockdevOnError',
  'on-target-error': 'BlockdevOnError',
  'on-error': 'BlockdevOnError',
  'copy-mode': 'MirrorCopyMode',
  'bitmap-mode': 'BitmapSyncMode',
  'on-cbw-error': 'OnCbwError',
  driver: 'BlockdevDriver',
  discard: 'BlockdevDiscardOptions',
  cache: 'BlockdevCacheOptions',
  'detect-zeroes': 'BlockdevDetectZeroesOptions',
  'blockdev-create.options': 'BlockdevCreateOptions',
  'blockdev-reopen.options': 'BlockdevOptions',
  'block-export-add.type': 'BlockExportType',
  'block-job-change.type': 'JobType',
  'x-perf': 'BackupPerf',
  bitmaps: 'BlockDirtyBitmapOrStr',
  addr: 'SocketAddressLegacy',
  enable: 'QMPCapability',
  'qom-type': 'ObjectType',
};

/** Enums that go into the table; only these values of them where there is a list. */
export const ENUMS = words(`
  MirrorSyncMode MirrorCopyMode BitmapSyncMode OnCbwError NewImageMode BlockdevOnError ActionCompletionMode BlockdevDiscardOptions
  BlockdevDetectZeroesOptions BlockExportType BlockExportRemoveMode QMPCapability BlockdevDriver ObjectType JobType
`);
export const VALUES: Readonly<Record<string, readonly string[]>> = {
  BlockdevDriver: words('copy-on-read file luks null-aio null-co qcow2 qed raw throttle vdi vhdx vmdk'),
  ObjectType: ['secret', 'throttle-group'],
};

/**
 * 5.2 takes any object by its name and properties; the simulator has one, whose name it checks in all versions. A
 * migration goes nowhere there, so that its address is all that it takes.
 */
export const FIXED: Readonly<Record<string, string>> = {
  'object-add': 'qom-type:ObjectType id:str',
  migrate: 'uri:str',
};

/** Members of drivers that say how a node is found, and what the simulator takes as it comes. */
export const OF_DRIVERS: Readonly<Record<string, string>> = {
  file: 'ref',
  image: 'ref',
  'data-file': 'ref',
  backing: 'refOrNull',
  'backing-fmt': 'BlockdevDriver',
  encrypt: 'any',
  encryption: 'any',
  'overlap-check': 'any',
};

/** Numbers without a sign, which introspection does not tell from others. */
export const SIZES = /^create\..*size(-hint)?$/;

export const BUILTIN: Readonly<Record<string, string>> = {
  string: 'str',
  int: 'int',
  boolean: 'bool',
  value: 'any',
};

/** Members that are a name or something else, or mean nothing here; the simulator takes them as they come. */
export const UNCHECKED = new Set(['block-export-add.iothread']);

export function words(text: string): string[] {
  return text.split(/\s+/).filter(word => word !== '');
}
