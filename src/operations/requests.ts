/**
 * What may be asked for, checked in full before QEMU is spoken to: shapes, ranges and contradictions. What depends on
 * the guest is checked against it by the planners.
 */
import { BlocksagaError } from '../errors.ts';
import { isNbdAddress } from '../images/nbd-address.ts';
import { checkRequest } from './check-request.ts';
import { requestShapes } from './request-shapes.ts';
import type {
  CommitRequest,
  CopyRequest,
  PullRequest,
  RevertRequest,
  SnapshotRequest,
} from './request-types.generated.ts';

export type { CommitRequest, CopyRequest, PullRequest, RevertRequest, SnapshotRequest };

/** Throws REQUEST_INVALID naming the field and the rule. */
export function checkRevertRequest(request: unknown): RevertRequest {
  return checkRequest(requestShapes.revert, request);
}

/** Throws REQUEST_INVALID naming the field and the rule. */
export function checkPullRequest(request: unknown): PullRequest {
  return checkRequest(requestShapes.pull, request);
}

/** Throws REQUEST_INVALID naming the field and the rule. */
export function checkCommitRequest(request: unknown): CommitRequest {
  return checkRequest(requestShapes.commit, request);
}

/** Throws REQUEST_INVALID naming the field and the rule. */
export function checkSnapshotRequest(request: unknown): SnapshotRequest {
  const checked = checkRequest(requestShapes.snapshot, request);
  const nameless = checked.disks.find(({ overlay }) => overlay === undefined);
  if (nameless !== undefined && checked.name === undefined) {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `disk ${nameless.disk}: say the overlay's file, or give the snapshot a name to make one from`,
      { disk: nameless.disk },
    );
  }
  refuseMirrorWishes(checked);
  return checked;
}

function refuseMirrorWishes(checked: SnapshotRequest): void {
  const { disks, strategy, parallel, bandwidth } = checked;
  const alone = disks.find(disk => disk.mirror === undefined);
  const refuse = (why: string): never => {
    throw new BlocksagaError('REQUEST_INVALID', why, alone === undefined ? {} : { disk: alone.disk });
  };
  if (hasMirrorWishes(checked) && alone !== undefined) {
    refuse(`disk ${alone.disk} has no mirror: all disks of one snapshot have one, or none`);
  }
  if (alone !== undefined && [strategy, parallel, bandwidth].some(option => option !== undefined)) {
    refuse('strategy, parallel and bandwidth are about mirrors, and no disk has one');
  }
  if (alone?.mirrorReuse)
    refuse(`disk ${alone.disk}: mirrorReuse says something of a mirror, and there is none`);
}

/** Whether the overlays are to be mirrored. */
export function hasMirrorWishes({ disks }: SnapshotRequest): boolean {
  return disks.some(disk => disk.mirror !== undefined);
}

/** Throws REQUEST_INVALID naming the field and the rule. */
export function checkCopyRequest(request: unknown): CopyRequest {
  const checked = checkRequest(requestShapes.copy, request);
  if (checked.quiesce !== undefined && checked.finish !== 'clone') {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      'quiesce is for the instant of a clone: say finish=clone, or leave it out where the guest goes on on its copies',
    );
  }
  for (const { disk, raw, format, base, shallow, to } of checked.disks) {
    const refuse = (why: string): never => {
      throw new BlocksagaError('REQUEST_INVALID', `disk ${disk}: ${why}`, { disk });
    };
    if (raw && format !== undefined && format !== 'raw')
      refuse(`raw and format=${format} contradict each other`);
    if (base === undefined) continue;
    if (raw || format === 'raw' || isNbdAddress(to)) refuse('a raw image cannot stand on a base');
    if (format === 'luks') refuse('a luks image cannot stand on a base');
    if (shallow) refuse('shallow and base contradict each other: the one is right below, the other is said');
  }
  return checked;
}
