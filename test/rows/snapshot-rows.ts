/** The rows about snapshots: see `rows.ts`. Only data and calls. */
import { same } from './play-row.ts';
import {
  both,
  copy,
  copyOnto,
  diskOnly,
  MANY_IMAGES,
  makeCopy,
  mirrored,
  NO_AGENT,
  NO_LUN,
  NO_TRANSACTION,
  OVER,
  type Row,
  SD_CARD,
  slowPull,
  snapshot,
  TRANSIENT,
  twoSnapshots,
  WHOLE,
} from './row.ts';
import { DISK, SECOND } from './stage.ts';

/** Taking them. */
export const SNAPSHOT: readonly Row[] = [
  { id: 'S0', says: 'an overlay on the disk', call: on => snapshot(on), expect: { chain: OVER } },
  {
    id: 'S1',
    says: 'QUIESCE without DISK_ONLY',
    call: on => snapshot(on, ['QUIESCE']),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'S2',
    says: 'CURRENT without REDEFINE',
    call: on => snapshot(on, ['CURRENT', 'DISK_ONLY']),
    expect: { error: 'INVALID_ARG' },
  },
  ...(['NO_METADATA', 'HALT', 'LIVE'] as const).map(
    (flag): Row => ({
      id: `S2 ${flag}`,
      says: `REDEFINE with ${flag}`,
      call: on => snapshot(on, ['REDEFINE', flag]),
      expect: { error: 'INVALID_ARG' },
    }),
  ),
  {
    id: 'S3',
    says: 'HALT of a transient domain',
    call: on => snapshot(on, ['HALT', 'DISK_ONLY']),
    expect: { error: 'OPERATION_INVALID' },
  },
  {
    id: 'S4',
    says: 'LIVE without external memory',
    call: on => snapshot(on, ['LIVE']),
    expect: { error: 'OPERATION_UNSUPPORTED' },
  },
  {
    id: 'S5',
    says: 'a name with a slash',
    call: on => on.domain.snapshotCreate({ name: 'a/b' }, ['DISK_ONLY']),
    expect: { error: 'XML_DETAIL' },
  },
  {
    id: 'S5b',
    says: 'a name with a dot at the front',
    call: on => on.domain.snapshotCreate({ name: '.a' }, ['DISK_ONLY']),
    expect: { error: 'XML_DETAIL' },
  },
  {
    id: 'S6',
    says: 'more disks than there are',
    call: diskOnly([{ name: DISK }, { name: 'dev1' }]),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'S6b',
    says: 'an unknown disk',
    call: diskOnly([{ name: 'dev1' }]),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'S6c',
    says: 'an overlay for a disk that is left out',
    call: diskOnly([{ name: DISK, snapshot: 'no', source: { file: '/x/over.img' } }]),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'S7',
    says: 'a disk that is not listed is external with DISK_ONLY',
    call: on => on.domain.snapshotCreate({ name: 's1.img' }, ['DISK_ONLY']),
    expect: { chain: ['active.s1', ...WHOLE] },
  },
  {
    id: 'S8',
    says: 'DISK_ONLY with an internal snapshot of a running guest',
    call: diskOnly([{ name: DISK, snapshot: 'internal' }]),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'S9',
    says: 'an internal snapshot of a raw disk',
    chain: 'raw',
    call: on => on.domain.snapshotCreate({ name: 's1' }),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'S9b',
    says: 'an internal snapshot of qcow2 disks',
    differs: 'OPERATION_UNSUPPORTED: internal snapshots are not made here',
    call: on => on.domain.snapshotCreate({ name: 's1' }),
    expect: { error: 'OPERATION_UNSUPPORTED' },
  },
  {
    id: 'S10',
    says: 'internal and external do not go together',
    set: { second: true },
    call: on =>
      on.domain.snapshotCreate({
        name: 's1',
        disks: [
          { name: DISK, snapshot: 'external' },
          { name: SECOND, snapshot: 'internal' },
        ],
      }),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'S11',
    says: 'internal while a writable disk is left out',
    set: { second: true },
    call: on => on.domain.snapshotCreate({ name: 's1', disks: [{ name: SECOND, snapshot: 'no' }] }),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'S12',
    says: 'nothing selected',
    call: diskOnly([{ name: DISK, snapshot: 'no' }]),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'S12b',
    says: 'DISK_ONLY without an external disk',
    call: diskOnly([{ name: DISK, snapshot: 'manual' }]),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'S13',
    says: 'an overlay that is raw',
    call: diskOnly([{ name: DISK, source: { file: '/x/over.img' }, driver: { type: 'raw' } }]),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'S13b',
    says: 'an overlay that is qed',
    differs: 'OPERATION_UNSUPPORTED: overlays are qcow2 here',
    call: diskOnly([{ name: DISK, source: { file: '/x/over.img' }, driver: { type: 'qed' } }]),
    expect: { error: 'OPERATION_UNSUPPORTED' },
  },
  {
    id: 'S14',
    says: 'REUSE_EXT without the file',
    call: on => snapshot(on, ['DISK_ONLY', 'REUSE_EXT']),
    expect: { error: 'SYSTEM_ERROR', errno: 'ENOENT' },
  },
  {
    id: 'S14b',
    says: 'REUSE_EXT with an overlay that was made beforehand',
    before: makeCopy({ format: 'qcow2', backing: 'active' }, 'over'),
    call: on => snapshot(on, ['DISK_ONLY', 'REUSE_EXT']),
    expect: { chain: OVER },
  },
  {
    id: 'S15',
    says: 'a file with content without REUSE_EXT',
    before: makeCopy({ format: 'qcow2' }, 'over'),
    call: on => snapshot(on),
    expect: { error: 'CONFIG_UNSUPPORTED', there: ['over'] },
  },
  {
    id: 'S15b',
    says: 'an empty file is accepted',
    differs: 'CONFIG_UNSUPPORTED, as for C1c',
    before: on => on.touch('over'),
    call: on => snapshot(on),
    expect: { error: 'CONFIG_UNSUPPORTED', there: ['over'] },
  },
  {
    id: 'S16',
    says: 'type block without the device',
    call: diskOnly([{ name: DISK, type: 'block', source: { file: '/nowhere/device' } }]),
    expect: { error: 'OPERATION_UNSUPPORTED' },
  },
  {
    id: 'S16b',
    says: 'type block on a regular file',
    before: makeCopy({ format: 'qcow2' }, 'over'),
    call: on =>
      on.domain.snapshotCreate(
        { name: 's1', disks: [{ name: DISK, type: 'block', source: { file: on.file('over') } }] },
        ['DISK_ONLY'],
      ),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'S17',
    says: 'a lun that is passed through',
    set: { bus: 'scsi-block' },
    call: on => snapshot(on),
    expect: { error: 'CONFIG_UNSUPPORTED' },
    needsDevices: true,
    notReal: NO_LUN,
  },
  {
    id: 'S17b',
    says: 'a disk on the sd bus',
    set: { arguments: SD_CARD },
    call: diskOnly([
      { name: DISK, snapshot: 'no' },
      { name: 'sd0', source: { file: '/x/over.img' } },
    ]),
    expect: { error: 'OPERATION_UNSUPPORTED' },
    notSim: 'S17c is the same there',
  },
  {
    id: 'S17c',
    says: 'all disks on the sd bus',
    set: { bus: 'sd-card' },
    call: on => snapshot(on),
    expect: { error: 'OPERATION_UNSUPPORTED' },
    needsDevices: true,
    notReal: 'S17b is the same there',
  },
  {
    id: 'S17d',
    says: 'a transient disk',
    set: { arguments: TRANSIENT },
    call: diskOnly([
      { name: DISK, snapshot: 'no' },
      { name: 'transient0', source: { file: '/x/over.img' } },
    ]),
    expect: { error: 'OPERATION_UNSUPPORTED' },
    notSim: 'it opens no disk with snapshot=on',
  },
  {
    id: 'S18',
    says: 'a disk that is being copied',
    before: on => copy(on),
    call: on => snapshot(on),
    after: on => on.domain.blockJobAbort(DISK),
    expect: { error: 'BLOCK_COPY_ACTIVE' },
  },
  {
    id: 'S18b',
    says: 'a disk that is being pulled',
    before: slowPull,
    call: on => snapshot(on),
    after: on => on.domain.blockJobAbort(DISK),
    expect: { error: 'OPERATION_UNSUPPORTED' },
  },
  {
    id: 'S18c',
    says: 'a disk that is left out may be being copied',
    differs: 'OPERATION_INVALID: a VM has one saga at a time',
    set: { second: true },
    before: on => copy(on),
    call: on =>
      on.domain.snapshotCreate(
        {
          name: 's1',
          disks: [
            { name: DISK, snapshot: 'no' },
            { name: SECOND, source: { file: on.file('over2') } },
          ],
        },
        ['DISK_ONLY'],
      ),
    after: on => on.domain.blockJobAbort(DISK),
    expect: { error: 'OPERATION_INVALID', gone: ['over2'] },
  },
  {
    id: 'S19',
    says: 'the name made up for an overlay is taken',
    before: makeCopy({ format: 'qcow2' }, 'active.s1'),
    call: on => on.domain.snapshotCreate({ name: 's1.img' }, ['DISK_ONLY']),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'S19b',
    says: 'no name is made up for what is not known to be a regular file',
    domain: { files: null },
    call: diskOnly(undefined),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'S20',
    says: 'a chain of more than 200 images with the new one',
    chain: 'deep',
    call: on => snapshot(on),
    expect: { error: 'OPERATION_UNSUPPORTED' },
    notReal: MANY_IMAGES,
  },
  {
    id: 'S21',
    says: 'a manual disk: the guest is left paused',
    set: { second: true },
    call: on =>
      on.domain.snapshotCreate(
        {
          name: 's1',
          disks: [
            { name: DISK, source: { file: on.file('over') } },
            { name: SECOND, snapshot: 'manual' },
          ],
        },
        ['DISK_ONLY'],
      ),
    after: async on => same('whether the guest runs', await on.running(), false),
    expect: { chain: OVER },
  },
  {
    id: 'S22 strict',
    says: 'ATOMIC of two disks without transaction is refused up front',
    profile: 'strict',
    domain: NO_TRANSACTION,
    set: { second: true },
    call: on => both(on, ['DISK_ONLY', 'ATOMIC']),
    expect: { error: 'OPERATION_UNSUPPORTED', gone: ['over', 'over2'] },
  },
  {
    id: 'S22 compat',
    says: 'ATOMIC has no effect: both disks change, or none',
    domain: NO_TRANSACTION,
    set: { second: true },
    call: on => both(on, ['DISK_ONLY', 'ATOMIC']),
    after: async on => same('the second disk', await on.chain(SECOND), ['over2', 'second']),
    expect: { chain: OVER },
  },
  {
    id: 'S23 strict',
    says: 'no ATOMIC, no transaction, the second disk fails: the first stays changed',
    differs: 'the first is taken back: all or none also there',
    profile: 'strict',
    domain: NO_TRANSACTION,
    set: { second: true, refuse: { command: 'blockdev-snapshot-sync', nth: 2 } },
    call: on => both(on, ['DISK_ONLY']),
    after: async on => same('the second disk', await on.chain(SECOND), ['second']),
    expect: { error: 'INTERNAL_ERROR', gone: ['over', 'over2'] },
    notReal: 'QEMU 7.2 refuses no second snapshot that it is asked for here',
  },
  {
    id: 'S24 strict',
    says: 'REUSE_EXT without transaction is refused',
    profile: 'strict',
    domain: NO_TRANSACTION,
    before: makeCopy({ format: 'qcow2', backing: 'active' }, 'over'),
    call: on => snapshot(on, ['DISK_ONLY', 'REUSE_EXT']),
    expect: { error: 'OPERATION_UNSUPPORTED', there: ['over'] },
  },
  {
    id: 'S24 compat',
    says: 'REUSE_EXT without transaction (libvirt 9 knows no such QEMU)',
    domain: NO_TRANSACTION,
    before: makeCopy({ format: 'qcow2', backing: 'active' }, 'over'),
    call: on => snapshot(on, ['DISK_ONLY', 'REUSE_EXT']),
    expect: { error: 'OPERATION_UNSUPPORTED', there: ['over'] },
  },
  {
    id: 'S25',
    says: 'the overlay names the image below by its absolute path',
    call: on => snapshot(on),
    after: async on => same('the backing string', await on.stored('over'), on.file('active')),
    expect: { chain: OVER },
  },
  {
    id: 'S26',
    says: 'QUIESCE without an agent',
    call: on => snapshot(on, ['DISK_ONLY', 'QUIESCE']),
    expect: { error: 'ARGUMENT_UNSUPPORTED' },
  },
  {
    id: 'S26b',
    says: 'QUIESCE of a paused guest',
    domain: { guestAgent: 'agent' },
    set: { paused: true },
    call: on => snapshot(on, ['DISK_ONLY', 'QUIESCE']),
    expect: { error: 'OPERATION_INVALID' },
  },
  {
    id: 'S26c',
    says: 'QUIESCE with an agent that does not answer: no disk changes',
    domain: { guestAgent: '/nowhere/agent', agent: NO_AGENT },
    call: on => snapshot(on, ['DISK_ONLY', 'QUIESCE']),
    expect: { error: 'OPERATION_INVALID', gone: ['over'] },
  },
  {
    id: 'S26d',
    says: 'QUIESCE with an agent',
    domain: { guestAgent: 'agent' },
    call: on => snapshot(on, ['DISK_ONLY', 'QUIESCE']),
    expect: { chain: OVER },
    notReal: 'a guest that does nothing has no agent',
  },
  {
    id: 'S27',
    says: 'NO_METADATA: overlays, but no snapshot object',
    call: async on => {
      await snapshot(on, ['DISK_ONLY', 'NO_METADATA']);
      same('the snapshots', on.domain.snapshots(), []);
    },
    expect: { chain: OVER },
  },
  {
    id: 'S28',
    says: 'two disks in one instant, as one object',
    set: { second: true },
    call: async on => {
      await both(on, ['DISK_ONLY']);
      const [made] = on.domain.snapshots();
      same(
        'the disks',
        made?.disks.map(({ name }) => name),
        [DISK, SECOND],
      );
      same('the second disk', await on.chain(SECOND), ['over2', 'second']);
    },
    expect: { chain: OVER },
  },
];

/** Deleting them again. */
export const DELETE: readonly Row[] = [
  {
    id: 'D1',
    says: 'an external snapshot with CHILDREN',
    before: on => snapshot(on),
    call: on => on.domain.snapshotDelete('s1', ['CHILDREN']),
    expect: { error: 'CONFIG_UNSUPPORTED', chain: OVER },
  },
  {
    id: 'D1b',
    says: 'CHILDREN_ONLY with an external child',
    before: twoSnapshots,
    call: on => on.domain.snapshotDelete('s1', ['CHILDREN_ONLY']),
    expect: { error: 'CONFIG_UNSUPPORTED', chain: ['over2', ...OVER] },
  },
  {
    id: 'D1c',
    says: 'CHILDREN and CHILDREN_ONLY exclude each other',
    before: on => snapshot(on),
    call: on => on.domain.snapshotDelete('s1', ['CHILDREN', 'CHILDREN_ONLY']),
    expect: { error: 'INVALID_ARG', chain: OVER },
  },
  {
    id: 'D2',
    says: 'while a block job is active',
    before: async on => {
      await snapshot(on);
      await copy(on);
    },
    call: on => on.domain.snapshotDelete('s1'),
    after: on => on.domain.blockJobAbort(DISK),
    expect: { error: 'OPERATION_UNSUPPORTED', chain: OVER },
  },
  {
    id: 'D3',
    says: 'while it is being deleted',
    before: on => snapshot(on),
    call: async on => {
      const first = on.domain.snapshotDelete('s1');
      const second = on.domain.snapshotDelete('s1');
      await Promise.allSettled([first, second]);
      await first;
      await second;
    },
    expect: { error: 'OPERATION_INVALID', gone: ['over'] },
  },
  {
    id: 'D4',
    says: 'an internal parent',
    notApplicable: 'internal snapshots are not made here, so that no snapshot has such a parent',
    expect: {},
  },
  {
    id: 'D5',
    says: 'the disk is no longer on the images of the snapshot',
    before: async on => {
      await snapshot(on);
      await on.domain.blockPull(DISK);
      await on.event('COMPLETED');
    },
    call: on => on.domain.snapshotDelete('s1'),
    expect: { error: 'OPERATION_FAILED', chain: ['over'] },
  },
  {
    id: 'D6',
    says: 'offline: merged all the same',
    set: { offline: true },
    before: async on => {
      await snapshot(on);
      await on.quit();
    },
    call: on => on.domain.snapshotDelete('s1'),
    after: async on => same('the snapshots', on.domain.snapshots(), []),
    expect: { headers: WHOLE, gone: ['over'] },
  },
  {
    id: 'D6b',
    says: 'the same of a snapshot with another one after it',
    set: { offline: true },
    before: async on => {
      await twoSnapshots(on);
      await on.quit();
    },
    call: on => on.domain.snapshotDelete('s1'),
    expect: { headers: ['over2', ...WHOLE], gone: ['over'] },
  },
  {
    id: 'D6c',
    says: 'offline, where nothing may be done without QEMU',
    before: async on => {
      await snapshot(on);
      await on.quit();
    },
    call: on => on.domain.snapshotDelete('s1'),
    expect: { error: 'OPERATION_INVALID', headers: OVER },
  },
  {
    id: 'D7',
    says: 'the current snapshot: its overlay is merged down and removed, the guest goes over',
    before: on => snapshot(on),
    call: on => on.domain.snapshotDelete('s1'),
    after: async on => same('the snapshots', on.domain.snapshots(), []),
    expect: { gone: ['over'] },
  },
  {
    id: 'D7b',
    says: 'a snapshot with another one after it: merged below the active image',
    before: twoSnapshots,
    call: on => on.domain.snapshotDelete('s1'),
    after: async on => {
      const left = on.domain.snapshots().map(({ name, parent }) => [name, parent]);
      same('what is left', left, [['s2', null]]);
    },
    expect: { chain: ['over2', ...WHOLE], gone: ['over'] },
  },
  {
    id: 'D7c',
    says: 'on two disks in one saga',
    set: { second: true },
    before: on => both(on, ['DISK_ONLY']),
    call: on => on.domain.snapshotDelete('s1'),
    after: async on => same('the second disk', await on.chain(SECOND), ['second']),
    expect: { gone: ['over', 'over2'] },
  },
  {
    id: 'D8',
    says: 'METADATA_ONLY: only the object goes',
    before: on => snapshot(on),
    call: async on => {
      await on.domain.snapshotDelete('s1', ['METADATA_ONLY']);
      same('the snapshots', on.domain.snapshots(), []);
    },
    expect: { chain: OVER },
  },
];

/** The proposal of 2012: snapshots whose writes go to a second image as well. */
export const MIRRORED: readonly Row[] = [
  {
    id: 'P1 compat',
    says: 'libvirt 9 knows no snapshots with mirrors',
    call: on => mirrored(on),
    expect: { error: 'CONFIG_UNSUPPORTED', gone: ['over', 'mirror'] },
  },
  {
    id: 'P1 strict',
    says: 'a snapshot whose writes go to a mirror as well: the overlay is in front',
    profile: 'strict',
    call: on => mirrored(on),
    after: async on => {
      same('the chain while it is mirrored', await on.chain(DISK, 'filterOfSaga'), OVER);
      same('whether the mirror is there', await on.exists('mirror'), true);
      await on.domain.snapshotDelete('s1', ['REMOVE_MIRROR']);
    },
    expect: { chain: OVER },
  },
  {
    id: 'P1b strict',
    says: 'a mirror needs an external snapshot',
    profile: 'strict',
    call: on =>
      on.domain.snapshotCreate(
        { name: 's1', disks: [{ name: DISK, snapshot: 'no', mirror: { file: on.file('mirror') } }] },
        ['DISK_ONLY'],
      ),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
  {
    id: 'P1c strict',
    says: 'a mirror on one disk only of two',
    profile: 'strict',
    differs: 'INVALID_ARG: the disks of one snapshot are all mirrored, or none, to be switched at once',
    set: { second: true },
    call: on =>
      on.domain.snapshotCreate(
        {
          name: 's1',
          disks: [
            { name: DISK, source: { file: on.file('over') }, mirror: { file: on.file('mirror') } },
            { name: SECOND, source: { file: on.file('over2') } },
          ],
        },
        ['DISK_ONLY'],
      ),
    expect: { error: 'INVALID_ARG', gone: ['over', 'over2'] },
  },
  {
    id: 'P2 strict',
    says: 'REOPEN_MIRROR: the guest goes over to the mirror',
    profile: 'strict',
    before: on => mirrored(on),
    call: on => on.domain.snapshotDelete('s1', ['REOPEN_MIRROR']),
    after: async on => same('the overlay', on.domain.snapshots()[0]?.disks[0]?.overlay, on.file('mirror')),
    expect: { chain: ['mirror', ...WHOLE] },
  },
  {
    id: 'P2b strict',
    says: 'REOPEN_MIRROR of a snapshot without mirrors',
    profile: 'strict',
    before: on => snapshot(on),
    call: on => on.domain.snapshotDelete('s1', ['REOPEN_MIRROR']),
    expect: { error: 'OPERATION_INVALID', chain: OVER },
  },
  {
    id: 'P2c compat',
    says: 'libvirt 9 does not know REOPEN_MIRROR',
    before: on => snapshot(on),
    call: on => on.domain.snapshotDelete('s1', ['REOPEN_MIRROR']),
    expect: { error: 'INVALID_ARG', chain: OVER },
  },
  {
    id: 'P3 strict',
    says: 'REOPEN_MIRROR that fails: none is switched',
    profile: 'strict',
    set: { refuse: { command: 'stop' } },
    before: on => mirrored(on),
    call: on => on.domain.snapshotDelete('s1', ['REOPEN_MIRROR']),
    expect: { error: 'INTERNAL_ERROR', gone: ['over', 'mirror'] },
    differs: 'the snapshot is taken back as well',
    notReal: 'QEMU 7.2 does not refuse to stop',
  },
  {
    id: 'P4 strict',
    says: 'REMOVE_MIRROR: the snapshot stays',
    profile: 'strict',
    before: on => mirrored(on),
    call: on => on.domain.snapshotDelete('s1', ['REMOVE_MIRROR']),
    after: async on => same('the snapshots', on.domain.snapshots().length, 1),
    expect: { chain: OVER },
  },
  {
    id: 'P4b strict',
    says: 'REMOVE_MIRROR without a mirror',
    profile: 'strict',
    before: on => snapshot(on),
    call: on => on.domain.snapshotDelete('s1', ['REMOVE_MIRROR']),
    expect: { error: 'OPERATION_INVALID', chain: OVER },
  },
  {
    id: 'P5 strict',
    says: 'the VM dies while it is mirrored: the overlay on its base is what is left',
    profile: 'strict',
    before: on => mirrored(on),
    call: async on => {
      await on.kill();
      same('the chain in the headers', await on.headers('over'), OVER);
      await on.domain.snapshotDelete('s1', ['REMOVE_MIRROR']);
    },
    expect: { error: 'OPERATION_INVALID', dead: true },
  },
  {
    id: 'P6 strict',
    says: 'a copy onto a base of the caller in one call',
    profile: 'strict',
    call: on => copyOnto(on, 'snap1'),
    end: 'pivot',
    after: async on => same('the copy stands on', await on.stored('copy'), on.file('snap1')),
    expect: { chain: ['copy', 'snap1', 'base'], there: ['active', 'snap2'] },
  },
  {
    id: 'P6b strict',
    says: 'the same onto the image right below',
    profile: 'strict',
    call: on => copyOnto(on, 'snap2'),
    end: 'pivot',
    expect: { chain: ['copy', 'snap2', 'snap1', 'base'] },
  },
  {
    id: 'P6c strict',
    says: 'without a base the copy stands alone',
    profile: 'strict',
    call: on => on.domain.blockCopy(DISK, { file: on.file('copy') }),
    end: 'pivot',
    expect: { chain: ['copy'] },
  },
  {
    id: 'P6d strict',
    says: 'REUSE_EXT: an empty image that names the base',
    profile: 'strict',
    before: on => on.make('copy', { format: 'qcow2', backing: 'base' }),
    call: on => copyOnto(on, 'base', { driver: 'qcow2' }, ['REUSE_EXT']),
    end: 'pivot',
    expect: { chain: ['copy', 'base'] },
  },
  {
    id: 'P6e strict',
    says: 'a base with CREATE_RAW',
    profile: 'strict',
    call: on => copyOnto(on, 'snap1', { driver: 'raw' }),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'P6f strict',
    says: 'a base that is no image of the chain',
    profile: 'strict',
    call: on => copyOnto(on, 'elsewhere'),
    expect: { error: 'INVALID_ARG' },
  },
  {
    id: 'P6 compat',
    says: 'libvirt knows no base',
    call: on => copyOnto(on, 'snap1'),
    expect: { error: 'CONFIG_UNSUPPORTED' },
  },
];
