/** The laws about what is left when QEMU or its host has died: which images an offline recovery names, and what they hold. */
import { valueAt, withData } from '../../sim/host/contents.ts';
import type { Account } from '../account/account.ts';
import type { DiskSight, Sight } from '../account/sight.ts';
import { isClone } from '../scenario/wish.ts';
import { isTheirs, theirFile } from '../scenario/wish-files.ts';
import { diskName } from '../scenario/wish-request.ts';
import { isNamedElsewhere } from './elsewhere-law.ts';
import {
  areOnNew,
  lostOffline,
  lostWrites,
  mayLoseWrites,
  removedBy,
  setSeen,
  wrongChain,
} from './end-laws.ts';
import { endAtLast } from './excuse-conditions.ts';
import { judgeRevertedAfterPowerCut } from './judge-revert.ts';
import type { ContentsByDisk } from './judge-writes.ts';
import { isDoubted } from './last-image.ts';
import { isMoved, isReplaced, meetsMoved } from './moved-files.ts';
import { copiedMeanwhile, newFilesOf } from './nothing-left-law.ts';
import type { Pardon } from './pardon.ts';
import { isSideOfRevert } from './unplugged-law.ts';

/** One set for all disks, which boots, holds what was acknowledged, and stands alone. */
export function deadLeaveOneSet(account: Account, pardon: Pardon): string | undefined {
  const { offline, crash } = account;
  if (offline === undefined || crash !== undefined) return undefined;
  if (pardon.excuses('the dead leave one set', endAtLast(account))) return undefined;
  const { error, booted, result } = offline;
  if (error !== undefined) return `the recovery gave up: ${error.code} ${error.message}`;
  const end = result?.outcome;
  if (end !== undefined && end !== 'committed' && end !== 'rolledBack')
    return `it ended as ${end}: ${result?.error?.message}`;
  if (booted === undefined || result === undefined) return 'no QEMU was started on what the recovery names';
  return (
    oneSet(account, booted) ??
    holdsAll(account, booted) ??
    standsAlone(account, booted, result.outcome === 'committed', result.leftovers)
  );
}

/** The same of a saga that no process can end while its QEMU lives, once its administrator has shut that down. */
export function stuckLeaveOneSet(account: Account, pardon: Pardon): string | undefined {
  const { shutDown } = account;
  if (shutDown === undefined || pardon.excuses('the stuck end offline', endAtLast(account))) return undefined;
  return deadLeaveOneSet({ ...account, offline: shutDown }, pardon);
}

/** Where an older copy of the journal was put back: what a QEMU that is started on the named images reads. */
export function newestIsKept(account: Account, pardon: Pardon): string | undefined {
  const { isRestored, offline, crash, before, atLast } = account;
  if (!isRestored || crash !== undefined || offline === undefined) return undefined;
  if (pardon.excuses('no newer image is given up', endAtLast(account))) return undefined;
  const { error, booted, result } = offline;
  // Which image is missing it says, and an administrator knows where that is.
  if (error?.code === 'FILES') return lostOffline(account, before, atLast);
  if (error !== undefined) return `the recovery gave up: ${error.code} ${error.message}`;
  if (booted === undefined || result === undefined) return 'no QEMU was started on what the recovery names';
  if (mayLoseWrites(account)) return undefined;
  const images = contentsBooted(account, booted);
  const fronts = (index: number) => imageNamed(account, booted, index);
  const isOnNew = areOnNew(account, booted.disks);
  return lostWrites(account, images, atLast, isOnNew, fronts);
}

/**
 * Where a disk is to be looked for: in what it boots; of one that has left, in the image that it was on last, where the recovery names
 * that beside the other one as the two to be compared.
 */
function imageNamed({ offline, atLast }: Account, { disks }: Sight, index: number): string | undefined {
  const last = atLast.left.get(index)?.path;
  return last !== undefined && isDoubted(offline?.result, last) ? last : disks[index]?.path;
}

/** A disk that is not the saga's boots what a third party has put under its name: what it held is where its administrator finds it. */
function contentsBooted(account: Account, booted: Sight): ContentsByDisk {
  const { disks, putBack, files } = booted;
  const moved = account.moved.filter(({ back }) => back === undefined);
  const isAstray = (index: number, path: string) =>
    isMoved({ moved }, path) && !account.scenario.wish.named.includes(index);
  return new Map(
    disks.map(({ path, contents }, index) => {
      if (isAstray(index, path)) return [index, putBack.get(path) ?? contents];
      const named = imageNamed(account, booted, index);
      return [index, named === undefined || named === path ? contents : (files.get(named) ?? [])];
    }),
  );
}

function oneSet(account: Account, booted: Sight): string | undefined {
  const { scenario, before, offline } = account;
  const { wish } = scenario;
  const moves = offline?.result?.outcome === 'committed' && !isClone(wish);
  const set = setSeen(account, booted.disks);
  for (const [index, disk] of booted.disks.entries()) {
    const { device, path } = disk;
    const left = lastOfLeft(account, index);
    if (left !== undefined) {
      // An empty overlay below a filter that its device has left reads as what the device was on.
      if (left === path || readsAsLeft(account, index, disk)) continue;
      if (isSideOfRevert(account, index, path, offline?.result?.outcome === 'committed')) continue;
      return `${device}, which has left, is said to have been on ${path} last, and was on ${left}`;
    }
    // A disk that is not the saga's boots what a third party has put under its names.
    const isOthers = !wish.named.includes(index) && meetsMoved(account, disk);
    if (isOthers && path === before.disks[index]?.path) continue;
    const isSwitched = moves && wish.named.includes(index);
    const chain = isSwitched ? set(index) : (before.disks[index]?.chain ?? []).map(image => image.path);
    const front = chain[0] ?? theirFile(index);
    if (path !== front) return `${device} is to be booted from ${path}, not from ${front}`;
    const wrong = wrongChain(chain, disk);
    if (wrong !== undefined && !isNamedByTheirs(account, index, disk)) return wrong;
  }
  return undefined;
}

/**
 * The header of a third party's overlay above an encrypted image names all that was below it when it was made, by one `json:` name: so it
 * boots, and reads the same, also where the image below it has a shorter chain of its own since.
 */
function isNamedByTheirs({ scenario, before }: Account, index: number, disk: DiskSight): boolean {
  const chain = (before.disks[index]?.chain ?? []).map(image => image.path);
  return (
    disk.cover !== undefined && scenario.guest.encrypted === true && wrongChain(chain, disk) === undefined
  );
}

/** The image that a disk was on last of which the recovery says that it has left; undefined where it was not known to have. */
function lastOfLeft({ scenario, offline, atLast }: Account, index: number): string | undefined {
  const told = offline?.result?.disks.find(({ disk }) => disk === diskName(scenario.guest, index));
  if (told?.unplugged === undefined) return undefined;
  const path = atLast.left.get(index)?.path;
  return path !== undefined && isDoubted(offline?.result, path) ? told.unplugged.file : path;
}

/** Whether a boot reads of it what the guest read last. */
function readsAsLeft({ atLast }: Account, index: number, { contents }: Sight['disks'][number]): boolean {
  const last = atLast.left.get(index)?.contents;
  return last !== undefined && JSON.stringify(withData(contents)) === JSON.stringify(withData(last));
}

function holdsAll(account: Account, booted: Sight): string | undefined {
  const { scenario, offline, flushed, atLast } = account;
  const images = contentsBooted(account, booted);
  const isOnNew = offline?.result?.outcome === 'committed';
  const fronts = (index: number) => imageNamed(account, booted, index);
  if (!mayLoseWrites(account)) return lostWrites(account, images, atLast, isOnNew, fronts);
  if (isOnNew && scenario.wish.operation === 'revert') {
    return judgeRevertedAfterPowerCut(account, images, (disk, file) => booted.disks[disk]?.path === file);
  }
  const lost = flushed.find(
    ({ disk, offset, value }) => (valueAt(images.get(disk) ?? [], offset) ?? 0) < value,
  );
  return lost === undefined ? undefined : `write ${lost.value} to disk ${lost.disk} was flushed, and is gone`;
}

function standsAlone(
  account: Account,
  booted: Sight,
  committed: boolean,
  leftovers: readonly string[],
): string | undefined {
  const { scenario, before, atLast } = account;
  const { wish } = scenario;
  const removed = removedBy({ ...account, records: [] }, committed ? 'committed' : 'rolledBack');
  const told = leftovers.map(each => each.replace(/ \(.*$/s, ''));
  const ofLeft = [...atLast.left.values()].flatMap(({ headers }) => headers);
  const theirs = [...before.files.keys(), ...told, ...copiedMeanwhile(wish)];
  // What a third party's overlay stands on is not removed, as was asked, but told; so is a file that is not the one that the saga knew.
  const stay = told.filter(file => booted.underTheirs.has(file) || isReplaced(account, file));
  const expected = new Set([...theirs.filter(file => !removed.has(file)), ...ofLeft, ...stay]);
  const set = setSeen(account, booted.disks);
  if (committed)
    for (const index of wish.named) for (const file of newFilesOf(wish, set, index)) expected.add(file);
  const moved = account.moved.filter(({ back }) => back === undefined);
  const mayBeGone = (file: string) => removed.has(file) || isMoved({ moved }, file);
  const lost = [...before.files.keys()].find(file => !booted.files.has(file) && !mayBeGone(file));
  if (lost !== undefined) return `${lost} is gone`;
  for (const file of account.squatted) expected.add(file);
  // What a disk that has left is said to have been on; whether that is right is asked by the set.
  for (const disk of account.offline?.result?.disks ?? [])
    if (disk.unplugged) expected.add(disk.unplugged.file);
  for (const file of told) if (isNamedElsewhere(account, { leftovers }, file)) expected.add(file);
  const left = [...booted.files.keys()].find(file => !expected.has(file) && !isTheirs(file));
  return left === undefined ? undefined : `the file ${left} is left`;
}
