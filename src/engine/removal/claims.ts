/**
 * Which files a saga has made, as far as its records say: what it may remove, and what it must own up to when it is left.
 * It only reads.
 */

import { dirname, join } from 'node:path';
import { CLAIM_BYTES, unfinishedName } from '../../images/claim-text.ts';
import { isSameFile } from '../../images/file-identity.ts';
import type { FileFacts, Files } from '../../images/files.ts';
import { member } from '../../journal/body.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import type { Json } from '../../qmp/transport.ts';
import { claimText, type Release, type ReleaseMoved } from '../../steps/prepare/release-claims.ts';

/** The identity under which the saga has claimed what stands there, when the records prove it, and it still has it. */
export function claimOf(
  disk: DiskPlan,
  { identity, claim }: Pick<FileFacts, 'identity' | 'claim'>,
  records: readonly JournalRecord[],
): string | undefined {
  if (isReleased(disk, records)) return undefined;
  const claims = claimsIn(records);
  if (claims !== undefined) return claims.get(disk.index);
  // Died while claiming: its own words are in it.
  return claim === claimText(disk) && mayHaveMade(disk, records) ? identity : undefined;
}

/** Whether the saga, or QEMU for it, may have made what stands there; false where the records prove that it did not. */
export function isMaybeOurs(disk: DiskPlan, identity: string, records: readonly JournalRecord[]): boolean {
  const claim = claimsIn(records)?.get(disk.index);
  if (claim === undefined) return mayHaveMade(disk, records);
  return claim === identity && !isReleased(disk, records);
}

/** Whether that very file is the one that was made for the disk, whether or not it was to be removed since. */
export function isFileOf({ index }: DiskPlan, identity: string, records: readonly JournalRecord[]): boolean {
  return claimsIn(records)?.get(index) === identity;
}

/** Whether QEMU may have made the disk's image under a name that this process has not claimed, so where it need not see it. */
export function isMadeElsewhere({ index }: DiskPlan, records: readonly JournalRecord[]): boolean {
  return mayQemuHaveMade(records) && claimsIn(records)?.has(index) === false;
}

/** Whether QEMU may have been told to make images, in these records of one stage. */
function mayQemuHaveMade(records: readonly JournalRecord[]): boolean {
  return records.some(({ kind, step }) => kind === 'intent' && MAKES.has(step));
}

/** The steps in which QEMU makes images. */
export const MAKES: ReadonlySet<string> = new Set([
  'createImages',
  'takeSnapshotSync',
  'takeSnapshotsOneByOne',
  'takeSnapshotInPause',
  'mirrorDisks',
]);

/** The file that the saga or QEMU may have made for the disk, where no one can look. */
export function unseenFiles(disk: DiskPlan, records: readonly JournalRecord[]): readonly string[] {
  const isMaybeClaimed = mayHaveMade(disk, records) && !wasRemoved(disk, records);
  return isMaybeClaimed || mayQemuHaveMade(records) ? [disk.image.file] : [];
}

/** The name under which a process that died may have left the disk's file before that had its own, where no one can look. */
export function unseenUnfinished(disk: DiskPlan, records: readonly JournalRecord[]): readonly string[] {
  const isClaimed = claimsIn(records)?.has(disk.index) === true || wasRemoved(disk, records);
  if (isClaimed || !mayHaveMade(disk, records)) return [];
  const { file } = disk.image;
  const unfinished = join(dirname(file), unfinishedName(claimText(disk)));
  return [`${unfinished} (${file} had this name while it was made: remove it where it is there)`];
}

/** Why a file that holds less than the claim stands there: the file system has no hard links, or it is not the saga's. */
export function unfinishedWords(
  disk: DiskPlan,
  { sizeBytes, claim }: Pick<FileFacts, 'sizeBytes' | 'claim'>,
  records: readonly JournalRecord[],
): string {
  const isBare = claim === undefined && sizeBytes <= CLAIM_BYTES && claimsIn(records) === undefined;
  if (!isBare) return disk.image.file;
  return `${disk.image.file} (${sizeBytes} bytes, which a process of this saga had begun to make when it died, or which is a third party's: remove it if it is no one's)`;
}

/** What the undo found in the places of files that the saga had made, in words for people. */
export function strayedFiles(
  disks: readonly DiskPlan[],
  records: readonly JournalRecord[],
): readonly string[] {
  return releasesIn(records).flatMap(released => {
    const { index, identity, instead } = released;
    const file = disks[index]?.image.file;
    if (file !== undefined && 'file' in released) return [movedBare(file, released)];
    return instead === null || file === undefined ? [] : [strayed(file, identity, instead)];
  });
}

/**
 * Files that processes of the saga had made and died without a word, where the next one has found them under other names than those
 * under which it has made its own.
 */
export async function movedFiles(
  disks: readonly DiskPlan[],
  records: readonly JournalRecord[],
  files: Pick<Files, 'stat'>,
): Promise<readonly string[]> {
  const claims = member(outcomeIn(records), 'value');
  const left: string[] = [];
  for (const claim of Array.isArray(claims) ? claims : []) {
    const moved = member(claim, 'moved');
    const file = disks.find(({ index }) => index === member(claim, 'index'))?.image.file;
    if (moved === null || file === undefined) continue;
    const now = { file: String(member(moved, 'file')), identity: String(member(moved, 'identity')) };
    if ((await files.stat(now.file))?.identity === now.identity) left.push(movedBare(file, now));
  }
  return left;
}

function movedBare(file: string, now: { readonly file: string; readonly identity: string }): string {
  const inode = now.identity.split(':')[1] ?? now.identity;
  return `${now.file} (made by this saga as inode ${inode} with the name ${file}, which a third party has changed when the saga had no process: nothing is in it, remove it)`;
}

/** A file of the saga's own that was looked for and is not under its name. */
export function strayed(file: string, identity: string, instead: 'nothing' | 'other'): string {
  const inode = identity.split(':')[1] ?? identity;
  const what = instead === 'nothing' ? 'nothing stands' : 'another file, which stays, stands';
  return `${file} (made by this saga as inode ${inode}: ${what} under its name now, so it was moved or removed; find -inum ${inode} looks for it)`;
}

/** The claim on a disk's file that the records tell of, and that has not been given up. */
export function heldClaim(disk: DiskPlan, records: readonly JournalRecord[]): string | undefined {
  return isReleased(disk, records) ? undefined : claimsIn(records)?.get(disk.index);
}

/** Whether there is a file under the name of a disk's image that is not the one which the saga has claimed. */
export function takenByAnother(
  records: readonly JournalRecord[],
  files: Pick<Files, 'stat'>,
): (disk: DiskPlan) => Promise<boolean> {
  return async disk => {
    const held = heldClaim(disk, records);
    const stands = held === undefined ? undefined : await files.stat(disk.image.file);
    return held !== undefined && stands !== undefined && !isSameFile(held, stands.identity);
  };
}

/** Given up once, it is given up for ever: what stands at that name later is another file, whatever its number. */
export function isReleased({ index }: DiskPlan, records: readonly JournalRecord[]): boolean {
  const claimed = records.findLast(({ kind, step }) => kind === 'intent' && step === CLAIM)?.seq ?? 0;
  return records.some(
    ({ kind, step, seq, body }) =>
      kind === 'outcome' &&
      seq > claimed &&
      member(body, 'error') === null &&
      (step === RELEASE || (step === DROPPED && isListed(member(body, 'value'), index))),
  );
}

/** The record of what an offline recovery gives up, by the indexes of its disks: first as intent, then as outcome. */
export const DROPPED = 'dropImages';

const CLAIM = 'claimFiles';
const RELEASE = `undo.${CLAIM}`;

function isListed(value: Json, index: number): boolean {
  return Array.isArray(value) && value.includes(index);
}

function releasesIn(records: readonly JournalRecord[]): readonly (Release | ReleaseMoved)[] {
  const body = records.findLast(({ kind, step }) => kind === 'outcome' && step === RELEASE)?.body ?? null;
  const released = member(body, 'value');
  return Array.isArray(released) ? (released as readonly (Release | ReleaseMoved)[]) : [];
}

function wasRemoved({ index }: DiskPlan, records: readonly JournalRecord[]): boolean {
  return releasesIn(records).some(released => released.index === index && released.instead === null);
}

/** Nothing was there before, and no third party's file was found there since. */
function mayHaveMade(disk: DiskPlan, records: readonly JournalRecord[]): boolean {
  const intent = records.findLast(({ kind, step }) => kind === 'intent' && step === CLAIM);
  const free = member(intent?.body ?? null, 'observed');
  if (!isListed(free, disk.index)) return false;
  const error = member(outcomeIn(records), 'error');
  return !(member(error, 'code') === 'TARGET_EXISTS' && member(error, 'disk') === disk.disk);
}

/** By disk, the identities of the files that were claimed; undefined when the records do not say. */
function claimsIn(records: readonly JournalRecord[]): ReadonlyMap<number, string> | undefined {
  const claims = member(outcomeIn(records), 'value');
  if (!Array.isArray(claims)) return undefined;
  return new Map(
    claims.map((claim: Json) => [Number(member(claim, 'index')), String(member(claim, 'identity'))]),
  );
}

function outcomeIn(records: readonly JournalRecord[]): Json {
  return records.findLast(({ kind, step }) => kind === 'outcome' && step === CLAIM)?.body ?? null;
}
