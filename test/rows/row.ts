/**
 * What a row of the table is, and the calls and preparations that several rows share. It plays and judges nothing.
 */
import { BlocksagaError } from '../../src/errors.ts';
import type { LibvirtCategory, TypedParameter } from '../../src/libvirt/index.ts';
import { whyNoLoopDevice } from './loop-device.ts';
import { type ChainKind, DISK, SECOND, type Stage, type StageOptions } from './stage.ts';

/** What must come of a row; nothing said means that everything is as before. */
interface Expected {
  readonly error?: LibvirtCategory;
  readonly errno?: string;
  /** The chain afterwards, front first. */
  readonly chain?: readonly string[];
  /** The chain in the headers afterwards, where no QEMU runs any more, front first. */
  readonly headers?: readonly string[];
  readonly gone?: readonly string[];
  readonly there?: readonly string[];
  /** The row leaves a job behind on purpose. */
  readonly jobsStay?: true;
  /** QEMU is dead afterwards: nothing more can be asked. */
  readonly dead?: true;
}

export interface Row {
  readonly id: string;
  readonly says: string;
  /** Absent where the row is not built: `missing` says what lacks. */
  readonly call?: (on: Stage) => Promise<unknown>;
  readonly before?: (on: Stage) => Promise<unknown>;
  readonly after?: (on: Stage) => Promise<unknown>;
  readonly chain?: ChainKind;
  readonly profile?: 'strict' | 'compat';
  readonly domain?: StageOptions['domain'];
  readonly set?: Omit<StageOptions, 'chain' | 'domain'>;
  /** What becomes of the job after the call. */
  readonly end?: 'itself' | 'pivot' | 'abort' | 'stop' | 'fails';
  readonly expect: Expected;
  readonly missing?: string;
  /** Why there is nothing here that the rule could be about; such a row has no call either. */
  readonly notApplicable?: string;
  /** What is done otherwise than the rule says, and why. */
  readonly differs?: string;
  /** Why it cannot be played on the simulator, or on a real QEMU here. */
  readonly notSim?: string;
  readonly notReal?: string;
  /** Whether QEMU must tell which job uses a disk, as it does from 4.0 on. */
  readonly needsGraph?: true;
  /** Whether it tunes a mirror, as QEMU 1.4 and later can. */
  readonly needsTuning?: true;
  /** Whether the row itself speaks of nodes to QEMU, which names them all from 2.5 on and opens images from 2.9 on. */
  readonly needsNodes?: true;
  /** Whether QEMU must tell which device a disk is of, as it does from 2.10 on. */
  readonly needsDevices?: true;
}

export const SLOW = 65_536;
export const BANDWIDTH: TypedParameter = { field: 'bandwidth', type: 'ullong', value: SLOW };
export const copyRebase = (on: Stage, flags: Parameters<Stage['domain']['blockRebase']>[3], to = 'copy') =>
  on.domain.blockRebase(DISK, on.file(to), 0, flags);
export const copy = (on: Stage, flags: Parameters<Stage['domain']['blockCopy']>[3] = [], to = 'copy') =>
  on.domain.blockCopy(DISK, { file: on.file(to) }, [], flags);
export const param = (
  field: string,
  value: TypedParameter['value'],
  type: TypedParameter['type'] = 'ullong',
) => ({
  field,
  type,
  value,
});
export const copyWith =
  (...parameters: readonly TypedParameter[]) =>
  (on: Stage) =>
    on.domain.blockCopy(DISK, { file: on.file('copy') }, parameters);
export const makeCopy =
  (image: Parameters<Stage['make']>[1], name = 'copy') =>
  (on: Stage) =>
    on.make(name, image);
/** The mirror that was asked for, by whichever command this QEMU has for it. */
export const mirrorSent = (on: Stage) =>
  on.sent.findLast(({ execute }) => execute === 'blockdev-mirror' || execute === 'drive-mirror')?.arguments ??
  {};
export const foreignMirror = async (on: Stage) => {
  await on.make('other', { format: 'raw' });
  await on.qmp('blockdev-add', { driver: 'file', 'node-name': 'other-file', filename: on.file('other') });
  await on.qmp('blockdev-add', { driver: 'raw', 'node-name': 'other', file: 'other-file' });
  await on.qmp('blockdev-mirror', {
    device: 'disk0',
    target: 'other',
    sync: 'full',
    'job-id': 'theirs',
    speed: SLOW,
  });
};
export const foreignStream = (on: Stage) =>
  on.qmp('block-stream', { device: 'disk0', 'job-id': 'theirs', speed: SLOW });
export const slowPull = (on: Stage) => on.domain.blockPull(DISK, SLOW, ['BANDWIDTH_BYTES']);
export const activeCommit = (on: Stage, base: string | null = null) =>
  on.domain.blockCommit(DISK, base === null ? null : on.file(base), null, 0, ['ACTIVE']);
export const snapshot = (
  on: Stage,
  flags: Parameters<Stage['domain']['snapshotCreate']>[1] = ['DISK_ONLY'],
) =>
  on.domain.snapshotCreate({ name: 's1', disks: [{ name: DISK, source: { file: on.file('over') } }] }, flags);
export const diskOnly =
  (disks: NonNullable<Parameters<Stage['domain']['snapshotCreate']>[0]>['disks']) => (on: Stage) =>
    on.domain.snapshotCreate({ name: 's1', ...(disks === undefined ? {} : { disks }) }, ['DISK_ONLY']);
export const OVER = ['over', 'active', 'snap2', 'snap1', 'base'] as const;
export const ON_BASE = ['active', 'base'] as const;
export const WHOLE = ['active', 'snap2', 'snap1', 'base'] as const;

/** Both disks of a stage with two. */
export const both = (on: Stage, flags: Parameters<Stage['domain']['snapshotCreate']>[1]) =>
  on.domain.snapshotCreate(
    {
      name: 's1',
      disks: [
        { name: DISK, source: { file: on.file('over') } },
        { name: SECOND, source: { file: on.file('over2') } },
      ],
    },
    flags,
  );
export const twoSnapshots = async (on: Stage) => {
  await snapshot(on);
  const disks = [{ name: DISK, source: { file: on.file('over2') } }];
  await on.domain.snapshotCreate({ name: 's2', disks }, ['DISK_ONLY']);
};
export const NO_TRANSACTION = { without: ['transaction'] };
export const NO_AGENT = async () => {
  throw new BlocksagaError('QMP_CONNECT', 'no server answers');
};
export const MANY_IMAGES = 'it takes too long to make 200 images';
/** A snapshot whose overlay is mirrored. */
export const mirrored = (on: Stage) =>
  on.domain.snapshotCreate(
    {
      name: 's1',
      disks: [{ name: DISK, source: { file: on.file('over') }, mirror: { file: on.file('mirror') } }],
    },
    ['DISK_ONLY'],
  );
/** A copy that stands on an image of the disk's chain. */
export const copyOnto = (
  on: Stage,
  base: string,
  more: { readonly driver?: 'qcow2' | 'raw' } = {},
  flags: Parameters<Stage['domain']['blockCopy']>[3] = [],
) => on.domain.blockCopy(DISK, { file: on.file('copy'), base: on.file(base), ...more }, [], flags);
export const NO_LUN = 'no test machine has a SCSI device to hand through';
/** More disks of a real guest: one on the sd bus, and one whose writes end with QEMU. */
export const SD_CARD = [
  ...['-device', 'sdhci-pci'],
  ...['-blockdev', '{"driver":"null-co","node-name":"sd","size":16777216}'],
  ...['-device', 'sd-card,drive=sd,id=sd0'],
];
export const TRANSIENT = [
  ...['-drive', 'if=none,id=transient,format=qcow2,file=DIRECTORY/base.img,snapshot=on'],
  ...['-device', 'virtio-blk-pci,drive=transient,id=transient0'],
];
const noDevice = whyNoLoopDevice();
/** Where a row that needs a block device of the host's can be played. */
export const ON_DEVICE: Pick<Row, 'notSim' | 'notReal'> = {
  notSim: 'its host has no block devices',
  ...(noDevice === undefined ? {} : { notReal: noDevice }),
};
