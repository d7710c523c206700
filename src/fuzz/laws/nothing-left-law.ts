/**
 * The laws about what a saga leaves: nothing of its own in QEMU and no file but those that it was to make; and that the
 * result names all that is. What is left for a disk that a third party has unplugged is told, and nothing more than that.
 */
import { type Account, askedOf } from '../account/account.ts';
import { BITMAP } from '../account/prepare.ts';
import type { DiskSight, Sight } from '../account/sight.ts';
import { isMerge, type Wish } from '../scenario/wish.ts';
import { chainCopyOf, isTheirs, type NewSet, newFile, newSetsOf } from '../scenario/wish-files.ts';
import type { EndCheck } from './each-end.ts';
import { isNamedElsewhere } from './elsewhere-law.ts';
import { judgedOf, removedBy, setSeen } from './end-laws.ts';
import { isLastOfLeft } from './last-image.ts';
import { leftoversTellAll } from './left-law.ts';
import { isMoved, isTold, madeByThirdParties, takesNameOf } from './moved-files.ts';
import { heldByFilters, leftUnseen } from './unplugged-law.ts';

const PREFIX = 'bs-';

export function nothingLeft(end: Parameters<EndCheck>[0]): string | undefined {
  const { account, pardon, outcome, before, now } = end;
  if (outcome === 'needsRecovery' || pardon.excuses('nothing left', judgedOf(end))) return undefined;
  const file = filesLeft(end).find(
    each =>
      !isKeptForExport(each, end) &&
      !isMadeForLeft(each, end) &&
      !isNamedElsewhere(account, end.result, each) &&
      !isStrayed(each, end) &&
      !isKeptForTheirs(each, end) &&
      !isKeptForMoved(each, end),
  );
  const [elsewhere] = account.leftElsewhere;
  return (
    leftInQemu(end) ??
    (file === undefined ? undefined : `the file ${file} is left`) ??
    (elsewhere === undefined ? undefined : `the file ${elsewhere} is left where QEMU does not see it`) ??
    leftInChains(account, outcome, before, now)
  );
}

export function leftIsTold(end: Parameters<EndCheck>[0]): string | undefined {
  if (end.pardon.excuses('leftovers tell all', judgedOf(end))) return undefined;
  return leftoversTellAll(end, filesLeft(end));
}

/**
 * An image that was to be removed stays below one that is not the same any more, or while the one that its disk is on is not found
 * under its name; it is named. A QEMU that has died since shows no disk on it, and it was on it all the same.
 */
function isKeptForMoved(file: string, { account, outcome, result, now }: Parameters<EndCheck>[0]): boolean {
  const { before, scenario } = account;
  const { wish } = scenario;
  const at = before.disks.findIndex(({ chain }) => chain.some(({ path }) => path === file));
  const seen = [before.disks[at], now.disks[at]].flatMap(disk => disk?.chain.map(({ path }) => path) ?? []);
  const isOnNew = outcome === 'committed' && wish.named.includes(at);
  const made = isOnNew ? newFilesOf(wish, setSeen(account, now.disks), at) : [];
  return [...seen, ...made].some(name => isMoved(account, name)) && (result?.notRemoved ?? []).includes(file);
}

/** What QEMU has made anew under a name that a third party took from the saga's file cannot be told from that one's, and is named. */
function isStrayed(file: string, { account, result }: Parameters<EndCheck>[0]): boolean {
  return account.struck.some(({ fault }) => takesNameOf(fault, file)) && isTold(result, file);
}

/** What a third party's overlay stands on stays, whether or not a QEMU has that open, and is named. */
function isKeptForTheirs(file: string, { now, result }: Parameters<EndCheck>[0]): boolean {
  return now.underTheirs.has(file) && isTold(result, file);
}

/** What a third party exports stays open, and the result owns up to it. */
function isKeptForExport(file: string, { now, result }: Parameters<EndCheck>[0]): boolean {
  return now.exports.length > 0 && (result?.leftovers ?? []).some(left => left.includes(file));
}

/** An image that the saga has made for a disk that has left, or was to remove from one's chain, and that it names. */
function isMadeForLeft(file: string, { account, now, result }: Parameters<EndCheck>[0]): boolean {
  const { wish } = account.scenario;
  if (!isTold(result, file) && !isLastOfLeft(result, file)) return false;
  const left = wish.named.filter(index => now.left.has(index));
  return left.some(index => [...imagesMadeFor(account, index), ...chainOf(account, index)].includes(file));
}

/** All that a saga may make for a disk, whichever way it ends. */
function imagesMadeFor(account: Account, index: number): readonly string[] {
  return newSetsOf(askedOf(account)).flatMap(set => newFilesOf(account.scenario.wish, set, index));
}

function chainOf({ before }: Account, index: number): readonly string[] {
  return (before.disks[index]?.chain ?? []).map(({ path }) => path);
}

function leftInQemu({ account, outcome, before, now }: Parameters<EndCheck>[0]): string | undefined {
  if (!now.alive) return undefined;
  const ours = (names: readonly string[]) => names.filter(name => name.startsWith(PREFIX));
  const [job] = ours(now.jobs);
  if (job !== undefined) return `the job ${job} is left`;
  const [group] = ours(now.throttleGroups);
  if (group !== undefined) return `the throttle group ${group} is left`;
  const ofLeft = new Set([...leftUnseen(now), ...heldByFilters(now)]);
  const node = ours(now.nodes).find(name => !now.inUse.has(name) && !ofLeft.has(name));
  if (node !== undefined) return `the node ${node} is left and nothing uses it`;
  const filtered = now.disks.find(
    (disk, index) =>
      disk.left === undefined && disk.filters.length > (before.disks[index]?.filters.length ?? 0),
  );
  if (filtered !== undefined) return `${filtered.device} has the filter ${filtered.filters[0]} above it`;
  const [drained] = now.drained;
  if (drained !== undefined) return `the node ${drained} is still quiesced`;
  const { named } = account.scenario.wish;
  const goOn = outcome === 'committed' ? named.map(index => `${now.disks[index]?.own}/${BITMAP}`) : [];
  const bitmap = now.bitmaps.find(
    name =>
      !before.bitmaps.includes(name) && !goOn.includes(name) && !ofLeft.has(name.replace(/\/[^/]*$/, '')),
  );
  return bitmap === undefined ? undefined : `the bitmap ${bitmap} is left`;
}

/** The files that were not there before and are not to be there now. */
function filesLeft({ account, outcome, before, now }: Parameters<EndCheck>[0]): readonly string[] {
  const { wish } = account.scenario;
  const expected = new Set([...before.files.keys(), ...copiedMeanwhile(wish)]);
  const set = setSeen(account, now.disks);
  if (outcome === 'committed')
    for (const index of wish.named) for (const file of newFilesOf(wish, set, index)) expected.add(file);
  for (const file of removedBy(account, outcome)) expected.delete(file);
  for (const file of [...now.left.values()].flatMap(({ headers }) => headers)) expected.add(file);
  for (const file of [...account.squatted, ...madeByThirdParties(account)]) expected.add(file);
  return [...now.files.keys()].filter(file => !expected.has(file) && !isTheirs(file));
}

function leftInChains(account: Account, outcome: string, before: Sight, now: Sight): string | undefined {
  if (outcome !== 'rolledBack' || !now.alive) return undefined;
  const { wish } = account.scenario;
  for (const [index, disk] of now.disks.entries()) {
    if (disk.left !== undefined) continue;
    const wrong = changedChain(before.disks[index], disk, worksOnChains(wish));
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

/** The new images that a disk's saga leaves: those of its set, and the overlay that a mirror was made of. */
export function newFilesOf(wish: Wish, set: NewSet, index: number): readonly string[] {
  const [front = ''] = set(index);
  return wish.operation === 'snapshotMirror' ? [front, newFile(wish, index)] : [front];
}

/** Files that a third party makes while the saga runs, as it wants them. */
export function copiedMeanwhile(wish: Wish): readonly string[] {
  return wish.operation === 'snapshotMirror' && wish.ownChains ? wish.named.map(chainCopyOf) : [];
}

/** Whether jobs had bases in the disks' own chains: they were committed into, or streamed from down to one. */
function worksOnChains(wish: Wish): boolean {
  return isMerge(wish) || (wish.operation === 'copy' && wish.base !== undefined);
}

/** Which images are read-only after a job that was cancelled differs between versions of QEMU. */
function changedChain(before: DiskSight | undefined, now: DiskSight, afterJob: boolean): string | undefined {
  const words = (disk: DiskSight | undefined) =>
    disk?.chain
      .map(image => `${image.path} (${image.driver}${image.readOnly && !afterJob ? ', read-only' : ''})`)
      .join(' <- ');
  if (words(before) === words(now)) return undefined;
  return `the chain of ${now.device} was ${words(before)} and is ${words(now)}`;
}
