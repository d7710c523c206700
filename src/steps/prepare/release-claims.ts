/**
 * Gives up the files that a saga has claimed: removes each that is closed in QEMU, and says of the others what stood under their
 * names. What cannot be proved to be the saga's own is never removed.
 */
import { dirname } from 'node:path';
import { BlocksagaError, invariant } from '../../errors.ts';
import { openFiles } from '../../guest/graph.ts';
import type { Files } from '../../images/files.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import type { QmpClient } from '../../qmp/client.ts';
import type { Json } from '../../qmp/transport.ts';
import { closeOurs } from './seen-by-qemu.ts';

/** What was claimed. */
export type Claims = readonly (Claim | ClaimAgain)[];

/** The disk's index, and the identity of the file made for it. */
type Claim = { readonly index: number; readonly identity: string };

/** With another file that a process had made for it before it died, where a third party has moved that since. */
type ClaimAgain = Claim & { readonly moved: Moved };

type Moved = { readonly file: string; readonly identity: string };

/** What became of a claim that was given up: the file was removed, or its name had led elsewhere before. */
export type Release = Claim & {
  /** What stood there instead: `nothing`, or the file of a third party, which stays; null where it was the saga's own. */
  readonly instead: 'nothing' | 'other' | null;
};

/** A file that a process had made and died without a word, where a third party has moved it since. */
export type ReleaseMoved = Release & Moved;

/** What stood at a new image's name before it was given up, and whether that still was the bare claim. */
export interface Seen {
  readonly [key: string]: Json;
  readonly index: number;
  readonly identity: string;
  readonly isClaimed: boolean;
}

/** What stood at the name of a claim right in front of its removal, where that was not the claimed file. */
interface Instead {
  readonly index: number;
  readonly instead: 'nothing' | 'other';
}

/** What an undo has found: names that led elsewhere, and files of processes that died, which have other names by now. */
export interface Came {
  readonly instead: readonly Instead[];
  readonly moved: readonly (Moved & { readonly index: number })[];
  /** Where there are no files to look at: nothing was given up. */
  readonly isBlind?: true;
}

/** What is written into the file that is made for a disk: the name that no other saga and no other disk has. */
export function claimText(disk: Pick<DiskPlan, 'names'>): string {
  return disk.names.image;
}

/** Where the outcome is not known, what holds the saga's own claim. */
export function claimsToRelease(observed: Json, outcome: Json | undefined): Claims {
  return (
    (outcome as Claims | null | undefined) ?? (observed as readonly Seen[]).filter(each => each.isClaimed)
  );
}

/** What became of each claim, for the record. */
export function releasesOf(
  observed: Json,
  outcome: Json | undefined,
  came: Came | undefined,
): readonly (Release | ReleaseMoved)[] {
  if (came?.isBlind) return [];
  const seen = new Map((observed as readonly Seen[]).map(({ index, identity }) => [index, identity]));
  const released = claimsToRelease(observed, outcome).map(({ index, identity }): Release => {
    const found = seen.get(index);
    const atFirst = found === identity ? null : found === undefined ? 'nothing' : 'other';
    const late = came?.instead.find(each => each.index === index)?.instead;
    return { index, identity, instead: atFirst ?? late ?? null };
  });
  const moved = (came?.moved ?? []).map((each): ReleaseMoved => ({ ...each, instead: 'nothing' }));
  return [...released, ...moved];
}

/**
 * What QEMU has open is in use, even if a third party has put it there: a guest may be on it, or it may be an overlay's
 * backing image.
 */
export async function expectClosed(
  qmp: QmpClient,
  disks: readonly DiskPlan[],
  claims: Claims,
): Promise<void> {
  if (claims.length === 0) return;
  let open = await openFiles(qmp);
  const mayBeOurs = claims
    .flatMap(({ index }) => disks[index] ?? [])
    .filter(disk => open.has(disk.image.file));
  if (mayBeOurs.length > 0) {
    await closeOurs(qmp, mayBeOurs);
    open = await openFiles(qmp);
  }
  for (const { index } of claims) {
    const disk = disks[index];
    if (disk === undefined || !open.has(disk.image.file)) continue;
    throw new BlocksagaError(
      'FOREIGN',
      `disk ${disk.disk}: ${disk.image.file} is to be removed, and QEMU has it open still; close what stands on it, then resume`,
      { disk: disk.disk },
    );
  }
}

/**
 * Removes each of these files. `unlinked` are those, by identity, that this process has begun to remove in attempts before; null
 * where an earlier process may have: nothing may stand under the name of such a one because it is removed.
 */
export async function release(
  files: Files,
  disks: readonly DiskPlan[],
  claims: Claims,
  unlinked: Set<string> | null = new Set(),
): Promise<readonly Instead[]> {
  const found: Instead[] = [];
  const inEach = new Map<string, string>();
  for (const { index, identity } of claims) {
    const disk = disks[index];
    invariant(disk?.index === index, `claim of disk ${index} that the plan does not have`);
    const { file } = disk.image;
    const stands = (await files.stat(file))?.identity;
    const mayBeGone = unlinked === null || unlinked.has(identity);
    if (stands === identity) unlinked?.add(identity);
    else if (stands !== undefined) found.push({ index, instead: 'other' });
    else if (!mayBeGone || (await isElsewhere(files, file, identity)))
      found.push({ index, instead: 'nothing' });
    await files.unlink(file, identity);
    // Its directory may be gone as well, by another name or for good.
    if ((await files.stat(dirname(file))) !== undefined) inEach.set(dirname(file), file);
  }
  // Not durable before the directory is: a power cut would bring back what the saga says is gone.
  for (const file of inEach.values()) await files.syncDirectory(file);
  return found;
}

/** Whether a file that nothing leads to by its name is there yet, as far as its directory tells, or is not there itself. */
async function isElsewhere(files: Files, file: string, identity: string): Promise<boolean> {
  if ((await files.stat(dirname(file))) === undefined) return true;
  return (await files.findMoved?.(file, { identity })) !== undefined;
}

/** Files that processes have made for these disks and died without a word, and that a third party has given other names. */
export async function movedClaims(files: Files, disks: readonly DiskPlan[]): Promise<Came['moved']> {
  const moved: (Moved & { readonly index: number })[] = [];
  for (const disk of disks) {
    if (!disk.image.create) continue;
    const found = await files.findMoved?.(disk.image.file, { claim: claimText(disk) });
    if (found !== undefined) moved.push({ index: disk.index, ...found });
  }
  return moved;
}

/** Removes what processes that died while they made the files of these disks have left beside them. */
export async function removeUnfinished(files: Files | null, disks: readonly DiskPlan[]): Promise<void> {
  for (const disk of disks) {
    if (disk.image.create) await files?.removeUnfinished?.(disk.image.file, claimText(disk));
  }
}
