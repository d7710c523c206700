/**
 * What to say of things in QEMU that a saga has made which this journal does not know: its journal is another one, or
 * is lost. None of them can be proved to be unused, so nothing is removed; the words say what may be done when the
 * journal is known to be gone. Pure.
 */
import type { AnyJob } from '../../guest/all-jobs.ts';

const UNKNOWN = 'a saga made it that this journal does not know: name the journal that does with --journal';

/** Of a job: what it does now, and how it is ended without effect on the guest's disks. */
export function orphanJob({ type, status, error, endedBy }: Omit<AnyJob, 'id'>): string {
  if (status === 'concluded') {
    const how = error === undefined ? 'it has ended' : `it has ended (${error})`;
    return `${UNKNOWN}. If that is lost: ${how}, QMP's job-dismiss clears it. It is left alone`;
  }
  return `${UNKNOWN}. If that is lost: it is a ${type} that is ${status}; the disk is still on the image that it was on, where QMP's ${endedBy} leaves it. It is left alone`;
}

/** A disk that is right on a filter. */
export interface Covered {
  readonly qdev: string;
  /** The node that the filter is above. */
  readonly below: string;
  /** A disk in an iothread is taken off its filter while its guest is paused. */
  readonly isPausedForIt: boolean;
}

/** Of a node: whether a disk of the guest is behind it, and which one is right on it. */
export function orphanNode(isUsed: boolean, covered?: Covered): string {
  if (covered !== undefined) {
    const { qdev, below, isPausedForIt } = covered;
    const when = isPausedForIt ? ' while the guest is paused' : '';
    return `${UNKNOWN}. If that is lost: a disk of the guest is behind it, and it limits nothing. When no job is on that disk any more, QMP's qom-set of the drive of ${qdev} to ${below}${when} takes it out, then blockdev-del closes it. It is left alone`;
  }
  return isUsed
    ? `${UNKNOWN}. If that is lost: a disk of the guest is behind it, and it limits nothing; it may stay until the guest ends. It is left alone`
    : `${UNKNOWN}. If that is lost: no disk of the guest uses it, QMP's blockdev-del closes it once its jobs are gone; its file stays. It is left alone`;
}

/** Of a throttle group, which marks the QEMU in which a saga works. */
export function orphanGroup(): string {
  return `${UNKNOWN}. If that is lost: it is only a mark, QMP's object-del takes it away once its jobs and nodes are gone. It is left alone`;
}

/** Of a paused guest. */
export function orphanedGuest(): string {
  return (
    'find the journal of that saga before you resume the guest, and name it with --journal. If it is lost: while the guest ' +
    "is paused both sides of each disk are the same. End the saga's jobs with QMP's job-cancel, write down which images " +
    'the disks are on then ("blocksaga chain"), resume the guest with cont, and start it on those images from now on'
  );
}
