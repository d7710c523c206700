/**
 * What a saga leaves behind, told by the files and its records at the end: new images that no disk is to be on, files of its
 * own that are not where it made them, and files that were to be removed and are still there. It removes nothing.
 */

import type { UnpluggedDisk } from '../../guest/unplugged.ts';
import type { Files } from '../../images/files.ts';
import { overlaysOn, stoodOnBy } from '../../images/overlays-on.ts';
import type { Journal, JournalRecord } from '../../journal/journal.ts';
import { imagesOfDisk } from '../../plan/chain-of-image.ts';
import { type DiskPlan, hasMirrors, type Plan } from '../../plan/plan.ts';
import { maybeNotMerged, stillInDoubt } from '../../steps/finish/merged-elsewhere.ts';
import { splitKey, stagesOf } from '../../steps/stages.ts';
import { mergedElsewhereIn } from '../durable/merged-elsewhere.ts';
import { recordsOfStage } from '../durable/stages.ts';
import { unpluggedOf } from '../durable/unplugged.ts';
import {
  heldClaim,
  isFileOf,
  isMadeElsewhere,
  isMaybeOurs,
  movedFiles,
  strayed,
  strayedFiles,
  unfinishedWords,
  unseenFiles,
  unseenUnfinished,
} from '../removal/claims.ts';

/** A saga at its end, as far as its files are asked for. */
export interface FiledSaga {
  readonly id: string;
  readonly plan: Plan;
  /** Whether it ended without a switch, as was asked: a snapshot without its mirrors, or copies beside the guest's disks. */
  readonly kept: boolean;
  readonly journal: Pick<Journal, 'records'>;
  readonly files: Files | null;
}

/** The files that were to be removed and were not, in words that begin with each. */
export function keptFiles(records: readonly JournalRecord[]): readonly string[] {
  const last = records.findLast(({ kind, step }) => kind === 'outcome' && step === 'removeLeaving');
  const body = last?.body as { readonly value?: { readonly kept?: readonly string[] } } | undefined;
  return body?.value?.kept ?? [];
}

/** The bitmaps that did not come along, in words, as was seen when the old images were closed. */
export function bitmapsLeftBehind(records: readonly JournalRecord[]): readonly string[] {
  const last = records.findLast(
    ({ kind, step }) => kind === 'outcome' && splitKey(step).step === 'closeOldNodes',
  );
  const body = last?.body as { readonly value?: { readonly lost?: readonly string[] } | null } | undefined;
  return body?.value?.lost ?? [];
}

/** New images of a committed saga that their disks never came onto, since these had left the guest before. */
async function leftByUnplugged(
  { id, plan, kept, journal, files }: FiledSaga,
  created: readonly DiskPlan[],
  records: readonly JournalRecord[],
): Promise<readonly string[]> {
  // Copies beside the guest's disks are what was asked for.
  if (kept || (hasMirrors(plan) && plan.finish === 'clone')) return [];
  const left: string[] = [];
  for (const { index, file, keeps } of unpluggedOf(journal.records(id))) {
    const disk = created.find(each => each.index === index);
    if (disk === undefined || disk.image.file === file || !(await mayStand(disk, records, files))) continue;
    const { image } = disk;
    if (keeps.includes(image.file)) left.push(inDoubt(image.file, file));
    else
      left.push(
        `${image.file} (made for a disk that has left the guest, which stayed on ${file}: remove it)`,
      );
  }
  return left;
}

/** Whether the disk's new image may stand under its name: where QEMU's files are not seen nothing tells. */
async function mayStand(
  disk: DiskPlan,
  records: readonly JournalRecord[],
  files: Files | null,
): Promise<boolean> {
  if (files === null || isMadeElsewhere(disk, records)) return true;
  return (await files.stat(disk.image.file)) !== undefined;
}

/** Whether a disk that has left may have been on that new image, which stays, and is told with that. */
function isKept({ image }: DiskPlan, last: UnpluggedDisk | undefined): boolean {
  return last !== undefined && image.create && image.file !== last.file && last.keeps.includes(image.file);
}

/** New images that stay because a disk has left the guest, and may have been on them. */
async function keptForUnplugged(
  { id, journal, files }: FiledSaga,
  disks: readonly DiskPlan[],
  records: readonly JournalRecord[],
): Promise<readonly string[]> {
  const left: string[] = [];
  for (const last of unpluggedOf(journal.records(id))) {
    const disk = disks[last.index];
    if (disk === undefined || !isKept(disk, last) || !(await mayStand(disk, records, files))) continue;
    left.push(inDoubt(disk.image.file, last.file));
  }
  return left;
}

/** Overlays of third parties above the image that a disk was on when it left: it may have been on one of them instead. */
async function aboveUnplugged(
  { id, journal, files }: FiledSaga,
  known: ReadonlySet<string>,
): Promise<readonly string[]> {
  if (files === null) return [];
  const records = journal.records(id);
  const sinceMs = (records[0]?.atMs ?? 0) - SLACK_MS;
  const told: string[] = [];
  for (const { file, keeps } of unpluggedOf(records)) {
    for (const image of new Set([file, ...keeps])) {
      for (let above = await overlaysOn(files, image, known, sinceMs); above.length > 0; ) {
        told.push(...above.map(overlay => inDoubt(overlay, file)));
        const next = await Promise.all(above.map(each => overlaysOn(files, each, known, sinceMs)));
        above = next.flat().filter(each => !told.includes(inDoubt(each, file)));
      }
    }
  }
  return told;
}

/** For clocks of a file server and of this machine. */
const SLACK_MS = 2_000;

function knownIn(plan: Plan): ReadonlySet<string> {
  return new Set(stagesOf(plan).flatMap(stage => stage.plan.disks.flatMap(imagesOfDisk)));
}

/** Whether it may stay open below a filter of an administrator's, and is neither the image that its disk was on nor one in doubt. */
function stays({ image }: DiskPlan, left: UnpluggedDisk | undefined): boolean {
  return left !== undefined && left.file !== image.file && !left.keeps.includes(image.file);
}

const HELD =
  'made for a disk that has left the guest, and open still below a filter that is not of this saga: remove it once that is closed';

function inDoubt(image: string, file: string): string {
  return `${image} (its disk has left the guest, and may have been on this image instead of ${file}: compare the two before you remove it)`;
}

/** The file that such words are about. */
export function fileIn(words: string): string {
  return words.replace(/ \(.*\)$/s, '');
}

/**
 * New images that stand there though no disk is to be on them, and that the saga may have made; a third party's file at such
 * a path is none of its own.
 */
export async function findLeftovers(saga: FiledSaga, outcome: string): Promise<readonly string[]> {
  const { id, plan, kept, journal, files } = saga;
  if (outcome === 'ready') return [];
  const known = knownIn(plan);
  const noted = mergedElsewhereIn(journal.records(id));
  const left: string[] = [
    ...(await aboveUnplugged(saga, known)),
    ...(await stillInDoubt(noted, files)).map(file => maybeNotMerged(file, true)),
  ];
  for (const { name, plan: stage } of stagesOf(plan)) {
    // What the stage made that the saga ended with is its result.
    const last = kept && plan.operation === 'snapshotMirror' ? 'snapshot' : stagesOf(plan).at(-1)?.name;
    const created = stage.disks.filter(disk => disk.image.create);
    const records = recordsOfStage(journal.records(id), name);
    if (files !== null) left.push(...(await movedFiles(created, records, files)));
    else left.push(...created.flatMap(disk => unseenUnfinished(disk, records)));
    if (outcome === 'committed' && name === last) {
      if (files !== null) left.push(...(await strayedImages(created, records, files)));
      left.push(...(await leftByUnplugged(saga, created, records)));
      continue;
    }
    const gone = unpluggedOf(journal.records(id));
    for (const disk of created) {
      const last = gone.find(({ index }) => index === disk.index);
      if (isKept(disk, last)) continue;
      if (files === null) {
        left.push(...unseenFiles(disk, records));
        continue;
      }
      const stands = await files.stat(disk.image.file);
      const isLeft =
        (stands !== undefined && isMaybeOurs(disk, stands.identity, records)) ||
        (files.isShared !== undefined && isMadeElsewhere(disk, records));
      if (isLeft) left.push(stands === undefined ? disk.image.file : unfinishedWords(disk, stands, records));
      else if (stands !== undefined && stays(disk, last) && isFileOf(disk, stands.identity, records))
        left.push(`${disk.image.file} (${HELD})`);
      else if (stands !== undefined && isFileOf(disk, stands.identity, records)) {
        const [overlay] = await overlaysOn(files, disk.image.file, known);
        if (overlay !== undefined) left.push(`${disk.image.file} (${stoodOnBy(overlay)})`);
      }
    }
    if (outcome === 'committed' && files !== null)
      left.push(...(await strayedImages(created, records, files)));
    left.push(...strayedFiles(stage.disks, records));
    left.push(...(await keptForUnplugged(saga, stage.disks, records)));
  }
  return left;
}

/** New images that are not found any more under the names by which the next boot looks for them. */
async function strayedImages(
  disks: readonly DiskPlan[],
  records: readonly JournalRecord[],
  files: Files,
): Promise<readonly string[]> {
  const told: string[] = [];
  for (const disk of disks) {
    const claim = heldClaim(disk, records);
    const stands = claim === undefined ? undefined : (await files.stat(disk.image.file))?.identity;
    if (claim === undefined || stands === claim) continue;
    told.push(strayed(disk.image.file, claim, stands === undefined ? 'nothing' : 'other'));
  }
  return told;
}
