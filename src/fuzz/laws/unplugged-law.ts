/**
 * The law about disks that a third party has unplugged: what a boot reads from the image that such a disk was on last is what the
 * guest read last, and the result names that image. It asks the simulated world for both, by the disk's own name.
 */
import { withData } from '../../sim/host/contents.ts';
import { type Account, askedOf } from '../account/account.ts';
import type { DiskSight, LeftDisk, Sight } from '../account/sight.ts';
import { newSetsOf } from '../scenario/wish-files.ts';
import { diskName } from '../scenario/wish-request.ts';
import { readsTheSame } from './boot-law.ts';
import type { EndCheck } from './each-end.ts';
import { leftBy, mayLoseWrites } from './end-laws.ts';
import { isDoubted, namedFor } from './last-image.ts';
import { isMoved, isTold, isUnseen, meetsMoved } from './moved-files.ts';

type End = Parameters<EndCheck>[0];
type Left = DiskSight & { readonly left: LeftDisk };

/**
 * Of a disk that is there no more: the image that the result names reads as the guest left it, and where none has been named, that
 * which it was on; all that it stands on is there.
 */
export function keepsUnplugged(end: End): string | undefined {
  const { account, outcome, before, now } = end;
  for (const [index, disk] of now.left) {
    const wrong = untold(end, index, disk);
    if (wrong !== undefined) return wrong;
    const start = before.disks[index];
    const isAsMade = start !== undefined && readsTheSame(start);
    if (!isAsMade || meetsMoved(account, disk) || isNamedInstead(end, index, disk)) continue;
    // What a rolled back revert has made for it held nothing of its own, and is removed.
    if (outcome === 'rolledBack' && account.scenario.wish.operation === 'revert') continue;
    const changed = changedSince(account, index, disk, now);
    if (changed !== undefined) return changed;
  }
  return undefined;
}

/**
 * Whether the result names another image that reads the same, as that into which the saga has merged the one that it was on, or did so
 * before an older copy of its journal was put back.
 */
function isNamedInstead(end: End, index: number, disk: Left): boolean {
  return [end.result, end.account.result].some(result => {
    const named = namedFor({ ...end, result }, index);
    return named !== undefined && named.file !== disk.path && readsAs(disk, named, end.now);
  });
}

function changedSince(account: Account, index: number, disk: Left, now: Sight): string | undefined {
  const { device, path, chain, headers, contents, rebooted } = disk;
  const missing = headers.find(file => !now.files.has(file));
  if (missing !== undefined) return `${missing} is gone, which ${device} needs, that was on ${path} last`;
  // A power cut takes what was not flushed.
  if (mayLoseWrites(account)) return undefined;
  if (JSON.stringify(withData(contents)) !== JSON.stringify(withData(rebooted)))
    return `a boot from ${path}, which ${device} was on last, reads other bytes than the guest`;
  // Images that are still empty read alike and are not.
  const chains = [chain.map(image => image.path), ...newSetsOf(askedOf(account)).map(set => set(index))];
  if (chains.some(each => each.join() === headers.join())) return undefined;
  return `${device} was on ${chains[0]?.join(' <- ')} last, and its headers say ${headers.join(' <- ')}`;
}

/** What the result says of it, where the saga has asked QEMU for its disks since it left. */
function untold({ account, outcome, result, now }: End, index: number, disk: Left): string | undefined {
  const { guest, wish } = account.scenario;
  const isEnd = outcome === 'committed' || outcome === 'rolledBack';
  // One that was given up before its first step says what its plan has seen, and asks for nothing more.
  const isBegun = account.records.some(({ kind }) => kind === 'intent');
  if (!isEnd || !isBegun || !wish.named.includes(index) || !wasSeen(now, disk)) return undefined;
  const told = result?.disks.find(each => each.disk === diskName(guest, index));
  if (told === undefined) return `the result does not name ${disk.device}`;
  if (told.after !== null)
    return `the result says that ${disk.device} is on ${told.after.file}, and it has left`;
  const named = told.unplugged;
  if (named === undefined && wasNotAsked(result, now)) return undefined;
  if (named === undefined)
    return `${disk.device} was on ${disk.path} last, and the result says nothing of it`;
  if (isMoved(account, named.file)) {
    if (isTold(result, named.file) || isUnseen(account, named.file)) return undefined;
    return `${named.file} was taken from the image that ${disk.device} was on last, and the result does not say so`;
  }
  if (isDoubted(result, disk.path) || readsAs(disk, named, now)) return undefined;
  // What it stands on has another name, as the result says, or where the saga could not see that: it reads the same once all have their own again.
  const isMovedBelow = disk.headers.some(
    name => isMoved(account, name) && (isTold(result, name) || isUnseen(account, name)),
  );
  if (isMovedBelow && readsAs(disk, named, { ...now, files: now.putBack })) return undefined;
  if (isSideOfRevert(account, index, named.file, outcome === 'committed')) return undefined;
  return `${disk.device} was on ${disk.path} last, and the result says ${named.file} (${named.format})`;
}

/** QEMU died in the look at the end, which is for disks that left unseen, and the result says that it could not be asked. */
function wasNotAsked(result: End['result'], { alive }: Sight): boolean {
  return !alive && (result?.leftovers ?? []).some(words => words.startsWith('what is left in QEMU ('));
}

/** In the switch of a revert nothing tells when a disk left: the side that all others are on is what was asked for. */
export function isSideOfRevert(account: Account, index: number, file: string, isCommitted: boolean): boolean {
  if (account.scenario.wish.operation !== 'revert') return false;
  return isCommitted ? isOnSet(account, index, file) : file === leftBy(account, index);
}

function isOnSet(account: Account, index: number, file: string): boolean {
  return newSetsOf(askedOf(account)).some(set => set(index)[0] === file);
}

/** Whether an image is the one that the disk was on, or reads the same as that: both sides do in a pause, and below an overlay. */
function readsAs(
  { path, contents }: Left,
  { file, format }: { readonly file: string; readonly format: string },
  { files, formats }: Sight,
): boolean {
  if (formats.get(file) !== format) return false;
  return (
    file === path || JSON.stringify(withData(files.get(file) ?? [])) === JSON.stringify(withData(contents))
  );
}

/** Whether it had left when the saga asked QEMU for its disks for the last time. */
function wasSeen({ lookedAtMs }: Sight, { left }: Left): boolean {
  return lookedAtMs !== undefined && left.atMs <= lookedAtMs;
}

/** What is open still of disks that no saga could see leaving. */
export function leftUnseen(now: Sight): ReadonlySet<string> {
  return new Set([...now.left.values()].flatMap(disk => (wasSeen(now, disk) ? [] : [...disk.left.open])));
}

/** What cannot be closed, as a filter of its administrator's stands on it that its disk has left as well. */
export function heldByFilters({ left }: Sight): ReadonlySet<string> {
  return new Set([...left.values()].flatMap(disk => [...disk.left.filtered]));
}
