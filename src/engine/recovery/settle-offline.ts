/**
 * Makes what an offline recovery has decided true on the disk, writes down what was done, and tells what to boot from. Run again after a
 * death in its middle it comes to the same.
 */
import { BlocksagaError } from '../../errors.ts';
import type { Files } from '../../images/files.ts';
import type { Images } from '../../images/images.ts';
import type { Journal, JournalRecord, Lease, SagaRow } from '../../journal/journal.ts';
import { ownRecords } from '../../journal/taken-over.ts';
import type { DefinedDisk } from '../../plan/definition.ts';
import { type DiskPlan, type Plan, wayOf } from '../../plan/plan.ts';
import type { Clock } from '../../qmp/clock.ts';
import type { Json } from '../../qmp/transport.ts';
import { maybeNotMerged } from '../../steps/finish/merged-elsewhere.ts';
import { definedDisks, formerDisks } from '../../steps/finish/publish-definitions.ts';
import { keyOf } from '../../steps/stages.ts';
import type { Fence } from '../connection/fence.ts';
import { type Publisher, publisherOf } from '../connection/publish.ts';
import { ANY, PATIENT, retry } from '../connection/retry.ts';
import { intent, outcome } from '../durable/history.ts';
import { mergedElsewhereIn } from '../durable/merged-elsewhere.ts';
import { unpluggedOf } from '../durable/unplugged.ts';
import { DROPPED, takenByAnother } from '../removal/claims.ts';
import { dropImages, givenUpIn } from '../removal/drop-images.ts';
import { dropLeaving } from '../removal/drop-leaving.ts';
import { fileIn } from '../running/leftovers.ts';
import { resultAsJson, type SagaResult } from '../running/result.ts';
import type { Found } from './ask-before.ts';
import { notSeen, toMove, withAbove } from './decide-above.ts';
import type { OfflineVerdict } from './decide-offline.ts';
import { unprovedInWords } from './expect-headers.ts';
import { asBooted, expectRightFiles, type Rightful } from './expect-right-files.ts';
import { keptOpen } from './kept-open.ts';
import { imagesOfLeft, madeForLeft } from './left-before.ts';
import { bootImages, settleImages } from './offline-images.ts';
import { lastOf, type OfflineEnd, type OfflinePart } from './offline-parts.ts';
import { OFFLINE } from './offline-progress.ts';
import { offlineResult } from './offline-result.ts';

/** What becomes of a dead saga's images, and on what that rests. */
export interface DecidedOffline {
  readonly row: SagaRow;
  readonly plan: Plan;
  /** As they were when it was decided. */
  readonly records: readonly JournalRecord[];
  readonly end: OfflineEnd;
  readonly found: Found;
  readonly rightful: Rightful;
  /** An earlier recovery had written down what it decided. */
  readonly begun: boolean;
  /** An earlier recovery had made that true. */
  readonly settled: boolean;
  readonly back: boolean;
  readonly begunToShorten: boolean;
  readonly accepted: readonly string[];
}

/** QEMU's host, and the journal with the lease on the saga. */
export interface OfflineHost {
  readonly files: Files;
  readonly images: Images;
  readonly clock: Clock;
  readonly publisher: Publisher | undefined;
  readonly journal: Journal;
  readonly lease: Lease;
  readonly fence: Fence;
}

export async function settleOffline(decided: DecidedOffline, host: OfflineHost): Promise<SagaResult> {
  const { row, plan, records, end, found } = decided;
  const { journal, lease } = host;
  const last = lastOf(end);
  await writeDown(decided, host);
  const aside = await makeTrue(decided, host);
  const { boot, chains } = await bootImages(last, found.above.ranOn, host.images);
  const { kept, stay } = await dropAll(decided, host, chains);
  await tell(decided, host);
  const { disks } = end;
  const stays = last.verdict.disks.every(({ action }) => action === 'leave');
  const how = stays ? null : wayOf(disks === plan.disks ? plan : last.plan);
  const above = found.above.ranOn.map(({ file }) => file);
  const booted = chains.map(chain => chain.filter(file => !above.includes(file)));
  const unproved = await unprovedInWords(booted, decided.rightful, host.files);
  const why = [last.verdict.why, ...found.above.unseen.map(notSeen), ...unproved].join('; ');
  const noted = [...mergedElsewhereIn(records)].map(file => maybeNotMerged(file, false));
  const leftovers = [...aside, ...noted, ...kept, ...(await standingOf(decided, host)), ...found.above.told];
  const left = { boot, chains, leftovers, notRemoved: stay.map(fileIn), unplugged: unpluggedOf(records) };
  const result = offlineResult(row, disks, how, { ...last.verdict, why }, left);
  await journal.end(lease, last.verdict.outcome, resultAsJson(result));
  return result;
}

/** Throws VM_BUSY where another process has changed the saga since it was decided. */
async function writeDown(decided: DecidedOffline, { journal, lease }: OfflineHost): Promise<void> {
  const { row, records, found, begun, back, begunToShorten, accepted } = decided;
  if (ownRecords(journal.records(row.id)).length !== ownRecords(records).length) {
    const why = `saga ${row.id} has moved on meanwhile: run this again`;
    throw new BlocksagaError('VM_BUSY', why, { saga: row.id });
  }
  if (begun) return;
  const seen = { back, begunToShorten, accepted, ...found };
  await journal.append(lease, [intent(OFFLINE, seen as object as Json)], { durable: true });
}

/** Gives what it has put aside, in words. */
async function makeTrue(
  { end, found, rightful, settled }: DecidedOffline,
  { files, images, journal, lease }: OfflineHost,
): Promise<readonly string[]> {
  const last = lastOf(end);
  const { parts } = end;
  const aside: string[] = [];
  if (!settled) {
    for (const overlay of toMove(last, found.above.ranOn)) await images.commitInto(overlay, overlay.over);
    for (const { plan, verdict, records } of parts) {
      const isTaken = takenByAnother(records, files);
      const lookAgain = (disk: DiskPlan) =>
        expectRightFiles(parts, rightful, { files, images }, 'meanwhile', disk);
      aside.push(...(await settleImages(plan, verdict, images, isTaken, lookAgain)));
    }
  }
  await expectRightFiles([asBooted(last)], rightful, { files, images }, 'meanwhile');
  if (!settled) await journal.append(lease, [outcome(OFFLINE, null, false)], { durable: true });
  return aside;
}

interface Dropped {
  /** What is left of the saga's own, in words. */
  readonly kept: readonly string[];
  /** What was to be removed at the caller's wish and is there still, in words. */
  readonly stay: readonly string[];
}

/** Removes what no chain that is booted from needs. */
async function dropAll(
  decided: DecidedOffline,
  host: OfflineHost,
  chains: readonly (readonly string[])[],
): Promise<Dropped> {
  const { row, records, end, found } = decided;
  const { journal, files, images } = host;
  const last = lastOf(end);
  const inChains = new Set(chains.flat());
  const doubted = found.kept.filter(({ file }) => !inChains.has(file));
  const kept = doubted.map(({ file, why }) => `${file} (${why})`);
  const theirs = end.parts.flatMap(part => imagesOfLeft(part.plan, records));
  const needed = [...inChains, ...found.kept.map(({ file }) => file), ...theirs];
  for (const part of end.parts) {
    kept.push(...(await dropPart(part, needed, decided, host)));
    kept.push(...(await madeForLeft(part.plan, records, files)));
  }
  if (last.verdict.outcome !== 'committed') return { kept, stay: [] };
  const noted = mergedElsewhereIn(records);
  const leaving = { chains: needed, journal, files: host.fence.files(files), images, noted };
  const stay = await dropLeaving(row.id, last.plan, leaving);
  return { kept: [...kept, ...stay.filter(words => !isKept(decided, fileIn(words)))], stay };
}

/** Removes the new images of one stage that nothing boots from; gives those that are left, in words. */
async function dropPart(
  { plan, stage, records, verdict }: OfflinePart,
  needed: readonly string[],
  decided: DecidedOffline,
  host: OfflineHost,
): Promise<readonly string[]> {
  const { journal, lease, files, images } = host;
  const { id } = decided.row;
  const disks = plan.disks.filter(({ index, image }) => goes(verdict, index) && !isKept(decided, image.file));
  const key = keyOf(stage, DROPPED);
  const begun = indexesIn(decided.records.findLast(({ kind, step }) => kind === 'intent' && step === key));
  const indexes = disks.map(({ index }) => index);
  if (begun === undefined) await journal.append(lease, [intent(key, indexes)], { durable: true });
  const dropped = { id, plan, disks, records, needed, journal, files: host.fence.files(files), images };
  const kept = await dropImages(dropped, new Set(begun ?? []));
  // An image that is kept in doubt is the administrator's from now on.
  const doubted = plan.disks.filter(({ image }) => isKept(decided, image.file)).map(({ index }) => index);
  const givenUp = [...(await givenUpIn(dropped)), ...doubted];
  await journal.append(lease, [outcome(key, givenUp, false)], { durable: true });
  return kept;
}

/** Tells `onCommit` of the disks, for as long as that takes. */
async function tell({ row, plan, end, found }: DecidedOffline, host: OfflineHost): Promise<void> {
  const disks = toldOf(lastOf(end))?.map(disk => withAbove(disk, found.above.ranOn));
  if (disks === undefined || plan.onCommit === null) return;
  host.fence.expectHeld();
  const publish = publisherOf(row, plan.onCommit, host.publisher, host.clock);
  await retry(PATIENT, host.clock, () => publish(disks), ANY);
}

/** New images of an earlier stage that are there still. */
async function standingOf(decided: DecidedOffline, { files }: OfflineHost): Promise<readonly string[]> {
  const standing: string[] = [];
  const open = new Set(decided.end.parts.flatMap(keptOpen));
  for (const file of decided.end.passed) {
    if (isKept(decided, file) || (await files.stat(file)) === undefined) continue;
    standing.push(open.has(file) ? `${file} (${KEPT_OPEN})` : file);
  }
  return standing;
}

const KEPT_OPEN =
  'QEMU had it open for a third party when it was to be closed, which may have moved a guest to it: look at what it holds before you remove it';

function isKept({ found }: DecidedOffline, file: string): boolean {
  return found.kept.some(image => image.file === file);
}

/** What `onCommit` is to be told: the new disks, or the old ones where it was told of others. */
function toldOf({ plan, records, verdict }: OfflinePart): readonly DefinedDisk[] | undefined {
  if (verdict.disks.some(disk => disk.front === 'new')) return definedDisks(plan, unpluggedOf(records));
  const hasHeard = records.some(({ kind, step }) => kind === 'intent' && TELLS.has(step));
  return hasHeard ? formerDisks(plan, unpluggedOf(records)) : undefined;
}

const TELLS: ReadonlySet<string> = new Set(['publishOverlays', 'publishDefinitions']);

/** The disks whose images an earlier run had begun to drop; undefined where none had. */
function indexesIn(record: JournalRecord | undefined): readonly number[] | undefined {
  const body = record?.body as { readonly observed?: readonly number[] } | undefined;
  return body?.observed;
}

function goes({ disks }: OfflineVerdict, index: number): boolean {
  const action = disks.find(disk => disk.index === index)?.action;
  return action === 'drop' || action === 'moveBack';
}
