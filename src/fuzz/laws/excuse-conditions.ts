/** When the rows of the table of excuses hold, where that takes more than a line to say. Pure. */
import type { SagaResult } from '../../engine/running/result.ts';
import { diskNames, sagaToken } from '../../plan/names.ts';
import type { Plan } from '../../plan/plan.ts';
import type { MovedFile } from '../../sim/host/foreign-files.ts';
import { type Account, askedOf, placeOf, type Struck } from '../account/account.ts';
import type { Sight } from '../account/sight.ts';
import { isSince } from '../scenario/since.ts';
import type { Wish } from '../scenario/wish.ts';
import {
  frontIn,
  isTheirOverlay,
  mirrorFile,
  newFile,
  newSetsOf,
  theirFile,
} from '../scenario/wish-files.ts';
import { SAGA } from '../scenario/wish-request.ts';
import { isHeldSomewhere } from './held-somewhere.ts';
import { asksFor, isActSwappedUnseen, isActUnseen, isTold, takesNameOf } from './moved-files.ts';

/** The end that a law is asked about. */
export interface EndJudged {
  readonly outcome: string;
  readonly result: SagaResult | undefined;
  readonly now: Sight;
}

/** How it ended while faults struck. */
export function endUnderFaults({ result, after }: Account): EndJudged {
  return { outcome: result?.outcome ?? 'none', result, now: after };
}

/** How it ended once they had stopped. */
export function endAtLast({ resultAtLast, atLast }: Account): EndJudged {
  return { outcome: resultAtLast?.outcome ?? 'none', result: resultAtLast, now: atLast };
}

/**
 * Whether a saga cannot tell if its guest was resumed on its new images, or cannot roll back from them (QEMU before
 * 2.0).
 */
export function isInDoubt({ deaths, struck, scenario }: Account): boolean {
  const isHitResuming = struck.some(
    ({ fault, state }) => fault.kind !== 'otherClient' && placeOf(state) === 'resumeGuest',
  );
  return deaths > 0 || isHitResuming || !isSince(scenario.guest.profile, '2.4');
}

/**
 * A third party's `cont` between our `stop` and the switch, which go in one batch.
 */
export function ranInTheSwitch({ at, sent }: Struck): boolean {
  if (!sent.includes('blockdev-reopen')) return false;
  return at === undefined || IN_THE_SWITCH.has(`${at.when} ${at.command}`);
}

const IN_THE_SWITCH: ReadonlySet<string> = new Set(['after stop', 'before blockdev-reopen']);

/** A disk of a commit is on an image from the middle of what is merged, and the saga says that its guest stays paused for that. */
export function isLeftHalfBack({ before, scenario }: Account, { outcome, result, now }: EndJudged): boolean {
  const { wish } = scenario;
  if (wish.operation !== 'commit' || outcome !== 'needsRecovery') return false;
  const [set] = newSetsOf(scenario);
  const isBetween = (index: number) => {
    const path = now.disks[index]?.path;
    const place = before.disks[index]?.chain.findIndex(image => image.path === path) ?? -1;
    return place > 0 && path !== frontIn(set, index);
  };
  return wish.named.some(isBetween) && result?.error?.message.includes('the guest stays paused') === true;
}

/** The drive is still the node that it was set to, and the saga says that it is not the end that was asked for. */
export function isWhereItWasSet({ fault }: Struck, _account: Account, { outcome, now }: EndJudged): boolean {
  if (fault.kind !== 'otherClient' || outcome !== 'needsRecovery') return false;
  const { path, value } = fault.arguments ?? {};
  return now.disks.some(({ device, node }) => device === path && node === value);
}

/** The disk is on the image that its filter was reopened on, and the saga says that it is not the end that was asked for. */
export function isWhereItWasMoved(
  { fault }: Struck,
  _account: Account,
  { outcome, now }: EndJudged,
): boolean {
  if (fault.kind !== 'otherClient' || outcome !== 'needsRecovery') return false;
  const { options } = (fault.arguments ?? {}) as { readonly options?: readonly { readonly file?: string }[] };
  // The filter itself may still be above it.
  return now.disks.some(({ node, own }) => options?.some(({ file }) => file === node || file === own));
}

/** So it is, and each write is in some image still. */
export function isMovedAndHeld(struck: Struck, account: Account, end: EndJudged): boolean {
  return isWhereItWasMoved(struck, account, end) && isHeldSomewhere(end.now, account.scenario.guest.disks);
}

/**
 * The saga's filter is on the image that it was reopened on, and no disk is below it: the saga leaves it as the trace of what the guest wrote
 * there, which is in some image still.
 */
export function isLeftOnIt({ fault }: Struck, { scenario }: Account, { outcome, now }: EndJudged): boolean {
  if (fault.kind !== 'otherClient' || outcome !== 'needsRecovery') return false;
  const { options } = (fault.arguments ?? {}) as {
    readonly options?: readonly { readonly 'node-name'?: string }[];
  };
  const isOwn = (name: string) =>
    now.disks.some((_, index) => diskNames(sagaToken(SAGA), index).filter === name);
  const isTrace = (name = '') => isOwn(name) && now.nodes.includes(name) && !now.ofGuest.has(name);
  return (
    options?.some(option => isTrace(option['node-name'])) === true &&
    isHeldSomewhere(now, scenario.guest.disks)
  );
}

/** It is on an image below its administrator's filter, which is still above that: no job begins below a filter. */
export function isOffItsFilter({ fault }: Struck, account: Account, { outcome, now }: EndJudged): boolean {
  if (fault.kind !== 'otherClient' || outcome !== 'needsRecovery') return false;
  const { before } = account;
  return now.disks.some(
    ({ device, filters }, at) =>
      device === fault.arguments?.['path'] && filters.length < (before.disks[at]?.filters.length ?? 0),
  );
}

/** It is there, and each write is in some image still; but for a revert, which was asked to give writes up. */
export function isSetAndHeld(struck: Struck, account: Account, end: EndJudged): boolean {
  const { wish, guest } = account.scenario;
  if (!isWhereItWasSet(struck, account, end)) return false;
  if (wish.operation === 'revert') return true;
  return isHeldSomewhere(end.now, guest.disks);
}

/**
 * The guest was on that new image before its mirror began, and has written to it: it is open still, the saga says what to do, and each write
 * is in some image.
 */
export function isLeftInCopy({ fault }: Struck, { scenario }: Account, end: EndJudged): boolean {
  const { outcome, now, result } = end;
  if (fault.kind !== 'otherClient' || outcome !== 'needsRecovery') return false;
  const { value } = fault.arguments ?? {};
  const isTold = result?.error?.message.includes(`blockdev-del "${String(value)}"`) === true;
  return isTold && now.nodes.includes(String(value)) && isHeldSomewhere(now, scenario.guest.disks);
}

/** The same, of a disk that was there when QEMU was seen last, and of an older journal: no side of all disks is the right one then. */
export function wasSetAndHeld(struck: Struck, account: Account, { now }: EndJudged): boolean {
  const { isRestored, result, after, scenario } = account;
  if (!isRestored || now.alive) return false;
  const seen = { outcome: result?.outcome ?? 'none', result, now: after };
  if (!isWhereItWasSet(struck, account, seen)) return false;
  return isHeldSomewhere(now, scenario.guest.disks);
}

/**
 * It was on an image of another disk when QEMU was seen last, before an older copy of the journal was put back: no side of its own is the
 * right one, and the recovery names that image, in which each write is that is in no other.
 */
export function wasSetAcrossAndKept(struck: Struck, account: Account): boolean {
  const { fault } = struck;
  const { isRestored, result, after, offline, scenario, before, atLast } = account;
  const { booted, result: recovered } = offline ?? {};
  const seen = { outcome: result?.outcome ?? 'none', result, now: after };
  if (fault.kind !== 'otherClient' || !isRestored || booted === undefined) return false;
  if (!isWhereItWasSet(struck, account, seen)) return false;
  const at = after.disks.findIndex(({ device }) => device === fault.arguments?.['path']);
  const sides = newSetsOf(askedOf(account)).map(set => frontIn(set, at));
  const { path = '' } = after.disks[at] ?? {};
  if ([before.disks[at]?.path, theirFile(at), ...sides].includes(path)) return false;
  const isNamed = recovered?.leftovers.some(words => words.startsWith(`${path} (`)) === true;
  return isNamed && isHeldSomewhere({ ...atLast, files: booted.files }, scenario.guest.disks);
}

/** So it was when QEMU was shut down, and each write is in some image that an offline recovery has left. */
export function isMovedAndKept(struck: Struck, account: Account, end: EndJudged): boolean {
  const { scenario, shutDown } = account;
  const { booted } = shutDown ?? {};
  const isMovedThere = [isWhereItWasSet, isWhereItWasMoved, isPutOver].some(holds =>
    holds(struck, account, end),
  );
  if (booted === undefined || !isMovedThere) return false;
  return isHeldSomewhere({ ...end.now, files: booted.files }, scenario.guest.disks);
}

/**
 * A third party has put a new image that held something already, a mirror's copy or what was in it beforehand, on a disk: which
 * of both is newer nothing tells, and the saga says that it is not the end that was asked for.
 */
export function isPutOver(
  { fault }: Struck,
  { scenario, before, records }: Account,
  { outcome, now }: EndJudged,
): boolean {
  const { wish } = scenario;
  if (fault.kind !== 'otherClient' || outcome !== 'needsRecovery') return false;
  const copies = copiesOf(wish);
  const isFilled =
    ('reuse' in wish && wish.reuse === true) || (wish.operation === 'snapshotMirror' && wish.ownChains);
  if (!isFilled && !records.some(({ step }) => step.endsWith('mirrorDisks'))) return false;
  return now.disks.some(({ chain: [front, ...below] }, index) => {
    const isOver = below.some(({ path }) => path === before.disks[index]?.path);
    return copies.includes(front?.path ?? '') && isOver;
  });
}

function copiesOf(wish: Wish): readonly string[] {
  // What an overlay that is reused held beforehand hides as much.
  const isReused = wish.operation === 'snapshot' && wish.reuse === true;
  if (wish.operation === 'copy' || isReused) return wish.named.map(index => newFile(wish, index));
  return wish.operation === 'snapshotMirror' ? wish.named.map(mirrorFile) : [];
}

/** It is there, and each write is in some image still. */
export function isPutOverAndHeld(struck: Struck, account: Account, end: EndJudged): boolean {
  const { disks } = account.scenario.guest;
  return isPutOver(struck, account, end) && isHeldSomewhere(end.now, disks);
}

/** A third party's file has come into a guest's chain where no look can tell, and the saga says so at its end. */
export function isSwappedAndTold(
  { fault }: Struck,
  account: Account,
  { result, outcome }: EndJudged,
): boolean {
  const isOver = outcome === 'committed' || outcome === 'rolledBack';
  const { wish } = account.scenario;
  // What a third party has copied as the chain of a mirror is its own file then, and the disk is on neither.
  const isCopied = wish.operation === 'snapshotMirror' && wish.ownChains;
  return account.moved.some(act => {
    const { path } = act;
    if (!takesNameOf(fault, path) || !account.before.files.has(path)) return false;
    const mayBeUntold = !isOver || isCopied || isActUnseen(account, act);
    return isActSwappedUnseen(account, act) && (mayBeUntold || isTold(result, path));
  });
}

/**
 * The saga waits for a file to be put back, and says which. An administrator has put it back by the time when a saga is resumed, but
 * for one that has no name any more.
 */
export function waitsForFile({ fault }: Struck, account: Account, { outcome, result }: EndJudged): boolean {
  const { moved, resultAtLast, row } = account;
  if (outcome !== 'needsRecovery') return false;
  return namesTakenBy(fault, account).some(name => {
    const first = moved.find(({ path }) => path === name);
    // What QEMU has opened by that name meanwhile, while its job was under way, has no name any more when the first one is back.
    const isOpened = (act: MovedFile) =>
      act.atMs > (row?.createdAtMs ?? 0) && isActSwappedUnseen(account, act);
    const isUnknown = first !== undefined && (first.to === undefined || isOpened(first));
    return asksFor(result, name) && (result !== resultAtLast || isUnknown);
  });
}

/**
 * The name of the file that a saga asks for led elsewhere when it was planned: to a third party's file, which it knows there where no /proc
 * told, or to none that it can know. An administrator has put the one back that QEMU has open, which the saga cannot prove.
 */
export function asksForAnothers({ moved, row, scenario }: Account, { outcome, result }: EndJudged): boolean {
  if (outcome !== 'needsRecovery' || row === undefined) return false;
  const { astray = {} } = row.plan as object as Plan;
  return moved.some(
    ({ path, atMs, back }) =>
      (path in astray || !scenario.proc) &&
      back !== undefined &&
      atMs <= row.createdAtMs &&
      asksFor(result, path),
  );
}

function namesTakenBy(fault: Struck['fault'], { moved }: Account): readonly string[] {
  return moved.map(({ path }) => path).filter(path => takesNameOf(fault, path));
}

export function isPowerCut({ fault }: Struck): boolean {
  return fault.kind === 'kill' && fault.what === 'host';
}

/** A file that a third party made is named as needed by the recovery, and is gone with the power. */
export function isTheirLoss(struck: Struck, { offline, scenario: { wish }, atLast }: Account): boolean {
  const error = offline?.error;
  if (error?.code !== 'FILES' || !isPowerCut(struck) || wish.operation === 'commitOffline') return false;
  return error.message
    .split(/[\s,:;]+/)
    .some(
      file => isTheirOverlay(file) && error.message.includes(`${file} is needed`) && !atLast.files.has(file),
    );
}

/** `onCommit` did not take the new disks of a saga whose QEMU had died. */
export function isUntold({ offline, scenario: { publisher } }: Account): boolean {
  return offline?.error?.code === 'PUBLISH' && (publisher?.refusals ?? 0) > 0;
}
