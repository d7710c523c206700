/**
 * What third parties have done to names of files, as the laws see it: which names lead nowhere or elsewhere, what a saga
 * has to say of them, and what no look can tell it. Pure.
 */
import type { SagaResult } from '../../engine/running/result.ts';
import { member } from '../../journal/body.ts';
import type { MovedFile } from '../../sim/host/foreign-files.ts';
import { directoryOf } from '../../sim/host/host.ts';
import type { Fault } from '../../sim/monitor/faults.ts';
import { splitKey } from '../../steps/stages.ts';
import type { Account } from '../account/account.ts';
import type { DiskSight } from '../account/sight.ts';
import { chainCopyOf, newFile } from '../scenario/wish-files.ts';

type Moved = Pick<Account, 'moved'>;

/** Whether a third party took that name from its file. */
export function isMoved({ moved }: Moved, path: string): boolean {
  return moved.some(each => each.path === path);
}

/** Whether a third party put a file of its own in the place of that one, which may be back by now. */
export function isReplaced({ moved }: Moved, path: string): boolean {
  return moved.some(each => each.path === path && each.made !== undefined);
}

/** Whether a third party took the last name from a file. */
export function isRemovedForGood(account: Moved & Pick<Account, 'records' | 'scenario'>): boolean {
  const needless = overlaysOnNoDisk(account);
  return account.moved.some(
    ({ path, to, back, made }) =>
      to === undefined && back === undefined && (made !== undefined || !needless.includes(path)),
  );
}

/** Overlays that the saga was to make, and of which its records say that QEMU has put none on its disk: one that is gone is made anew. */
function overlaysOnNoDisk({
  records,
  scenario: { wish },
}: Pick<Account, 'records' | 'scenario'>): readonly string[] {
  if (wish.operation !== 'snapshot' || wish.reuse) return [];
  const taken = records.findLast(
    ({ kind, step }) => kind === 'outcome' && /^takeSnapshot(Sync)?$/.test(step),
  );
  const isSeenOn = records.some(({ body }) => (member(body, 'onImage') as readonly number[] | null)?.length);
  const isNone = member(member(taken?.body ?? null, 'error'), 'effect') === 'notApplied' && !isSeenOn;
  return isNone ? wish.named.map(index => newFile(wish, index)) : [];
}

/** The names that a boot of the disk goes by and that a third party took from an image. */
export function movedBelow({ moved }: Moved, { path, chain, headers }: DiskSight): readonly string[] {
  const names = new Set([path, ...headers, ...chain.map(image => image.path)]);
  return [...new Set(moved.map(each => each.path))].filter(name => names.has(name));
}

/** Whether a boot of the disk meets a name that a third party took from an image. */
export function meetsMoved(account: Moved, disk: DiskSight): boolean {
  return movedBelow(account, disk).length > 0;
}

/** A name that a boot of the disk meets and that leads elsewhere, where the saga could know and its result does not say so. */
export function untoldBelow(
  account: Pick<Account, 'moved' | 'row' | 'endedMs' | 'scenario' | 'before' | 'records'>,
  result: SagaResult | undefined,
  disk: DiskSight,
): string | undefined {
  const moved = account.moved.filter(act => !isBareClaim(account, act));
  return movedBelow({ moved }, disk).find(
    name => !isTold(result, name) && !isUnseen({ ...account, moved }, name),
  );
}

/** Taken from a file that a process had made and died without a word of it, before another one was made under that name. */
export function isBareClaim(
  { before, records }: Pick<Account, 'before' | 'records'>,
  { path, birth }: MovedFile,
): boolean {
  const made = claimedIn(records);
  return !before.files.has(path) && made.length > 0 && !made.includes(birth);
}

/** A file of which no process has a record, as the one that made it died, and that is in another directory by now: no look finds it. */
export function isLostUnrecorded(
  { records }: Pick<Account, 'records'>,
  { path, birth, to }: MovedFile,
): boolean {
  return to !== undefined && directoryOf(to) !== directoryOf(path) && !claimedIn(records).includes(birth);
}

/** The births of the files that are claimed in a record. */
function claimedIn(records: Account['records']): readonly number[] {
  return records.flatMap(({ kind, step, body }) =>
    kind === 'outcome' && splitKey(step).step === 'claimFiles' ? birthsIn(body) : [],
  );
}

/** Of the files that a step has claimed; an identity ends with it. */
function birthsIn(body: unknown): readonly number[] {
  const { value } = body as { readonly value?: readonly { readonly identity: string }[] | null };
  return (value ?? []).map(({ identity }) => Number(identity.split(':').at(-1)));
}

/**
 * What no look can tell: a name that was taken behind the saga's last look, which is at its end; one that led elsewhere
 * before the request, where no /proc says that QEMU has the first one open; and files that the orchestrator does not see.
 */
export function isUnseen(
  {
    moved,
    row,
    endedMs = row?.endedAtMs ?? Number.POSITIVE_INFINITY,
    scenario,
    before,
  }: Pick<Account, 'moved' | 'row' | 'endedMs' | 'scenario' | 'before'>,
  name: string,
): boolean {
  if (scenario.elsewhere !== undefined || row === undefined) return true;
  if (isTheirCopy(scenario, name) && !scenario.proc) return true;
  const acts = moved.filter(({ path }) => path === name);
  return acts.every(
    act => act.atMs >= endedMs || ledElsewhereUntold({ moved: [act], row, scenario, before }, name),
  );
}

/** Whether a name led elsewhere before the request, where no /proc says that QEMU has the first file open. */
export function ledElsewhereUntold(
  { moved, row, scenario, before }: Pick<Account, 'moved' | 'row' | 'scenario' | 'before'>,
  name: string,
): boolean {
  const acts = moved.filter(({ path }) => path === name);
  const isBefore = acts.every(({ atMs }) => row !== undefined && atMs <= row.createdAtMs);
  const isOpen = before.disks.some(({ chain }) => chain.some(({ path }) => path === name));
  return isBefore && !(isOpen && scenario.proc);
}

/** The same of one act alone: what was done to the name before or since is not asked. */
export function isActUnseen(
  account: Pick<Account, 'row' | 'endedMs' | 'scenario' | 'before'>,
  act: MovedFile,
): boolean {
  return isUnseen({ ...account, moved: [act] }, act.path);
}

/**
 * A file that was put in an image's place where no look can tell: while QEMU had the command by which it opens that name, which had
 * been looked at when that was sent. Any command that was sent later, while the file stood there, and opens it again was sent without
 * a look.
 */
export function isSwappedUnseen(account: Swapped, name: string): boolean {
  if (isUnseen(account, name)) return true;
  const act = account.moved.findLast(({ path, made }) => path === name && made !== undefined);
  return act !== undefined && isActSwappedUnseen(account, act);
}

type Swapped = Pick<Account, 'moved' | 'row' | 'endedMs' | 'scenario' | 'openings' | 'before'>;

/** The same of one act alone. */
export function isActSwappedUnseen(account: Omit<Swapped, 'moved'>, act: MovedFile): boolean {
  if (isActUnseen(account, act)) return true;
  const { path, atMs: fromMs, made, backMs = Number.POSITIVE_INFINITY } = act;
  if (made === undefined) return false;
  const isOwn = account.before.files.has(path);
  const opening = account.openings.filter(({ names, reopens }) => names.has(path) || (isOwn && reopens));
  const isUnderWay = opening.some(({ atMs, looked }) => atMs <= fromMs && looked.has(path));
  const isIn = (atMs: number) => atMs > fromMs && atMs < backMs;
  return (
    isUnderWay &&
    !opening.some(({ atMs, names, writesBelow }) => isIn(atMs) && (names.has(path) || writesBelow))
  );
}

/** The chain that a third party has copied for a mirror while the saga waited: it did not stand there when that was planned. */
export function isTheirCopy({ wish }: Account['scenario'], name: string): boolean {
  return wish.operation === 'snapshotMirror' && wish.ownChains && wish.named.map(chainCopyOf).includes(name);
}

/** Files of third parties that stand under names of the saga's. */
export function madeByThirdParties({ moved }: Moved): readonly string[] {
  return moved.flatMap(({ path, made }) => (made === undefined ? [] : [path]));
}

/** Whether a third party takes a name from its file by that, as it does from all in a directory, though it may have it again by now. */
export function takesNameOf(fault: Fault, file: string): boolean {
  return fault.kind === 'file' && (fault.path === file || fault.how.endsWith('Directory'));
}

/** Whether a result says of a name that it does not lead to what the saga left there. */
export function isTold(result: SagaResult | undefined, path: string): boolean {
  const isMisnamed = (result?.misnamed ?? []).some(({ file }) => file === path);
  const told = (result?.leftovers ?? []).filter(words => words.startsWith(`${path} (`));
  return isMisnamed || told.some(words => !OF_WHAT_STANDS.test(words));
}

/** Of a file that stands under its name, with less in it than a claim: it does not say that another one was there before. */
const OF_WHAT_STANDS = /^\S+ \(\d+ bytes, which a process of this saga had begun/;

/** Whether a saga that has not ended asks for a file to be put back under a name. */
export function asksFor(result: Pick<SagaResult, 'error'> | undefined, path: string): boolean {
  const { message = '' } = result?.error ?? {};
  return message.includes('put the right file back') && message.split(/[\s,:;]+/).includes(path);
}

/** Whether a saga says of a name that it cannot know whether the file there is its own, or is the one that QEMU had open. */
export function isUnproved(result: Pick<SagaResult, 'error' | 'why'> | undefined, path: string): boolean {
  const said = `${result?.error?.message ?? ''}; ${result?.why ?? ''}`
    .split(/[:;] /)
    .filter(words => words.includes('could not be proved'));
  return said.some(words => words.split(/[\s,]+/).includes(path));
}
