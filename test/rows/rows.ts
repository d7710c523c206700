/**
 * The rules of libvirt's block calls, one row each: what it says, the call, and what must come of it. The tests and
 * `npm run rows` are made from this list. Ids are those of the rules (docs/libvirt.md); a letter behind a number tells
 * cases of one rule apart. Only data and calls: `play-row.ts` judges.
 */
import { same } from './play-row.ts';
import {
  activeCommit,
  BANDWIDTH,
  copy,
  copyRebase,
  copyWith,
  foreignMirror,
  foreignStream,
  MANY_IMAGES,
  makeCopy,
  mirrorSent,
  NO_LUN,
  ON_BASE,
  ON_DEVICE,
  param,
  type Row,
  SD_CARD,
  SLOW,
  slowPull,
  TRANSIENT,
  WHOLE,
} from './row.ts';
import { DELETE, MIRRORED, SNAPSHOT } from './snapshot-rows.ts';
import { DISK, expectedBytes, layersOf, SECOND, SIZE_BYTES } from './stage.ts';

const COMMON: readonly Row[] = [
  {
    id: 'G1',
    says: 'an unknown flag bit',
    call: on => on.domain.blockPull(DISK, 0, 1),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'G1b',
    says: 'an unknown flag name',
    call: on => on.domain.blockJobAbort(DISK, ['SHALLOW' as 'ASYNC']),
    expect: { error: 'INVALID_ARG' },
  },
  { id: 'G2', says: 'no disk given', call: on => on.domain.blockPull(''), expect: { error: 'INVALID_ARG' } },
  {
    id: 'G3',
    says: 'the VM is not running',
    before: on => on.kill(),
    call: on => on.domain.blockPull(DISK),
    expect: { error: 'OPERATION_INVALID', dead: true },
  },
  {
    id: 'G4',
    says: 'checkpoints and a QEMU without incremental backup',
    notApplicable: 'checkpoints are not made here, so that no domain has any',
    expect: {},
  },
  {
    id: 'G5',
    says: 'a disk that is neither a name nor a source path',
    call: on => on.domain.blockPull('vdz'),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'G5b',
    needsNodes: true,
    says: 'a disk named by its node',
    call: on => on.domain.blockPull('disk0'),
    end: 'itself',
    expect: { chain: ['active'] },
  },
  {
    id: 'G5c',
    says: 'a disk named by its source path',
    call: on => on.domain.blockPull(on.file('active')),
    end: 'itself',
    expect: { chain: ['active'] },
  },
  {
    id: 'G6',
    says: 'the disk has a copy: no second job',
    before: on => copy(on),
    call: on => on.domain.blockPull(DISK),
    after: on => on.domain.blockJobAbort(DISK),
    expect: { error: 'BLOCK_COPY_ACTIVE' },
  },
  {
    id: 'G6b',
    says: 'the disk has an active commit: no second job',
    before: on => activeCommit(on),
    call: on => copy(on),
    after: on => on.domain.blockJobAbort(DISK),
    expect: { error: 'BLOCK_COPY_ACTIVE' },
  },
  {
    id: 'G6c',
    says: 'the disk has a mirror of a third party',
    before: foreignMirror,
    call: on => on.domain.blockPull(DISK),
    needsGraph: true,
    expect: { error: 'BLOCK_COPY_ACTIVE', jobsStay: true },
  },
  {
    id: 'G7',
    says: 'the disk is being pulled: no second job',
    before: slowPull,
    call: on => on.domain.blockCommit(DISK, null, null, 0, ['ACTIVE']),
    after: on => on.domain.blockJobAbort(DISK),
    expect: { error: 'OPERATION_UNSUPPORTED' },
  },
  {
    id: 'G7b',
    says: "the disk has a third party's stream",
    before: foreignStream,
    call: on => copy(on),
    needsGraph: true,
    expect: { error: 'OPERATION_UNSUPPORTED', jobsStay: true },
  },
  {
    id: 'G8',
    says: 'a disk on the sd bus',
    set: { arguments: SD_CARD },
    call: on => on.domain.blockPull('sd0'),
    expect: { error: 'OPERATION_UNSUPPORTED' },
    notSim: 'G8b is the same there',
  },
  {
    id: 'G8b',
    says: 'all disks on the sd bus',
    set: { bus: 'sd-card' },
    call: on => on.domain.blockCommit(DISK, null, on.file('snap2')),
    expect: { error: 'OPERATION_UNSUPPORTED' },
    needsDevices: true,
    notReal: 'G8 is the same there',
  },
  {
    id: 'G8c',
    says: 'a transient disk',
    set: { arguments: TRANSIENT },
    call: on => on.domain.blockPull('transient0'),
    expect: { error: 'OPERATION_UNSUPPORTED' },
    notSim: 'it opens no disk with snapshot=on',
  },
  {
    id: 'G9',
    says: 'bandwidth of more than 63 bits of bytes',
    call: on => on.domain.blockPull(DISK, 2n ** 43n),
    expect: { error: 'OVERFLOW' },
  },
  {
    id: 'G9b',
    says: 'the greatest bandwidth in MiB/s is taken',
    call: on => on.domain.blockPull(DISK, 2n ** 43n - 1n),
    end: 'itself',
    expect: { chain: ['active'] },
  },
  {
    id: 'G10',
    says: 'a job on another disk while one is under way',
    differs: 'OPERATION_INVALID: a VM has one saga at a time; ask the engine for all its disks at once',
    set: { second: true },
    before: on => copy(on),
    call: on => on.domain.blockPull(SECOND),
    after: on => on.domain.blockJobAbort(DISK),
    expect: { error: 'OPERATION_INVALID' },
  },
];

const REBASE: readonly Row[] = [
  {
    id: 'R1',
    says: 'no base: as blockPull, the disk stands alone',
    call: on => on.domain.blockRebase(DISK),
    end: 'itself',
    expect: { chain: ['active'], there: ['snap2', 'snap1', 'base'] },
  },
  {
    id: 'R2',
    says: 'base by path',
    call: on => on.domain.blockRebase(DISK, on.file('snap1')),
    end: 'itself',
    expect: { chain: ['active', 'snap1', 'base'], there: ['snap2'] },
  },
  {
    id: 'R2b',
    says: 'base as disk[i]',
    call: on => on.domain.blockRebase(DISK, `${DISK}[3]`),
    end: 'itself',
    expect: { chain: ON_BASE },
  },
  {
    id: 'R3',
    says: 'base is the image right below: nothing leaves the chain',
    call: on => on.domain.blockRebase(DISK, on.file('snap2')),
    end: 'itself',
    expect: { chain: WHOLE },
  },
  {
    id: 'R4',
    says: 'RELATIVE keeps the string relative',
    chain: 'relative',
    call: on => on.domain.blockRebase(DISK, on.file('base'), 0, ['RELATIVE']),
    end: 'itself',
    after: async on => same('the backing string', await on.stored('active'), 'base.img'),
    expect: { chain: ON_BASE },
    notSim: 'the simulator opens backing images by absolute paths only',
  },
  {
    id: 'R4b',
    says: 'RELATIVE that cannot be inferred',
    call: on => on.domain.blockRebase(DISK, on.file('base'), 0, ['RELATIVE']),
    expect: { error: 'OPERATION_INVALID' },
  },
  {
    id: 'R5',
    says: 'RELATIVE without a base',
    call: on => on.domain.blockRebase(DISK, null, 0, ['RELATIVE']),
    expect: { error: 'INVALID_ARG' },
  },
  ...(['SHALLOW', 'REUSE_EXT', 'COPY_RAW', 'COPY_DEV'] as const).map(
    (flag): Row => ({
      id: `R6 ${flag}`,
      says: `${flag} without COPY`,
      call: on => on.domain.blockRebase(DISK, null, 0, [flag]),
      expect: { error: 'INVALID_ARG' },
    }),
  ),
  {
    id: 'R7',
    says: 'base is the active image itself',
    call: on => on.domain.blockRebase(DISK, on.file('active')),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'R7b',
    says: 'base is no image of the chain',
    call: on => on.domain.blockRebase(DISK, '/nowhere/x.img'),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'R8',
    says: 'cancelled in the middle: the chain is as before, and the pull can be begun again',
    call: slowPull,
    end: 'stop',
    after: async on => {
      same('the chain after the cancel', await on.chain(), WHOLE);
      await on.domain.blockPull(DISK);
      await on.event('COMPLETED');
    },
    expect: { chain: ['active'] },
  },
  {
    id: 'R9',
    says: 'QEMU is killed right after a pull: what was pulled is there',
    call: async on => {
      await on.domain.blockRebase(DISK, on.file('base'));
      await on.event('COMPLETED');
      await on.kill();
      same('the chain in the headers', await on.headers('active'), ON_BASE);
      same('the data', await on.bytes('active'), expectedBytes(layersOf('chain')));
    },
    expect: { dead: true },
  },
  {
    id: 'B1',
    says: 'blockPull is blockRebase without a base',
    call: on => on.domain.blockPull(DISK),
    end: 'itself',
    expect: { chain: ['active'] },
  },
];

const COPY: readonly Row[] = [
  {
    id: 'C1',
    says: 'COPY: a full copy in the format of the source',
    call: on => copyRebase(on, ['COPY']),
    end: 'pivot',
    expect: { chain: ['copy'] },
  },
  {
    id: 'C1b',
    says: 'a destination that holds something',
    before: makeCopy({ format: 'qcow2' }),
    call: on => copyRebase(on, ['COPY']),
    expect: { error: 'CONFIG_UNSUPPORTED', there: ['copy'] },
  },
  {
    id: 'C1c',
    says: 'an empty file as destination is accepted',
    differs:
      'CONFIG_UNSUPPORTED: a file is removed again only if the saga provably made it, so it makes each itself; remove the empty file, or use REUSE_EXT',
    before: on => on.touch('copy'),
    call: on => copyRebase(on, ['COPY']),
    expect: { error: 'CONFIG_UNSUPPORTED', there: ['copy'] },
  },
  {
    id: 'C1d',
    says: 'aborted when ready: the source stays, and the destination as a copy of that moment',
    call: on => copyRebase(on, ['COPY']),
    end: 'abort',
    expect: { there: ['copy'] },
  },
  {
    id: 'C2',
    says: 'COPY_RAW: a raw flat copy',
    call: on => copyRebase(on, ['COPY', 'COPY_RAW']),
    end: 'pivot',
    expect: { chain: ['copy'] },
  },
  {
    id: 'C3',
    says: 'SHALLOW: the copy stands on the image below the source',
    call: on => copyRebase(on, ['COPY', 'SHALLOW']),
    end: 'pivot',
    expect: { chain: ['copy', 'snap2', 'snap1', 'base'] },
  },
  {
    id: 'C4',
    says: 'REUSE_EXT: an existing image, its format probed',
    before: makeCopy({ format: 'qcow2' }),
    call: on => copyRebase(on, ['COPY', 'REUSE_EXT']),
    end: 'pivot',
    expect: { chain: ['copy'] },
  },
  {
    id: 'C4b',
    says: 'REUSE_EXT without the file',
    call: on => copyRebase(on, ['COPY', 'REUSE_EXT']),
    expect: { error: 'SYSTEM_ERROR', errno: 'ENOENT' },
  },
  {
    id: 'C4c',
    says: 'REUSE_EXT whose format cannot be probed, because the files are elsewhere',
    domain: { files: null },
    before: makeCopy({ format: 'qcow2' }),
    call: on => copyRebase(on, ['COPY', 'REUSE_EXT']),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'C5',
    says: 'REUSE_EXT and SHALLOW: only the active image is copied, onto the backing image of the destination',
    before: makeCopy({ format: 'qcow2', backing: 'snap2' }),
    call: on => copyRebase(on, ['COPY', 'REUSE_EXT', 'SHALLOW']),
    end: 'pivot',
    expect: { chain: ['copy', 'snap2', 'snap1', 'base'] },
  },
  {
    id: 'C5b',
    says: 'the same, where the destination stands on a copy of the image below, and that on the same chain',
    before: async on => {
      await on.make('mid', { format: 'qcow2', backing: 'snap1', copyOf: 'snap2' });
      await on.make('copy', { format: 'qcow2', backing: 'mid' });
    },
    call: on => copyRebase(on, ['COPY', 'REUSE_EXT', 'SHALLOW']),
    end: 'pivot',
    expect: { chain: ['copy', 'mid', 'snap1', 'base'] },
  },
  {
    id: 'C6',
    says: 'REUSE_EXT, SHALLOW and COPY_RAW: a raw volume that holds what the backing image does',
    before: makeCopy({ format: 'raw', copyOf: 'snap2' }),
    call: on => copyRebase(on, ['COPY', 'REUSE_EXT', 'SHALLOW', 'COPY_RAW']),
    end: 'pivot',
    expect: { chain: ['copy'] },
  },
  {
    id: 'C7 compat',
    says: 'SHALLOW and COPY_RAW of a disk with a backing image',
    call: on => copyRebase(on, ['COPY', 'SHALLOW', 'COPY_RAW']),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'C7b compat',
    says: 'SHALLOW and COPY_RAW of a single qcow2 image: a full raw copy',
    chain: 'single',
    call: on => copyRebase(on, ['COPY', 'SHALLOW', 'COPY_RAW']),
    end: 'pivot',
    expect: { chain: ['copy'] },
  },
  {
    id: 'C7b strict',
    says: 'SHALLOW and COPY_RAW of a source that is not raw',
    profile: 'strict',
    chain: 'single',
    call: on => copyRebase(on, ['COPY', 'SHALLOW', 'COPY_RAW']),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'C7c strict',
    says: 'SHALLOW and COPY_RAW of a raw source: a single raw file',
    profile: 'strict',
    chain: 'raw',
    call: on => copyRebase(on, ['COPY', 'SHALLOW', 'COPY_RAW']),
    end: 'pivot',
    expect: { chain: ['copy'] },
  },
  {
    id: 'C8',
    says: 'REUSE_EXT and COPY_RAW: a full copy into an existing raw file',
    before: makeCopy({ format: 'raw' }),
    call: on => copyRebase(on, ['COPY', 'REUSE_EXT', 'COPY_RAW']),
    end: 'pivot',
    expect: { chain: ['copy'] },
  },
  {
    id: 'C9',
    says: 'COPY_DEV without the device',
    call: on => copyRebase(on, ['COPY', 'COPY_DEV']),
    expect: { error: 'SYSTEM_ERROR', errno: 'ENOENT' },
  },
  {
    id: 'C10',
    says: 'COPY_DEV on a regular file',
    before: makeCopy({ format: 'raw' }),
    call: on => copyRebase(on, ['COPY', 'COPY_DEV']),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'C11',
    says: 'a block device without COPY_DEV is taken as it is there, and an image is written onto it',
    before: on => on.device('copy', 2 * SIZE_BYTES),
    call: on => copyRebase(on, ['COPY']),
    end: 'pivot',
    expect: { chain: ['copy'] },
    ...ON_DEVICE,
  },
  {
    id: 'C11b',
    says: 'the same with SHALLOW: the image on it stands on the one below the source',
    before: on => on.device('copy', 2 * SIZE_BYTES),
    call: on => copyRebase(on, ['COPY', 'SHALLOW']),
    end: 'pivot',
    expect: { chain: ['copy', 'snap2', 'snap1', 'base'] },
    ...ON_DEVICE,
  },
  {
    id: 'C11c',
    says: 'the same with COPY_DEV',
    before: on => on.device('copy', 2 * SIZE_BYTES),
    call: on => copyRebase(on, ['COPY', 'COPY_DEV']),
    end: 'pivot',
    expect: { chain: ['copy'] },
    ...ON_DEVICE,
  },
  {
    id: 'C11d',
    says: 'COPY_DEV and COPY_RAW: raw data on a device of the same size',
    before: on => on.device('copy'),
    call: on => copyRebase(on, ['COPY', 'COPY_DEV', 'COPY_RAW']),
    end: 'pivot',
    expect: { chain: ['copy'] },
    ...ON_DEVICE,
  },
  {
    id: 'C11e',
    says: 'taken back, the device is there still',
    before: on => on.device('copy', 2 * SIZE_BYTES),
    call: on => on.domain.blockRebase(DISK, on.file('copy'), SLOW, ['COPY', 'BANDWIDTH_BYTES']),
    end: 'stop',
    expect: { there: ['copy'] },
    ...ON_DEVICE,
  },
  {
    id: 'C12',
    says: 'BANDWIDTH_BYTES only changes the unit',
    call: on => on.domain.blockRebase(DISK, on.file('copy'), SLOW, ['COPY', 'BANDWIDTH_BYTES']),
    after: async on => {
      same('the speed', mirrorSent(on)['speed'], SLOW);
      await on.domain.blockJobAbort(DISK);
    },
    expect: {},
  },
  {
    id: 'C12b',
    says: 'without it the unit is MiB/s',
    call: on => on.domain.blockRebase(DISK, on.file('copy'), 3, ['COPY']),
    after: async on => {
      same('the speed', mirrorSent(on)['speed'], 3 * 1024 * 1024);
      await on.domain.blockJobAbort(DISK);
    },
    expect: {},
  },
  {
    id: 'C13',
    says: 'COPY_RAW, SHALLOW, REUSE_EXT without COPY',
    call: on => on.domain.blockRebase(DISK, on.file('copy'), 0, ['COPY_RAW', 'SHALLOW', 'REUSE_EXT']),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'C14',
    says: 'COPY without a destination',
    call: on => on.domain.blockRebase(DISK, null, 0, ['COPY']),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'C15',
    says: 'COPY with RELATIVE',
    call: on => copyRebase(on, ['COPY', 'RELATIVE']),
    expect: { error: 'ARGUMENT_UNSUPPORTED' },
  },
  {
    id: 'C16',
    says: 'a relative destination',
    call: on => on.domain.blockRebase(DISK, 'copy.img', 0, ['COPY']),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'C17',
    says: 'COPY on a persistent domain',
    domain: { persistent: true },
    call: on => copyRebase(on, ['COPY']),
    expect: { error: 'OPERATION_INVALID' },
  },
];

const BLOCK_COPY: readonly Row[] = [
  { id: 'K0', says: 'blockCopy and pivot', call: on => copy(on), end: 'pivot', expect: { chain: ['copy'] } },
  {
    id: 'K1',
    says: 'no destination',
    call: on => on.domain.blockCopy(DISK, null as never),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'K2',
    says: 'parameters that are no list',
    call: on => on.domain.blockCopy(DISK, { file: on.file('copy') }, null as never),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'K3',
    says: 'an unknown parameter',
    call: copyWith(param('speed', 1)),
    expect: { error: 'ARGUMENT_UNSUPPORTED' },
  },
  {
    id: 'K3b',
    says: 'a parameter of the wrong type',
    call: copyWith(param('granularity', 65_536)),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'K3c',
    says: 'a parameter twice',
    call: copyWith(BANDWIDTH, BANDWIDTH),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'K3d',
    says: 'a bandwidth of more than 63 bits',
    call: copyWith(param('bandwidth', 2n ** 63n)),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'K4',
    says: 'a granularity that is no power of two',
    call: copyWith(param('granularity', 65_537, 'uint')),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'K4b',
    says: 'a granularity that QEMU does not take',
    call: copyWith(param('granularity', 256, 'uint')),
    expect: { error: 'INTERNAL_ERROR' },
  },
  {
    id: 'K4c',
    needsTuning: true,
    says: 'granularity and buf-size reach QEMU, 0 is its default',
    call: copyWith(param('granularity', 131_072, 'uint'), param('buf-size', 0), param('bandwidth', 0)),
    end: 'pivot',
    after: async on => {
      const { granularity, speed, 'buf-size': bufSize } = mirrorSent(on);
      same('what was sent', [granularity, speed, bufSize], [131_072, undefined, undefined]);
    },
    expect: { chain: ['copy'] },
  },
  {
    id: 'K5',
    says: 'a negative buf-size',
    call: copyWith(param('buf-size', -1)),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'K6',
    says: 'a relative destination',
    call: on => on.domain.blockCopy(DISK, { file: 'copy.img' }),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'K7',
    says: 'a persistent domain without TRANSIENT_JOB',
    domain: { persistent: true },
    call: on => copy(on),
    expect: { error: 'OPERATION_INVALID' },
  },
  {
    id: 'K7b',
    says: 'a persistent domain with TRANSIENT_JOB',
    domain: { persistent: true },
    call: on => copy(on, ['TRANSIENT_JOB']),
    end: 'pivot',
    expect: { chain: ['copy'] },
  },
  {
    id: 'K8',
    says: 'a backing image without SHALLOW',
    call: on => on.domain.blockCopy(DISK, { file: on.file('copy'), backingStore: on.file('snap2') }),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'K8b',
    says: 'the backing image of the source with SHALLOW',
    call: on =>
      on.domain.blockCopy(DISK, { file: on.file('copy'), backingStore: on.file('snap2') }, [], ['SHALLOW']),
    end: 'pivot',
    expect: { chain: ['copy', 'snap2', 'snap1', 'base'] },
  },
  {
    id: 'K9',
    says: 'SHALLOW of a disk without a backing image is a full copy',
    chain: 'single',
    call: on => copy(on, ['SHALLOW']),
    end: 'pivot',
    expect: { chain: ['copy'] },
  },
  {
    id: 'K10',
    says: 'SHALLOW, raw, not REUSE_EXT, of a chain',
    call: on => on.domain.blockCopy(DISK, { file: on.file('copy'), driver: 'raw' }, [], ['SHALLOW']),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'K11',
    says: "no format: the source's",
    chain: 'raw',
    call: on => copy(on),
    end: 'pivot',
    expect: { chain: ['copy'] },
  },
  {
    id: 'K12',
    says: 'no format with REUSE_EXT: probed',
    before: makeCopy({ format: 'raw' }),
    call: on => copy(on, ['REUSE_EXT']),
    end: 'pivot',
    expect: { chain: ['copy'] },
  },
  {
    id: 'K12b',
    says: 'no format with REUSE_EXT where nothing can be probed',
    domain: { files: null },
    call: on => copy(on, ['REUSE_EXT']),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'K13',
    says: 'REUSE_EXT without the file',
    call: on => copy(on, ['REUSE_EXT']),
    expect: { error: 'SYSTEM_ERROR', errno: 'ENOENT' },
  },
  {
    id: 'K14',
    says: 'a file with content without REUSE_EXT',
    before: makeCopy({ format: 'raw' }),
    call: on => copy(on),
    expect: { error: 'CONFIG_UNSUPPORTED', there: ['copy'] },
  },
  {
    id: 'K15',
    says: 'type block on a regular file',
    before: makeCopy({ format: 'raw' }),
    call: on => on.domain.blockCopy(DISK, { type: 'block', file: on.file('copy') }),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'K16',
    says: 'a destination passed as a descriptor',
    call: on => on.domain.blockCopy(DISK, { file: on.file('copy'), fdgroup: 'fds' }),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'K17',
    says: 'a shared disk and a format that two cannot write to',
    chain: 'raw',
    set: { arguments: ['-global', 'virtio-blk-pci.share-rw=on'] },
    call: on => on.domain.blockCopy(DISK, { file: on.file('copy'), driver: 'qcow2' }),
    expect: { error: 'OPERATION_UNSUPPORTED' },
    notSim: 'its devices do not tell whether they share',
  },
  {
    id: 'K18',
    says: 'a read-only disk',
    set: {
      arguments: [
        '-blockdev',
        '{"driver":"qcow2","node-name":"fixed","read-only":true,"file":{"driver":"file","filename":"DIRECTORY/base.img"}}',
        '-device',
        'virtio-blk-pci,drive=fixed,id=fixed0',
      ],
    },
    call: on => on.domain.blockCopy('fixed0', { file: on.file('copy') }),
    expect: { error: 'OPERATION_UNSUPPORTED' },
    notSim: 'it has no read-only disks',
  },
  {
    id: 'K19',
    says: 'a lun disk and an unsuitable destination',
    set: { bus: 'scsi-block' },
    call: on => copy(on),
    expect: { error: 'CONFIG_UNSUPPORTED' },
    needsDevices: true,
    notReal: NO_LUN,
  },
  {
    id: 'K20',
    says: 'a chain of more than 200 images',
    chain: 'tooDeep',
    call: on => copy(on),
    expect: { error: 'OPERATION_UNSUPPORTED' },
    notReal: MANY_IMAGES,
  },
  {
    id: 'K21',
    says: 'SYNCHRONOUS_WRITES: write-blocking',
    call: on => copy(on, ['SYNCHRONOUS_WRITES']),
    end: 'pivot',
    after: async on => same('the copy mode', mirrorSent(on)['copy-mode'], 'write-blocking'),
    expect: { chain: ['copy'] },
  },
  {
    id: 'K22',
    says: 'the start fails after the file was made: it is removed',
    set: { refuse: { command: 'blockdev-mirror' } },
    call: on => copy(on),
    expect: { error: 'INTERNAL_ERROR', gone: ['copy'] },
    notReal: 'QEMU 7.2 refuses no mirror that it is asked for here',
  },
  {
    id: 'K23',
    says: 'REUSE_EXT with another size: the job starts and fails later',
    differs: 'OPERATION_FAILED at once: what is known to fail is not begun',
    before: makeCopy({ format: 'raw', sizeBytes: 8 * 1024 * 1024 }),
    call: on => copy(on, ['REUSE_EXT']),
    expect: { error: 'OPERATION_FAILED' },
  },
  {
    id: 'K23b',
    says: 'the same where the files are elsewhere: the job starts and fails later',
    domain: { files: null },
    before: makeCopy({ format: 'raw', sizeBytes: 8 * 1024 * 1024 }),
    call: on => on.domain.blockCopy(DISK, { file: on.file('copy'), driver: 'raw' }, [], ['REUSE_EXT']),
    end: 'fails',
    expect: {},
  },
  {
    id: 'K24',
    says: 'while it copies it can be cancelled; a new copy begins anew',
    call: copyWith(BANDWIDTH),
    end: 'stop',
    after: async on => {
      await copy(on);
      await on.event('READY');
      await on.domain.blockJobAbort(DISK, ['PIVOT']);
    },
    expect: { chain: ['copy'] },
  },
];

const COMMIT: readonly Row[] = [
  {
    id: 'M1 compat',
    says: 'the VM is not running',
    before: on => on.kill(),
    call: on => on.domain.blockCommit(DISK, null, on.file('snap2')),
    expect: { error: 'OPERATION_INVALID', dead: true },
  },
  {
    id: 'M1 strict',
    says: 'the VM is not running: committed with qemu-img',
    profile: 'strict',
    set: { offline: true },
    before: on => on.quit(),
    call: on => on.domain.blockCommit(on.file('active'), null, on.file('snap2')),
    after: async on => {
      const events = on.events.map(({ type, status }) => [type, status]);
      same('the events', events, [['COMMIT', 'COMPLETED']]);
    },
    expect: { headers: ON_BASE, there: ['snap1', 'snap2'] },
  },
  {
    id: 'M1b strict',
    says: 'the same of the active image: the base is what is left',
    profile: 'strict',
    set: { offline: true },
    before: on => on.quit(),
    call: on => on.domain.blockCommit(on.file('active'), null, null, 0, ['DELETE']),
    expect: { headers: ['base'], gone: ['active', 'snap1', 'snap2'] },
  },
  {
    id: 'M1c strict',
    says: 'a disk that is named by its device, which QEMU does not tell then',
    profile: 'strict',
    set: { offline: true },
    before: on => on.quit(),
    call: on => on.domain.blockCommit(DISK, null, on.file('snap2')),
    expect: { error: 'INVALID_ARG', headers: WHOLE },
  },
  {
    id: 'M1d strict',
    says: 'a domain that runs is committed in QEMU all the same',
    profile: 'strict',
    set: { offline: true },
    call: on => on.domain.blockCommit(DISK, null, on.file('snap2')),
    end: 'itself',
    expect: { chain: ON_BASE },
  },
  {
    id: 'M2',
    says: 'a drive without a medium',
    set: { arguments: ['-device', 'ide-cd,id=cd0'] },
    call: on => on.domain.blockCommit('cd0', null, null, 0, ['ACTIVE']),
    expect: { error: 'CONFIG_UNSUPPORTED' },
    notSim: 'its drives all have one',
  },
  {
    id: 'M3',
    says: 'the active image without ACTIVE',
    call: on => on.domain.blockCommit(DISK),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'M4',
    says: 'ACTIVE with another image',
    call: on => on.domain.blockCommit(DISK, null, on.file('snap2'), 0, ['ACTIVE']),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'M5',
    says: 'top has nothing below it',
    call: on => on.domain.blockCommit(DISK, null, on.file('base')),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'M6',
    says: 'SHALLOW with a base that is deeper',
    call: on => on.domain.blockCommit(DISK, on.file('base'), on.file('snap2'), 0, ['SHALLOW']),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'M7',
    says: 'top is not in the chain',
    call: on => on.domain.blockCommit(DISK, null, '/nowhere/x.img'),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'M7b',
    says: 'base is above top',
    call: on => on.domain.blockCommit(DISK, on.file('snap2'), on.file('snap1')),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'M7c',
    says: 'base is top',
    call: on => on.domain.blockCommit(DISK, on.file('snap1'), on.file('snap1')),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'M8',
    says: 'RELATIVE that cannot be inferred',
    call: on => on.domain.blockCommit(DISK, null, on.file('snap2'), 0, ['RELATIVE']),
    expect: { error: 'OPERATION_INVALID' },
  },
  {
    id: 'M9',
    says: 'RELATIVE with the active image is ignored',
    call: on => on.domain.blockCommit(DISK, null, null, 0, ['ACTIVE', 'RELATIVE']),
    end: 'pivot',
    expect: { chain: ['base'] },
  },
  {
    id: 'M10',
    says: 'disk[i] of another disk',
    call: on => on.domain.blockCommit(DISK, null, 'dev1[1]'),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'M11',
    says: 'a base that is smaller is enlarged',
    chain: 'smallBase',
    call: on => on.domain.blockCommit(DISK, null, on.file('snap2')),
    end: 'itself',
    after: async on => same('the size', await on.sizeOf('base'), 16 * 1024 * 1024),
    expect: { chain: ON_BASE },
  },
  {
    id: 'E1a',
    says: 'everything into the base, pivot',
    call: on => activeCommit(on),
    end: 'pivot',
    expect: { chain: ['base'], there: ['snap1', 'snap2', 'active'] },
  },
  {
    id: 'E1a2',
    says: 'the same with base and top named',
    call: on => on.domain.blockCommit(DISK, on.file('base'), on.file('active'), 0, ['ACTIVE']),
    end: 'pivot',
    expect: { chain: ['base'] },
  },
  {
    id: 'E1b',
    says: 'everything into the base, cancelled when ready',
    call: on => activeCommit(on),
    end: 'abort',
    expect: {},
  },
  {
    id: 'E2',
    says: 'active into the image below it',
    call: on => activeCommit(on, 'snap2'),
    end: 'pivot',
    expect: { chain: ['snap2', 'snap1', 'base'], there: ['active'] },
  },
  {
    id: 'E2b',
    says: 'the same with SHALLOW',
    call: on => on.domain.blockCommit(DISK, null, null, 0, ['ACTIVE', 'SHALLOW']),
    end: 'pivot',
    expect: { chain: ['snap2', 'snap1', 'base'] },
  },
  {
    id: 'E3',
    says: 'with DELETE the active image is removed',
    call: on => on.domain.blockCommit(DISK, on.file('snap2'), null, 0, ['ACTIVE', 'DELETE']),
    end: 'pivot',
    expect: { chain: ['snap2', 'snap1', 'base'], gone: ['active'] },
  },
  {
    id: 'E4',
    says: 'snap2 into the image below it',
    call: on => on.domain.blockCommit(DISK, null, on.file('snap2'), 0, ['SHALLOW']),
    end: 'itself',
    expect: { chain: ['active', 'snap1', 'base'] },
  },
  {
    id: 'E4-offline strict',
    says: 'the same without QEMU',
    profile: 'strict',
    set: { offline: true },
    before: on => on.quit(),
    call: on => on.domain.blockCommit(on.file('active'), null, on.file('snap2'), 0, ['SHALLOW']),
    expect: { headers: ['active', 'snap1', 'base'], there: ['snap2'] },
  },
  {
    id: 'E5',
    says: 'snap2 and all below into the base',
    call: on => on.domain.blockCommit(DISK, null, on.file('snap2')),
    end: 'itself',
    expect: { chain: ON_BASE, there: ['snap1', 'snap2'] },
  },
  {
    id: 'E6',
    says: 'snap1 into the base',
    call: on => on.domain.blockCommit(DISK, on.file('base'), on.file('snap1')),
    end: 'itself',
    expect: { chain: ['active', 'snap2', 'base'] },
  },
  {
    id: 'E7',
    says: 'E5 with DELETE',
    call: on => on.domain.blockCommit(DISK, null, on.file('snap2'), 0, ['DELETE']),
    end: 'itself',
    expect: { chain: ON_BASE, gone: ['snap1', 'snap2'] },
  },
  {
    id: 'E8',
    says: 'E5 cancelled in the middle',
    call: on => on.domain.blockCommit(DISK, null, on.file('snap2'), SLOW, ['BANDWIDTH_BYTES']),
    end: 'stop',
    expect: {},
  },
  {
    id: 'E9',
    says: 'RELATIVE keeps the string above relative',
    chain: 'relative',
    call: on => on.domain.blockCommit(DISK, null, on.file('snap1'), 0, ['RELATIVE']),
    end: 'itself',
    after: async on => same('the backing string', await on.stored('snap2'), 'base.img'),
    expect: { chain: ['active', 'snap2', 'base'] },
    notSim: 'the simulator opens backing images by absolute paths only',
  },
];

const JOB: readonly Row[] = [
  { id: 'A1', says: 'no job', call: on => on.domain.blockJobAbort(DISK), expect: { error: 'INVALID_ARG' } },
  {
    id: 'A2',
    says: 'a job that is being ended already',
    before: async on => {
      await slowPull(on);
      await on.domain.blockJobAbort(DISK, ['ASYNC']);
    },
    call: on => on.domain.blockJobAbort(DISK),
    after: on => on.event('CANCELED'),
    expect: { error: 'OPERATION_INVALID' },
  },
  {
    id: 'A3',
    says: 'PIVOT of a pull',
    before: slowPull,
    call: on => on.domain.blockJobAbort(DISK, ['PIVOT']),
    after: on => on.domain.blockJobAbort(DISK),
    expect: { error: 'BLOCK_COPY_ACTIVE' },
  },
  {
    id: 'A4',
    says: 'PIVOT of a copy that is not ready',
    before: copyWith(BANDWIDTH),
    call: on => on.domain.blockJobAbort(DISK, ['PIVOT']),
    after: on => on.domain.blockJobAbort(DISK),
    expect: { error: 'BLOCK_COPY_ACTIVE' },
  },
  {
    id: 'A5',
    says: 'PIVOT waits for the end and tells it',
    call: on => copy(on),
    end: 'pivot',
    after: async on =>
      same(
        'the events',
        on.events.map(({ status }) => status),
        ['READY', 'COMPLETED'],
      ),
    expect: { chain: ['copy'] },
  },
  {
    id: 'A5b',
    says: 'PIVOT that QEMU refuses: the source stays',
    differs: 'the copy is taken back; a job that stayed ready would be one more thing to end',
    set: { refuse: { command: 'stop' } },
    before: async on => {
      await copy(on);
      await on.event('READY');
    },
    call: on => on.domain.blockJobAbort(DISK, ['PIVOT']),
    expect: { error: 'OPERATION_FAILED', gone: ['copy'] },
    notReal: 'QEMU 7.2 does not refuse to stop',
  },
  {
    id: 'A6',
    says: 'a running job without flags: cancelled, and told so',
    call: copyWith(BANDWIDTH),
    end: 'stop',
    expect: { gone: ['copy'] },
    differs: 'the destination that was made for it is removed',
  },
  {
    id: 'A7',
    says: 'a ready copy without flags: the destination stays as a copy of that moment',
    call: on => copy(on),
    end: 'abort',
    after: async on => {
      const statuses = on.events.map(({ status }) => status);
      same('the events', statuses, ['READY', 'CANCELED']);
      same('the chain of the copy', await on.headers('copy'), ['copy']);
      same('the data in the copy', await on.bytes('copy'), expectedBytes(layersOf('chain')));
    },
    expect: { there: ['copy'] },
  },
  {
    id: 'A7b',
    says: 'the same of a shallow copy: it stands on the image below the source',
    call: on => copy(on, ['SHALLOW']),
    end: 'abort',
    after: async on => same('the data in the copy', await on.bytes('copy'), expectedBytes(layersOf('chain'))),
    expect: { there: ['copy'] },
  },
  {
    id: 'A7c',
    says: 'a ready active commit without flags: the chain stays',
    call: on => activeCommit(on),
    end: 'abort',
    after: async on => same('the last event', on.events.at(-1)?.status, 'CANCELED'),
    expect: { there: ['active', 'snap2', 'snap1'] },
  },
  {
    id: 'A8',
    says: 'ASYNC returns at once, the event tells the end',
    before: async on => {
      await copy(on);
      await on.event('READY');
    },
    call: on => on.domain.blockJobAbort(DISK, ['ASYNC', 'PIVOT']),
    after: on => on.event('COMPLETED'),
    expect: { chain: ['copy'] },
  },
  {
    id: 'A9',
    says: 'the VM dies while the call waits',
    set: { killAt: 'stop' },
    before: async on => {
      await copy(on);
      await on.event('READY');
    },
    call: on => on.domain.blockJobAbort(DISK, ['PIVOT']),
    expect: { error: 'OPERATION_FAILED', dead: true },
  },
  {
    id: 'I1',
    says: 'no job: nothing to tell',
    call: async on => same('the info', await on.domain.blockJobInfo(DISK), null),
    expect: {},
  },
  {
    id: 'I2',
    says: 'a copy that is not ready is never at its end',
    before: copyWith(BANDWIDTH),
    call: async on => {
      const info = await on.domain.blockJobInfo(DISK, ['BANDWIDTH_BYTES']);
      same('type and bandwidth', [info?.type, info?.bandwidth], ['COPY', SLOW]);
      same('cur below end', (info?.cur ?? 0) < (info?.end ?? 0), true);
    },
    after: on => on.domain.blockJobAbort(DISK),
    expect: {},
  },
  {
    id: 'I3',
    says: 'bandwidth in MiB/s is rounded up',
    before: copyWith(BANDWIDTH),
    call: async on => same('the bandwidth', (await on.domain.blockJobInfo(DISK))?.bandwidth, 1),
    after: on => on.domain.blockJobAbort(DISK),
    expect: {},
  },
  {
    id: 'I4',
    says: 'a copy that is ready is at its end',
    before: async on => {
      await copy(on);
      await on.event('READY');
    },
    call: async on => {
      const info = await on.domain.blockJobInfo(DISK);
      same('cur and end', info !== null && info.cur === info.end && info.end > 1, true);
    },
    after: on => on.domain.blockJobAbort(DISK),
    expect: {},
  },
  {
    id: 'V1',
    says: 'speed without a job',
    call: on => on.domain.blockJobSetSpeed(DISK, 1),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'V2',
    says: 'a speed of more than 63 bits of bytes',
    call: on => on.domain.blockJobSetSpeed(DISK, 2n ** 43n),
    expect: { error: 'OVERFLOW' },
  },
  {
    id: 'V3',
    says: 'a new speed holds at once, 0 lifts the limit',
    before: copyWith(BANDWIDTH),
    call: async on => {
      await on.domain.blockJobSetSpeed(DISK, 2);
      same('the bandwidth', (await on.domain.blockJobInfo(DISK))?.bandwidth, 2);
      await on.domain.blockJobSetSpeed(DISK, 0);
      await on.event('READY');
    },
    after: on => on.domain.blockJobAbort(DISK),
    expect: {},
  },
];

export const ROWS: readonly Row[] = [
  ...COMMON,
  ...REBASE,
  ...COPY,
  ...BLOCK_COPY,
  ...COMMIT,
  ...JOB,
  ...SNAPSHOT,
  ...DELETE,
  ...MIRRORED,
];
