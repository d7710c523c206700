/**
 * Asks the images themselves whether a verdict that rests on the journal alone can be true. A journal may be behind: an
 * older copy of it was put back, or a third party switched a disk while no process was there to write that down. Then the
 * image that the verdict leaves was written to after the one that it takes, and holds what that one does not. It only reads.
 *
 * The data decides, the times only save comparing: an image that was not written to later needs no look at what it holds, nor
 * does a mirror's target that was written to later only while the journal says that the disks were watched.
 */

import { BlocksagaError } from '../../errors.ts';
import type { ImageName, Images } from '../../images/images.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import { type DiskPlan, hasMirrors, type StagePlan } from '../../plan/plan.ts';
import { WATCH_MS } from '../durable/watch.ts';
import { watchedUntil } from '../durable/watched.ts';
import { askSeen, type Evidence, wereReady } from './ask-seen.ts';
import type { OfflineVerdict } from './decide-offline.ts';
import type { KeptImage } from './offline-progress.ts';

/** What the images say about one disk against the verdict; the images of a disk that agree are not named. */
interface Doubt {
  readonly disk: DiskPlan;
  /** The image that the verdict boots from, and the one that was written to later. */
  readonly taken: string;
  readonly later: string;
  /**
   * `behind`: the later one holds all of a disk and more, so that a guest may have run on it. `partial`: it is a copy that
   * was under way, and holds something that the guest has written anew since. `left`: a guest was seen on it once.
   */
  readonly kind: 'behind' | 'partial' | 'left';
  /** What is known besides what the images hold. */
  readonly evidence?: Evidence;
  /** The one that the verdict boots from is not there, or is no such image. */
  readonly isGone?: true;
  /** What they hold cannot be compared: images below them are not there, or are none. */
  readonly isUnread?: true;
  readonly takenAtMs: number | null;
  readonly laterAtMs: number | null;
}

/** One stage's plan with what was decided about it. */
interface Part {
  readonly plan: StagePlan;
  readonly records: readonly JournalRecord[];
  readonly verdict: OfflineVerdict;
}

/** The times of two images. */
interface Times {
  readonly takenAtMs: number;
  readonly laterAtMs: number;
}

/** When the saga was begun, whether its journal may be an older copy (no time is explained by that then), and its files. */
interface Known {
  readonly begunMs: number;
  readonly isUntold: boolean;
  /** Whether under a name there is another file than the saga knew there, which tells nothing of where its guest ran. */
  readonly isReplaced: (file: string) => Promise<boolean>;
}

/** Looks at the disks whose verdict could be wrong. Throws FILES. */
export async function askImages(part: Part, known: Known, images: Images): Promise<readonly Doubt[]> {
  const doubts: Doubt[] = [];
  for (const { index, action } of part.verdict.disks) {
    const disk = part.plan.disks[index];
    if (disk === undefined) continue;
    const old = { file: disk.file, driver: disk.driver };
    const fresh = { file: disk.image.file, driver: disk.image.driver };
    const evidence = await askSeen(part, disk, action, images);
    const doubt =
      evidence !== undefined
        ? byEvidence(disk, evidence)
        : action === 'drop'
          ? await compareWith(part, disk, { taken: old, left: fresh }, { known, images }, times =>
              wasMirrored(part, known.begunMs, times, images),
            )
          : action === 'keep' && hasMirrors(part.plan)
            ? await compareWith(part, disk, { taken: fresh, left: old }, { known, images })
            : // What is to be merged may have been merged since, and the guest have run below it.
              action === 'commitDown' && known.isUntold
              ? await compareWith(part, disk, { taken: old, left: fresh }, { known, images })
              : undefined;
    if (doubt !== undefined) doubts.push(doubt);
  }
  return doubts;
}

function byEvidence(disk: DiskPlan, evidence: Evidence): Doubt {
  const kind = evidence === 'leftAgain' ? 'left' : 'behind';
  const told = { takenAtMs: null, laterAtMs: null };
  return { disk, taken: disk.file, later: disk.image.file, kind, evidence, ...told };
}

async function compareWith(
  part: Part,
  disk: DiskPlan,
  { taken, left }: { readonly taken: ImageName; readonly left: ImageName },
  { known, images }: { readonly known: Known; readonly images: Images },
  isExplained: (times: Times) => boolean = () => false,
): Promise<Doubt | undefined> {
  if ((await known.isReplaced(taken.file)) || (await known.isReplaced(left.file))) return undefined;
  const [one, other] = [await images.look(taken), await images.look(left)];
  const mayHaveLeft = hasMirrors(part.plan) || part.plan.operation === 'revert';
  const isGone = one.state === 'missing' || one.state === 'unreadable';
  if (isGone && other.state === 'readable' && mayHaveLeft) {
    const told = { takenAtMs: null, laterAtMs: other.writtenAtMs };
    return { disk, taken: taken.file, later: left.file, kind: 'behind', isGone, ...told };
  }
  // What is missing, in use or unreadable is told by what looks at each image anyway.
  if (one.state !== 'readable' || other.state !== 'readable') return undefined;
  const [takenAtMs, laterAtMs] = [one.writtenAtMs, other.writtenAtMs];
  const hasTimes = takenAtMs !== null && laterAtMs !== null;
  const { begunMs, isUntold } = known;
  // An overlay that is still to be rebased is committed into the old image by a rollback, which is written to last then.
  const isEarlier = hasTimes && laterAtMs < takenAtMs && !disk.image.rebased;
  if (isEarlier || (hasTimes && !isUntold && isExplained({ takenAtMs, laterAtMs }))) return undefined;
  // Without times only mirrors that were all READY make a whole of it; in an image that held something before, what it
  // holds tells nothing, and when it was written to does: behind all that this journal can have missed.
  if (!wereReady(part) && !isUntold && (laterAtMs === null || !hasTimes)) return undefined;
  if (!wereReady(part) && !isUntold && !disk.image.create && (laterAtMs ?? 0) <= missedUntil(part, begunMs))
    return undefined;
  const comparison = await images.compare(left, taken);
  if (comparison === 'within') return undefined;
  const told = { disk, taken: taken.file, later: left.file, takenAtMs, laterAtMs };
  if (comparison === 'unreadable') return { ...told, kind: 'behind', isUnread: true };
  // Only the image of a mirror can be a copy that was under way; what an overlay holds a guest has written.
  const isCopy = hasMirrors(part.plan) && left.file === disk.image.file;
  const kind = comparison === 'partly' && isCopy ? 'partial' : 'behind';
  return { ...told, kind };
}

/**
 * Whether the later one is only what a mirror had copied when all ended: QEMU's end was seen, or it came before the
 * next record that all is as it was, and the disk was written to till then. A guest that ran on the copy has left the
 * disk behind for longer, or has run unwatched.
 */
function wasMirrored({ plan, records }: Part, begunMs: number, times: Times, images: Images): boolean {
  if (!hasMirrors(plan) || !wereBegun(records)) return false;
  const { untilMs, nextByMs } = watchedUntil(records, begunMs, WATCH_MS);
  const { takenAtMs, laterAtMs } = times;
  return laterAtMs <= untilMs || (laterAtMs <= nextByMs && laterAtMs - takenAtMs <= images.inFlightMs);
}

/** Whether the journal knows of anything that copies into new images: nothing is sent before it does, and they are empty till then. */
function wereBegun(records: readonly JournalRecord[]): boolean {
  return records.some(({ kind, step }) => kind === 'intent' && COPIES.has(step));
}

const COPIES: ReadonlySet<string> = new Set(['streamIntoTargets', 'mirrorDisks']);

/** The last moment of which a process that died without a word could still have been about to tell. */
function missedUntil({ records }: Part, begunMs: number): number {
  return watchedUntil(records, begunMs, WATCH_MS).nextByMs;
}

/** Tells both stories, and how to say which is true. */
export function journalIsBehind(saga: string, why: string, doubts: readonly Doubt[]): BlocksagaError {
  const [first] = doubts;
  const told = doubts.map(doubt => `disk ${doubt.disk.disk}: ${inWords(doubt)}`);
  if (first?.evidence === 'both') return ranOnBoth(saga, first.disk, told);
  return new BlocksagaError(
    'JOURNAL_BEHIND',
    `the journal and the images of saga ${saga} tell different stories. The journal: ${why}. The images: ${told.join('; ')}: ` +
      'the journal is an older copy, or a third party has switched disks. Nothing has been changed. Find out on which images the guest ' +
      `ran last, then say it: "blocksaga resume --offline ${saga} --front old" (the images from before the saga) or "--front new" ` +
      '(those of the saga), or disk by disk "--front DISK=old,DISK=new"; the images that are not taken are kept',
    { saga, ...(first === undefined ? {} : { disk: first.disk.disk }) },
  );
}

function ranOnBoth(saga: string, { disk }: DiskPlan, told: readonly string[]): BlocksagaError {
  return new BlocksagaError(
    'JOURNAL_BEHIND',
    `the guest of saga ${saga} ran on both sides of its disks, and neither holds all that it wrote. ${told.join('; ')}. Nothing has been ` +
      `changed. Say which side of all disks to boot from: "blocksaga resume --offline ${saga} --front old" (the images from before the ` +
      'saga) or "--front new" (those of the saga); the others are kept: copy what the guest needs of them by hand',
    { saga, disk },
  );
}

function inWords(doubt: Doubt): string {
  const { taken, later, evidence, isGone, isUnread } = doubt;
  if (isGone)
    return `${taken} is not there, or no image any more, and ${later} is: where it has another name by now, first put the right file back, then run this again`;
  if (evidence === 'seenOn')
    return `a guest was seen on ${later} last, where a third party had put it, and that holds what ${taken} does not`;
  if (evidence === 'half')
    return (
      `a third party had moved it to ${later} before that held what ${taken} holds: what the guest wrote since is only there, what it ` +
      `wrote before only in ${taken}; whichever is booted from, copy what the guest needs of the other one by hand`
    );
  if (evidence === 'both') return `it wrote to ${taken} first, and then to ${later}, which lacks that`;
  if (evidence === 'ranFirst')
    return `it wrote to ${taken} right in front of the switch, which ${later} lacks, and may have run on that since`;
  const holds = isUnread ? 'what it holds cannot be read as a whole' : 'holds what that does not';
  const rebased = doubt.disk.image.rebased
    ? `; a revert puts it on ${taken} before it stands on the image that its header names: where the guest ran on it only then, rebase it ` +
      `onto that (qemu-img rebase -u -b ${taken} -F ${doubt.disk.driver} ${later}) and boot from it`
    : '';
  return `${later} ${whenWritten(doubt)} ${taken}, and ${holds}${rebased}`;
}

function whenWritten({ takenAtMs, laterAtMs }: Doubt): string {
  if (takenAtMs === null || laterAtMs === null) return 'tells no time, may have been written to after';
  return `was last written to ${((laterAtMs - takenAtMs) / 1_000).toFixed(1)} s after`;
}

/** Why images stay that the verdict would have removed. */
export function keptInDoubt({ later, taken, kind, evidence, isUnread }: Doubt): readonly KeptImage[] {
  if (evidence === 'leftAgain') {
    const why = `a guest was seen on it, where a third party had put it: kept, remove it once the guest runs well on ${taken}`;
    return [{ file: later, why }];
  }
  if (evidence === 'both' || evidence === 'ranFirst') {
    const and = evidence === 'both' ? 'and it holds' : 'and it may hold';
    const why = (other: string) =>
      `the guest was on it and on ${other}, ${and} what that does not: kept, look at it before you remove it`;
    return [
      { file: later, why: why(taken) },
      { file: taken, why: why(later) },
    ];
  }
  if (evidence !== undefined) {
    const why = (other: string) =>
      `a third party had moved a guest between it and ${other}, and it may hold what that does not: kept, look at it before you remove it`;
    return [
      { file: later, why: why(taken) },
      { file: taken, why: why(later) },
    ];
  }
  if (isUnread) {
    const why = `written to after ${taken}, and could not be compared with it: kept, look at it before you remove it`;
    return [{ file: later, why }];
  }
  const why =
    kind === 'partial'
      ? `an unfinished copy that holds what ${taken} does not, most likely older data, unless a third party had put it in front of its disk: look at it, and remove it once the guest runs well`
      : `written to after ${taken}, and holds what that does not: kept, since the journal had not said so`;
  return [{ file: later, why }];
}
