/**
 * The laws about how things stand at an end, asked at the end under faults and again when all is calm. They look at the
 * simulated world only, and take from the engine nothing but the outcome that it claims.
 */

import { member } from '../../journal/body.ts';
import { splitKey } from '../../steps/stages.ts';
import { type Account, askedOf } from '../account/account.ts';
import { BITMAP } from '../account/prepare.ts';
import type { DiskSight, Sight } from '../account/sight.ts';
import { isClone } from '../scenario/wish.ts';
import {
  filesToRemove,
  frontIn,
  type NewSet,
  newFile,
  newSetsOf,
  theirFile,
} from '../scenario/wish-files.ts';
import { withAndWithoutCovers } from './covered-behind.ts';
import type { EndCheck } from './each-end.ts';
import { type EndJudged, endAtLast } from './excuse-conditions.ts';
import { judgeReverted } from './judge-revert.ts';
import { type ContentsByDisk, judgeWrites, lastWritesOf, newestWrite } from './judge-writes.ts';
import { isDoubted, namedFor } from './last-image.ts';
import { isMoved, isRemovedForGood, isSwappedUnseen, isTold, isUnseen, meetsMoved } from './moved-files.ts';
import type { Pardon } from './pardon.ts';

/**
 * The set of new images that the disks are on: where there are several it is told by the first disk that is there, and all
 * others must be on the same one.
 */
export function setSeen(
  account: Pick<Account, 'scenario' | 'coveredFirst' | 'signalled' | 'offline'>,
  disks: readonly DiskSight[],
): NewSet {
  const { scenario, signalled, offline } = account;
  const [set, ...others] = newSetsOf(askedOf(account));
  const { named } = scenario.wish;
  const first = named.find(index => disks[index]?.left === undefined) ?? named[0] ?? 0;
  const mayBeOther = signalled.includes('keepSnapshot') || offline !== undefined;
  return (mayBeOther && others.find(other => other(first)[0] === disks[first]?.path)) || set;
}

export function allOrNone({ account, outcome, before, now }: Parameters<EndCheck>[0]): string | undefined {
  if (!now.alive || outcome === 'needsRecovery') return undefined;
  const { wish } = account.scenario;
  const moves = outcome === 'committed' && !isClone(wish);
  const set = setSeen(account, now.disks);
  for (const [index, disk] of now.disks.entries()) {
    if (disk.left !== undefined) continue;
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

/** The image that a disk was on when the plan was made. */
export function leftBy({ before, coveredFirst }: Account, index: number): string {
  return coveredFirst.includes(index) ? theirFile(index) : (before.disks[index]?.path ?? '');
}

/** What the saga has given up is another's. */
export function leavesToOthers(account: Account, pardon: Pardon): string | undefined {
  const { harmed, overwritten, resultAtLast } = account;
  if (harmed.length + overwritten.length === 0) return undefined;
  if (pardon.excuses('only what is ours', endAtLast(account))) return undefined;
  if (harmed.length > 0)
    return `the file that a third party made as ${harmed[0]}, when the saga had removed its own, is gone or was written to`;
  const seen = overwritten.find(name => !isSwappedUnseen(account, name));
  if (seen !== undefined)
    return `the file that a third party put in the place of ${seen} is gone or was written to`;
  const isOver = resultAtLast?.outcome === 'committed' || resultAtLast?.outcome === 'rolledBack';
  // Who has put the first file back knows of the other one.
  const isBack = (name: string) =>
    account.moved.some(({ path, back }) => path === name && back !== undefined);
  const untold = overwritten.find(
    name => isOver && !isTold(resultAtLast, name) && !isUnseen(account, name) && !isBack(name),
  );
  if (untold === undefined) return undefined;
  return `the file that a third party put in the place of ${untold} was written to, and the result does not say so`;
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
    const told = (index: number) => (view === 'rebooted' ? namedImage(end, index) : undefined);
    // What the guest wrote is below these overlays until they are put on the older images, or merged.
    const isBetween = (index: number) =>
      view === 'rebooted' && outcome === 'needsRecovery' && standsOnOld(account, now.disks, index);
    const images = new Map(
      now.disks.flatMap((disk, index) => {
        if (isBetween(index)) return [];
        const file = told(index);
        return [[index, file === undefined ? disk[view] : (now.files.get(file) ?? [])] as const];
      }),
    );
    const fronts = (index: number) => told(index) ?? now.left.get(index)?.path;
    const wrong = lostWrites(account, images, now, isOnNew, fronts);
    if (wrong !== undefined) return `${view === 'contents' ? 'through QEMU' : 'in the files'} ${wrong}`;
  }
  return undefined;
}

/** What the result names of a disk that has left, where it does not say that it may have been on the other image. */
function namedImage(end: Parameters<EndCheck>[0], index: number): string | undefined {
  const left = end.now.left.get(index);
  const fronts = left === undefined ? [] : [left.path, left.left.front];
  const isInDoubt = fronts.some(front => isDoubted(end.result, front));
  return left === undefined || isInDoubt ? undefined : namedFor(end, index)?.file;
}

/** An older copy of the journal does not say that the saga had rolled forward, and had removed what it was asked to. */
function wasRemovedBefore(account: Account, file: string): boolean {
  return account.isRestored && filesToRemove(askedOf(account)).includes(file);
}

/** Whether all named disks that the guest still has are on new images of one set. */
export function areOnNew(account: Account, disks: readonly DiskSight[]): boolean {
  const named = account.scenario.wish.named.filter(index => disks[index]?.left === undefined);
  const sets = newSetsOf(askedOf(account));
  return sets.some(set =>
    named.every(index => disks[index]?.path === set(index)[0] && !standsOnOld(account, disks, index)),
  );
}

/** The overlay of a revert whose header names the older image, and which QEMU has on the image that it is to leave. */
function standsOnOld(account: Account, disks: readonly DiskSight[], index: number): boolean {
  if (account.scenario.wish.operation !== 'revert') return false;
  const [[front, below] = []] = newSetsOf(askedOf(account)).map(set => set(index));
  const { path, chain = [] } = disks[index] ?? {};
  return path === front && chain[chain.findIndex(image => image.path === front) + 1]?.path !== below;
}

type Asking = Pick<Account, 'scenario' | 'coveredFirst' | 'before'>;

/**
 * What images lack of that which was acknowledged, as disks that are on their old images or on new ones; of those that have
 * left, `fronts` says which.
 */
export function lostWrites(
  account: Asking,
  images: ContentsByDisk,
  { acknowledged, left }: Pick<Sight, 'acknowledged' | 'left'>,
  isOnNew: boolean,
  fronts: (index: number) => string | undefined = index => left.get(index)?.path,
): string | undefined {
  const { wish, guest } = account.scenario;
  const last = lastWritesOf({ left });
  if (wish.operation === 'revert') {
    const [set] = newSetsOf(askedOf(account));
    const sides = Map.groupBy(left.keys(), index => (fronts(index) === set(index)[0] ? 'new' : 'old'));
    const leftOnOld = new Set(sides.get('old') ?? []);
    if (isOnNew) return judgeReverted(account, images, { acknowledged, last, leftOnOld });
    const leftOnNew = (sides.get('new') ?? []).filter(index => images.has(index));
    if (leftOnNew.length > 0) {
      const reverted = new Map(leftOnNew.map(index => [index, images.get(index) ?? []]));
      const others = new Map([...images].filter(([index]) => !leftOnNew.includes(index)));
      return (
        judgeReverted(account, reverted, { acknowledged, last, leftOnOld }) ??
        lostWrites(account, others, { acknowledged, left }, isOnNew, () => undefined)
      );
    }
  }
  const { why, upTo } = judgeWrites(images, guest.disks, last);
  const unseen = Array.from({ length: guest.disks }, (_, index) => index).filter(index => !images.has(index));
  const newest = newestWrite(acknowledged, guest.disks, new Map([...last, ...unseen.map(none)]));
  if (why !== undefined || upTo === newest) return why;
  return `write ${upTo} is the last, but ${newest} were acknowledged`;
}

const none = (index: number) => [index, 0] as const;

/** Whether the power failed while there was something that had not been flushed. */
export function mayLoseWrites({ struck, scenario }: Account): boolean {
  const failed = struck.some(({ fault }) => fault.kind === 'kill' && fault.what === 'host');
  return failed && scenario.wish.operation !== 'commitOffline';
}

/**
 * QEMU is gone: one of the sets, all old or all new, also below third parties' overlays, must hold everything (a power cut may take unflushed writes); or, where an older
 * copy of the journal kept its saga from bringing disks together that were apart, the images that QEMU had them on last.
 */
export function lostOffline(account: Account, before: Sight, now: Sight): string | undefined {
  const { wish } = account.scenario;
  if (mayLoseWrites(account) || isRemovedForGood(account)) return undefined;
  const holdsAll = (set: NewSet | undefined) => {
    const fileOf = (index: number) => {
      const old = leftBy(account, index);
      const last = now.left.get(index)?.left.front;
      if (last !== undefined) return last;
      return wish.named.includes(index) ? (set?.(index)[0] ?? old) : old;
    };
    // As the names stand, and as third parties had found them: QEMU may have opened what they put there.
    return [now.files, now.putBack, now.lastPutBack].some(files => {
      const images = before.disks.map((_disk, index) => [index, files.get(fileOf(index)) ?? []] as const);
      return withAndWithoutCovers(account, new Map(images), fileOf, { files, overlays: now.overlays }).some(
        each => lostWrites(account, each, now, set !== undefined) === undefined,
      );
    });
  };
  if ([undefined, ...newSetsOf(askedOf(account)), ...seenLast(account)].some(holdsAll)) return undefined;
  return 'QEMU is gone, and neither the old images nor the new ones hold all that was acknowledged';
}

/** The images that the disks were seen on last, where an older copy of the journal was put back beside a living QEMU. */
function seenLast({ isRestored, after }: Account): readonly NewSet[] {
  return isRestored && after.alive ? [index => after.disks[index]?.chain.map(({ path }) => path) ?? []] : [];
}

export function guestRuns(end: Parameters<EndCheck>[0]): string | undefined {
  const { account, pardon, outcome, before, now } = end;
  if (!now.alive) return undefined;
  const mayBeTheirs = outcome === 'needsRecovery' || lacksItsFreeze(account);
  if (now.frozen && now.runState === 'running' && !mayBeTheirs) return 'the guest is frozen';
  if (now.runState === before.runState || pardon.excuses('the guest runs', judgedOf(end))) return undefined;
  return `the guest was ${before.runState} and is ${now.runState}`;
}

/** An older copy of the journal lacks the saga's own freeze, which is a third party's by that: such a one is left as it is. */
function lacksItsFreeze({ isRestored, records }: Account): boolean {
  return (
    isRestored &&
    records.some(
      ({ kind, step, body }) =>
        kind === 'intent' &&
        splitKey(step).step === 'freezeGuest' &&
        member(body, 'observed') === 'frozen' &&
        !step.startsWith('undo.'),
    )
  );
}

export function judgedOf({ outcome, result, now }: Parameters<EndCheck>[0]): EndJudged {
  return { outcome, result, now };
}
