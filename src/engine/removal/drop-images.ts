/**
 * Removes the new images of a saga that was rolled back: each only when it is provably the very file that the saga
 * made, when no program writes to it, and when no chain and no other saga names it. All others stay, and are reported.
 */

import { type Files, removeFile } from '../../images/files.ts';
import type { Images } from '../../images/images.ts';
import { overlaysOn } from '../../images/overlays-on.ts';
import type { Journal, JournalRecord } from '../../journal/journal.ts';
import { inPages } from '../../journal/pages.ts';
import { imagesOfDisk } from '../../plan/chain-of-image.ts';
import type { DiskPlan, Plan } from '../../plan/plan.ts';
import { removeUnfinished } from '../../steps/prepare/release-claims.ts';
import { stagesOf } from '../../steps/stages.ts';
import { planOf, sortedRows } from '../durable/checked-journal.ts';
import { claimOf, heldClaim, strayed } from './claims.ts';

/** What is known when images are dropped. */
export interface DropFacts {
  readonly id: string;
  readonly plan: Pick<Plan, 'disks'>;
  /** The disks whose new images are not needed. */
  readonly disks: readonly DiskPlan[];
  readonly records: readonly JournalRecord[];
  /** Files that must stay besides those that sagas name: what is booted from, what a QEMU has open. */
  readonly needed: readonly string[];
  readonly journal: Journal;
  readonly files: Files;
  readonly images: Images;
}

/**
 * Why a new image may not go: it is needed, a program writes to it, or it cannot be proved to be the file that the saga
 * made.
 */
type Keeps = 'needed' | 'inUse' | 'unproved';

/** A new image that the saga does not need and that is still there; `claim` is the identity to remove it by. */
export type LeftImage =
  | { readonly file: string; readonly claim: string; readonly keeps: undefined }
  | { readonly file: string; readonly claim: undefined; readonly keeps: Keeps };

/**
 * Removes what may go; gives the files that are left and that the saga may have made, and those that are not where it made
 * them. `begun` are the disks, by index, whose images an earlier run may have removed already. Throws FILES.
 */
export async function dropImages(facts: DropFacts, begun: ReadonlySet<number>): Promise<readonly string[]> {
  const { files, disks, records } = facts;
  const left: string[] = [];
  await removeUnfinished(files, disks);
  for (const disk of disks) {
    const held = heldClaim(disk, records);
    if (held === undefined || begun.has(disk.index)) continue;
    const stands = await files.stat(disk.image.file);
    if (stands === undefined) left.push(strayed(disk.image.file, held, 'nothing'));
    else if (stands.identity !== held) left.push(strayed(disk.image.file, held, 'other'));
  }
  const told = new Set(left.map(words => words.split(' (')[0]));
  for (const { file, claim } of await leftImages(facts)) {
    if (claim !== undefined) await removeFile(files, file, claim);
    if ((await files.stat(file)) !== undefined && !told.has(file)) left.push(file);
  }
  return left;
}

/** The indexes of the disks whose new images are not the saga's any more: what has their names from now on is another's. */
export async function givenUpIn({ disks, records, files }: DropFacts): Promise<readonly number[]> {
  const gone: number[] = [];
  for (const disk of disks) {
    const held = heldClaim(disk, records);
    if (held !== undefined && (await files.stat(disk.image.file))?.identity !== held) gone.push(disk.index);
  }
  return gone;
}

/** Looks for new images that are not needed, and says of each whether it may go. */
export async function leftImages(facts: DropFacts): Promise<readonly LeftImage[]> {
  const { plan, disks, records, files, images } = facts;
  const found: LeftImage[] = [];
  const known = new Set(plan.disks.flatMap(imagesOfDisk));
  let guarded: Guarded | undefined;
  for (const disk of disks) {
    const { file, driver, create } = disk.image;
    const stands = create ? await files.stat(file) : undefined;
    if (stands === undefined) continue;
    guarded ??= await guardedFiles(facts);
    const claim = claimOf(disk, stands, records);
    const isStoodOn = (await overlaysOn(files, file, known)).length > 0;
    const isNeeded = isStoodOn || guarded.has(file) || guarded.has(stands.identity);
    if (isNeeded) found.push({ file, claim: undefined, keeps: 'needed' });
    else if (claim !== stands.identity || stands.isRecyclable)
      found.push({ file, claim: undefined, keeps: 'unproved' });
    else if ((await images.look({ file, driver })).state === 'inUse')
      found.push({ file, claim: undefined, keeps: 'inUse' });
    else found.push({ file, claim, keeps: undefined });
  }
  return found;
}

/** Names and identities of all images that must stay: of these chains, and of every saga that may still need them. */
async function guardedFiles(facts: DropFacts): Promise<Guarded> {
  const { id, plan, needed, journal, files } = facts;
  const guarded = new Set<string>([...needed, ...plan.disks.flatMap(belowDisk)]);
  for (const row of inPages(journal)) {
    if (row.id === id || row.state === 'rolledBack') continue;
    // Which images a damaged saga needs cannot be told: none is removed then.
    if (sortedRows([row]).damaged.length > 0) return EVERYTHING;
    const disks = stagesOf(planOf(row)).flatMap(stage => stage.plan.disks);
    for (const disk of disks) {
      for (const file of [...belowDisk(disk), disk.image.file]) guarded.add(file);
    }
  }
  for (const file of [...guarded]) {
    const identity = file.startsWith('/') ? (await files.stat(file))?.identity : undefined;
    if (identity !== undefined) guarded.add(identity);
  }
  return guarded;
}

type Guarded = Pick<ReadonlySet<string>, 'has'>;

const EVERYTHING: Guarded = { has: () => true };

/** What a disk is on and what is below that, and what is below its new image. */
function belowDisk({ file, chain, image }: DiskPlan): readonly string[] {
  const { backing, below } = image;
  return [file, ...[...chain, ...(backing === null ? [] : [backing]), ...below].map(each => each.file)];
}
