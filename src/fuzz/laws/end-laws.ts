/**
 * The laws about how things stand at an end, asked at the end under faults and again when all is calm. They look at the
 * simulated world only, and take from the engine nothing but the outcome that it claims.
 */

import { type Account, askedOf } from '../account/account.ts';
import { BITMAP } from '../account/prepare.ts';
import type { DiskSight, Sight } from '../account/sight.ts';
import { isClone, isMerge, type Wish } from '../scenario/wish.ts';
import {
  chainCopyOf,
  filesToRemove,
  frontIn,
  isTheirs,
  type NewSet,
  newFile,
  newSetsOf,
  theirFile,
} from '../scenario/wish-files.ts';
import { withCovers } from './covered-behind.ts';
import type { EndCheck } from './each-end.ts';
import { isNamedElsewhere } from './elsewhere-law.ts';
import { type EndJudged, endAtLast } from './excuse-conditions.ts';
import { judgeReverted } from './judge-revert.ts';
import { type ContentsByDisk, judgeWrites } from './judge-writes.ts';
import { leftoversTellAll } from './left-law.ts';
import { isMoved, madeByThirdParties, meetsMoved } from './moved-files.ts';
import type { Pardon } from './pardon.ts';

const PREFIX = 'bs-';

/**
 * The set of new images that the disks are on: where there are several it is told by the first disk, and all others must
 * be on the same one.
 */
export function setSeen(
  account: Pick<Account, 'scenario' | 'coveredFirst' | 'signalled' | 'offline'>,
  disks: readonly DiskSight[],
): NewSet {
  const { scenario, signalled, offline } = account;
  const [set, ...others] = newSetsOf(askedOf(account));
  const [first = 0] = scenario.wish.named;
  const mayBeOther = signalled.includes('keepSnapshot') || offline !== undefined;
  return (mayBeOther && others.find(other => other(first)[0] === disks[first]?.path)) || set;
}

export function allOrNone({ account, outcome, before, now }: Parameters<EndCheck>[0]): string | undefined {
  if (!now.alive || outcome === 'needsRecovery') return undefined;
  const { wish } = account.scenario;
  const moves = outcome === 'committed' && !isClone(wish);
  const set = setSeen(account, now.disks);
  for (const [index, disk] of now.disks.entries()) {
    const isMoved = moves && wish.named.includes(index);
    const expected = isMoved ? frontIn(set, index) : before.disks[index]?.path;
    if (disk.path !== expected) return `${disk.device} is on ${disk.path}, not on ${expected}`;
    const wrong = isMoved ? wrongChain(set(index), disk) : undefined;
    if (wrong !== undefined) return wrong;
    // Below a third party's overlay it recorded no more.
    if (isMoved && account.coveredFirst.includes(index)) continue;
    if (!hasBitmap(before, before.disks[index]) || hasBitmap(now, disk)) continue;
    return `the bitmap of ${disk.device} does not keep recording`;
  }
  if (outcome === 'committed' && isClone(wish)) {
    const missing = wish.named
      .map(index => newFile(wish, index))
      .find(file => !now.files.has(file) && !isMoved(account, file));
    if (missing !== undefined) return `the copy ${missing} is not there`;
  }
  return undefined;
}

function hasBitmap({ bitmaps }: Sight, disk: DiskSight | undefined): boolean {
  return bitmaps.includes(`${disk?.own}/${BITMAP}`);
}

/** The images that were to be there, and no others, in the open chain. */
export function wrongChain(expected: readonly string[], disk: DiskSight): string | undefined {
  const found = disk.chain.map(image => image.path);
  if (found.join() === expected.join()) return undefined;
  return `the chain of ${disk.device} is ${found.join(' <- ')}, not ${expected.join(' <- ')}`;
}

/** The files that a saga was asked to remove and may have, once it is decided that it rolls forward. */
export function removedBy(
  { scenario, coveredFirst, records }: Pick<Account, 'scenario' | 'coveredFirst' | 'records'>,
  outcome: string,
): ReadonlySet<string> {
  const last = records.findLast(({ kind }) => kind === 'decision');
  const isForward = outcome === 'committed' || (last?.body as { verdict?: string })?.verdict === 'forward';
  return new Set(isForward ? filesToRemove({ ...scenario, coveredFirst }) : []);
}

export function oneInstant({ account, outcome, now }: Parameters<EndCheck>[0]): string | undefined {
  const { wish, guest } = account.scenario;
  // What a merge leaves behind is based on images that the guest keeps writing to.
  if (outcome !== 'committed' || isMerge(wish)) return undefined;
  const removed = removedBy(account, outcome);
  const left = wish.named
    .map(index => [index, isClone(wish) ? newFile(wish, index) : leftBy(account, index)] as const)
    .filter(([, file]) => !removed.has(file) && !isMoved(account, file));
  const contents = new Map(left.map(([index, file]) => [index, now.files.get(file) ?? []]));
  return judgeWrites(contents, guest.disks).why;
}

/** The image that a disk was on when the plan was made. */
export function leftBy({ before, coveredFirst }: Account, index: number): string {
  return coveredFirst.includes(index) ? theirFile(index) : (before.disks[index]?.path ?? '');
}

/** What the saga has given up is another's. */
export function leavesToOthers(account: Account, pardon: Pardon): string | undefined {
  const { harmed } = account;
  if (harmed.length === 0 || pardon.excuses('only what is ours', endAtLast(account))) return undefined;
  return `the file that a third party made as ${harmed[0]}, when the saga had removed its own, is gone or was written to`;
}

export function unlinked({ unlinkedInUse }: Account): string | undefined {
  return unlinkedInUse.length === 0 ? undefined : `${unlinkedInUse[0]} was removed while it was in use`;
}

export function nothingLost(end: Parameters<EndCheck>[0]): string | undefined {
  const { account, pardon, outcome, before, now } = end;
  const removed = removedBy(account, outcome);
  for (const file of before.files.keys()) {
    const mayBeGone = removed.has(file) || isMoved(account, file) || wasRemovedBefore(account, file);
    if (!now.files.has(file) && !mayBeGone) return `${file} is gone`;
  }
  if (pardon.excuses('nothing lost', judgedOf(end))) return undefined;
  if (!now.alive) return lostOffline(account, before, now);
  const isOnNew = areOnNew(account, now.disks);
  for (const view of ['contents', 'rebooted'] as const) {
    // By names that a third party took from their files a boot finds nothing, or that one's.
    if (view === 'rebooted' && now.disks.some(disk => meetsMoved(account, disk))) continue;
    const images = new Map(now.disks.map((disk, index) => [index, disk[view]]));
    const wrong = lostWrites(account, images, now, isOnNew);
    if (wrong !== undefined) return `${view === 'contents' ? 'through QEMU' : 'in the files'} ${wrong}`;
  }
  return undefined;
}

/** An older copy of the journal does not say that the saga had rolled forward, and had removed what it was asked to. */
function wasRemovedBefore(account: Account, file: string): boolean {
  return account.isRestored && filesToRemove(askedOf(account)).includes(file);
}

/** Whether all named disks are on new images of one set. */
export function areOnNew(account: Account, disks: readonly DiskSight[]): boolean {
  const { named } = account.scenario.wish;
  const sets = newSetsOf(askedOf(account));
  return sets.some(set => named.every(index => disks[index]?.path === set(index)[0]));
}

/** What images lack of that which was acknowledged, as disks that are on their old images or on new ones. */
export function lostWrites(
  account: Pick<Account, 'scenario' | 'coveredFirst' | 'before'>,
  images: ContentsByDisk,
  { acknowledged }: Sight,
  isOnNew: boolean,
): string | undefined {
  const { wish, guest } = account.scenario;
  if (isOnNew && wish.operation === 'revert') return judgeReverted(account, images, acknowledged);
  const { why, upTo } = judgeWrites(images, guest.disks);
  if (why !== undefined || upTo === acknowledged) return why;
  return `write ${upTo} is the last, but ${acknowledged} were acknowledged`;
}

/** Whether the power failed while there was something that had not been flushed. */
export function mayLoseWrites({ struck, scenario }: Account): boolean {
  const failed = struck.some(({ fault }) => fault.kind === 'kill' && fault.what === 'host');
  return failed && scenario.wish.operation !== 'commitOffline';
}

/** QEMU is gone: one of the sets, all old or all new, must hold everything (a power cut may take unflushed writes). */
export function lostOffline(account: Account, before: Sight, now: Sight): string | undefined {
  const { wish } = account.scenario;
  if (mayLoseWrites(account) || account.moved.length > 0) return undefined;
  const holdsAll = (set: NewSet | undefined) => {
    const fileOf = (index: number) => {
      const old = leftBy(account, index);
      return wish.named.includes(index) ? (set?.(index)[0] ?? old) : old;
    };
    const files = before.disks.map((_disk, index) => [index, now.files.get(fileOf(index)) ?? []] as const);
    const images = withCovers(account, new Map(files), now);
    return lostWrites(account, images, now, set !== undefined) === undefined;
  };
  if ([undefined, ...newSetsOf(askedOf(account))].some(holdsAll)) return undefined;
  return 'QEMU is gone, and neither the old images nor the new ones hold all that was acknowledged';
}

export function nothingLeft(end: Parameters<EndCheck>[0]): string | undefined {
  const { account, pardon, outcome, before, now } = end;
  if (outcome === 'needsRecovery' || pardon.excuses('nothing left', judgedOf(end))) return undefined;
  const file = filesLeft(end).find(
    each => !isKeptForExport(each, end) && !isNamedElsewhere(account, end.result, each),
  );
  return (
    leftInQemu(account, outcome, before, now) ??
    (file === undefined ? undefined : `the file ${file} is left`) ??
    leftInChains(account, outcome, before, now)
  );
}

export function leftIsTold(end: Parameters<EndCheck>[0]): string | undefined {
  if (end.pardon.excuses('leftovers tell all', judgedOf(end))) return undefined;
  return leftoversTellAll(end, filesLeft(end));
}

/** What a third party exports stays open, and the result owns up to it. */
function isKeptForExport(file: string, { now, result }: Parameters<EndCheck>[0]): boolean {
  return now.exports.length > 0 && (result?.leftovers ?? []).some(left => left.includes(file));
}

function leftInQemu(account: Account, outcome: string, before: Sight, now: Sight): string | undefined {
  if (!now.alive) return undefined;
  const ours = (names: readonly string[]) => names.filter(name => name.startsWith(PREFIX));
  const [job] = ours(now.jobs);
  if (job !== undefined) return `the job ${job} is left`;
  const [group] = ours(now.throttleGroups);
  if (group !== undefined) return `the throttle group ${group} is left`;
  const node = ours(now.nodes).find(name => !now.inUse.has(name));
  if (node !== undefined) return `the node ${node} is left and nothing uses it`;
  const filtered = now.disks.find(
    (disk, index) => disk.filters.length > (before.disks[index]?.filters.length ?? 0),
  );
  if (filtered !== undefined) return `${filtered.device} has the filter ${filtered.filters[0]} above it`;
  const [drained] = now.drained;
  if (drained !== undefined) return `the node ${drained} is still quiesced`;
  const { named } = account.scenario.wish;
  const goOn = outcome === 'committed' ? named.map(index => `${now.disks[index]?.own}/${BITMAP}`) : [];
  const bitmap = now.bitmaps.find(name => !before.bitmaps.includes(name) && !goOn.includes(name));
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
  for (const file of [...account.squatted, ...madeByThirdParties(account)]) expected.add(file);
  return [...now.files.keys()].filter(file => !expected.has(file) && !isTheirs(file));
}

function leftInChains(account: Account, outcome: string, before: Sight, now: Sight): string | undefined {
  if (outcome !== 'rolledBack' || !now.alive) return undefined;
  const { wish } = account.scenario;
  for (const [index, disk] of now.disks.entries()) {
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

export function guestRuns(end: Parameters<EndCheck>[0]): string | undefined {
  const { pardon, outcome, before, now } = end;
  if (!now.alive) return undefined;
  if (now.frozen && now.runState === 'running' && outcome !== 'needsRecovery') return 'the guest is frozen';
  if (now.runState === before.runState || pardon.excuses('the guest runs', judgedOf(end))) return undefined;
  return `the guest was ${before.runState} and is ${now.runState}`;
}

function judgedOf({ outcome, result, now }: Parameters<EndCheck>[0]): EndJudged {
  return { outcome, result, now };
}
