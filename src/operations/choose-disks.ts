/**
 * Finds the disks that a request names, in the words of the guest's administrator, and refuses those that cannot be
 * changed now.
 */
import { BlocksagaError } from '../errors.ts';
import { isSagaName } from '../plan/names.ts';
import type { GuestDisk, Survey } from './survey.ts';
import { deviceOfTarget } from './target-name.ts';

/** Drivers that only stand above an image; blocksaga takes disks whose device is on the image itself. */
const FILTERS = new Set([
  'throttle',
  'copy-on-read',
  'quorum',
  'blkdebug',
  'blkverify',
  'blklogwrites',
  'replication',
  'preallocate',
  'compress',
  'snapshot-access',
]);

/** A backup's: it goes when that ends. */
const COPY_BEFORE_WRITE = 'copy-before-write';

const STATES_REFUSED = new Set([
  'inmigrate',
  'postmigrate',
  'finish-migrate',
  'save-vm',
  'restore-vm',
  'colo',
  'shutdown',
]);

/** The guest's disks in the order in which the request names them. */
export function chooseDisks(
  survey: Survey,
  names: readonly string[],
  filters: 'refused' | 'outsideIothreads' | 'workedThrough' = 'refused',
): readonly GuestDisk[] {
  if (STATES_REFUSED.has(survey.runState)) {
    throw new BlocksagaError(
      'DISK_BUSY',
      `the guest's disks cannot be changed now: QEMU is in state "${survey.runState}"`,
    );
  }
  const chosen = names.map(name => findDisk(survey.disks, name, survey.empty));
  chosen.forEach((disk, index) => {
    const first = chosen.findIndex(each => each === disk || (disk.node !== '' && each.node === disk.node));
    if (first !== index) {
      throw new BlocksagaError(
        'DISK_NAMED_TWICE',
        `"${names[index]}" and "${names[first]}" are the same disk`,
        {
          disk: names[index] ?? '',
        },
      );
    }
    refuseUnchangeable(names[index] ?? '', disk, survey.hasGuest);
    const isRisky = filters === 'outsideIothreads' && survey.hangsBelowFilters && disk.keepsIothread;
    if (filters === 'refused' || isRisky) refuseFiltered(names[index] ?? '', disk);
  });
  return chosen;
}

/** The one disk of this name, whatever its state. Throws UNKNOWN_DISK. */
export function findDisk(disks: readonly GuestDisk[], name: string, empty: Survey['empty'] = []): GuestDisk {
  const own = disks.filter(disk =>
    [
      disk.node,
      disk.device,
      disk.drive,
      disk.qdev,
      disk.file,
      ...disk.filters.map(({ node }) => node),
    ].includes(name),
  );
  const below = own.length > 0 ? own : disks.filter(disk => isBelow(disk, name));
  const target = deviceOfTarget(name);
  const found = below.length > 0 || target === null ? below : disks.filter(({ device }) => device === target);
  if (found.length === 1 && found[0] !== undefined) return found[0];
  if (found.length === 0 && empty.some(names => names.includes(name))) {
    throw new BlocksagaError(
      'DISK_UNSUPPORTED',
      `"${name}" is an empty drive: it has no medium, so that there is nothing to work on; insert one first (QMP: blockdev-change-medium)`,
      { disk: name },
    );
  }
  const known = disks.map(disk => disk.device ?? (disk.drive || disk.node)).join(', ') || 'none';
  throw new BlocksagaError(
    'UNKNOWN_DISK',
    found.length === 0
      ? `this guest has no disk "${name}"; it has ${known}. A disk is named by a node of its chain, its device id, or the file of its active image${HINT_OF_TARGET.test(name) ? '; a target of libvirt on this bus is known to libvirt alone' : ''}`
      : `"${name}" is the name of ${found.length} disks; name each by its node or device id`,
    { disk: name },
  );
}

/** libvirt's names of disks on buses where the device's id does not tell them. */
const HINT_OF_TARGET = /^(sd|hd|xvd|ubd|fd)[a-z]{1,3}$/;

/** Whether a node is one of its chain's, or below one: a disk can be called by each of them that no other disk has too. */
function isBelow({ chain, nodes }: GuestDisk, name: string): boolean {
  return name !== '' && (chain.some(({ node }) => node === name) || nodes.some(each => each.includes(name)));
}

function refuseUnchangeable(name: string, disk: GuestDisk, hasGuest: boolean): void {
  const refuse = (code: 'DISK_BUSY' | 'DISK_UNSUPPORTED', why: string, retryable = false): never => {
    throw new BlocksagaError(code, `disk ${name} ${why}`, { disk: name, retryable });
  };
  if (disk.readOnly) refuse('DISK_UNSUPPORTED', 'is read-only');
  if (disk.passesThrough) {
    refuse(
      'DISK_UNSUPPORTED',
      'hands what the guest does through to a device of the host (scsi-block, scsi-generic): what it writes passes by every mirror and overlay',
    );
  }
  if (disk.job !== null) {
    const next = isSagaName(disk.job)
      ? 'which a saga has made: "blocksaga doctor" with --qmp says which one and what to do'
      : 'wait for it or end it first';
    // The job of a third party ends by itself; one of a saga's may wait for a word.
    refuse('DISK_BUSY', `is in use by the block job "${disk.job}"; ${next}`, !isSagaName(disk.job));
  }
  if (disk.driver === COPY_BEFORE_WRITE) {
    const why = `has a ${COPY_BEFORE_WRITE} filter (${disk.node}) between the device and its image, as a backup has for as long as it runs`;
    refuse('DISK_BUSY', `${why}; wait for its owner to take it out`, true);
  }
  if (FILTERS.has(disk.driver)) {
    refuse(
      'DISK_UNSUPPORTED',
      `has a ${disk.driver} filter between the device and its image, which is not handled`,
    );
  }
  if (disk.otherWriter) {
    const who = hasGuest
      ? 'someone besides the guest, such as an export'
      : 'someone besides this export, such as another one';
    refuse('DISK_BUSY', `is also written to by ${who}; end that first`);
  }
}

/** Throws DISK_UNSUPPORTED for a disk whose filters this operation does not work through. */
function refuseFiltered(name: string, { filters: [first] }: GuestDisk): void {
  if (first === undefined) return;
  throw new BlocksagaError(
    'DISK_UNSUPPORTED',
    `disk ${name} has a ${first.driver} filter between the device and its image, which this operation does not work through on this QEMU`,
    { disk: name },
  );
}
