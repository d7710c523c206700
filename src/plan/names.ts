/**
 * The names of everything a saga makes in QEMU, derived from the saga's id and the disk's index alone, so that after
 * a crash a step can ask QEMU whether its effect is there. Node names may have 31 characters (QEMU block.c).
 */
import { createHash } from 'node:crypto';

const PREFIX = 'bs-';
const TOKEN_LENGTH = 8;

/** The token that was asked for last: one saga asks again and again. */
let last = { sagaId: '', token: '' };

/** Eight letters or digits that stand for the saga in every name. */
export function sagaToken(sagaId: string): string {
  if (last.sagaId !== sagaId || sagaId === '') last = { sagaId, token: hashed(sagaId) };
  return last.token;
}

function hashed(sagaId: string): string {
  const digest = createHash('sha256').update(sagaId).digest();
  return BigInt(`0x${digest.toString('hex')}`)
    .toString(36)
    .slice(-TOKEN_LENGTH);
}

/** The names that one disk of one saga uses. */
export interface DiskNames {
  readonly image: string;
  readonly imageFile: string;
  readonly createJob: string;
  readonly fillJob: string;
  readonly job: string;
  readonly undoJob: string;
  readonly filter: string;
  readonly revived: string;
  readonly chain: string;
}

/** `mark` tells the second stage of a saga from its first, which names the same disks. */
export function diskNames(token: string, index: number, mark = ''): DiskNames {
  const stem = `${PREFIX}${token}-${mark}${index}`;
  return {
    image: stem,
    imageFile: `${stem}-file`,
    createJob: `${stem}-create`,
    fillJob: `${stem}-fill`,
    job: `${stem}-job`,
    undoJob: `${stem}-undo`,
    filter: `${stem}-filter`,
    revived: `${stem}-old`,
    chain: `${stem}-chain`,
  };
}

/** What a disk's new image is open as while its header is proved: whole, or one image of its chain alone. */
export function proofName({ image }: DiskNames, place?: number): string {
  return `${image}-proof${place ?? ''}`;
}

/** The throttle group without limits that the filters of a saga share; also the mark by which its QEMU is known. */
export function groupName(token: string): string {
  return `${PREFIX}${token}-group`;
}

/** The object that is there once a saga has begun to end its mirrors, with the guest stopped and nothing left to copy. */
export function settlingName(token: string): string {
  return `${PREFIX}${token}-settling`;
}

/**
 * The object that is there once a saga has sent the snapshot of its disks, until that is rolled back or the saga has
 * ended.
 */
export function takingName(token: string): string {
  return `${PREFIX}${token}-taking`;
}

/** The object whose limit is how much of the saga is in its journal; no image is ever throttled by it. */
export function countName(token: string): string {
  return `${PREFIX}${token}-count`;
}

export function isCountName(name: string): boolean {
  return isSagaName(name) && name.endsWith('-count');
}

/** Whether a node, job or object name can only have come from the saga with this token. */
export function isOurs(name: string, token: string): boolean {
  return name.startsWith(`${PREFIX}${token}-`);
}

/** Whether a name has the form of a saga's own, whichever saga that is. */
export function isSagaName(name: string): boolean {
  return tokenOf(name) !== undefined;
}

/** The token in a name of that form; a saga whose id is known has made it when its own token is this one. */
export function tokenOf(name: string): string | undefined {
  return /^bs-([0-9a-z]{8})-/.exec(name)?.[1];
}
