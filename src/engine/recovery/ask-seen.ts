/**
 * What is known of an image, besides what is in it, that speaks against removing it or copying it over another: that a guest was
 * seen on it, or that a third party has moved a disk to it before it held all of that disk. It only reads.
 */
import type { Images } from '../../images/images.ts';
import { member } from '../../journal/body.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import { type DiskPlan, hasMirrors, type StagePlan, wayOf } from '../../plan/plan.ts';
import { ranOnOldIn } from '../durable/history.ts';
import { ranOnBothIn } from '../durable/ran-on-both.ts';
import { seenOn } from '../durable/seen-on.ts';
import type { OfflineAction } from './decide-offline.ts';

/**
 * `seenOn`: a guest was on it when it was looked at last. `leftAgain`: it was on it at some look, and holds nothing now that the
 * other one does not, or was not on it any more at the last. `half`: what it was moved to holds a part, and so does the other. `both`: it
 * ran on the one and then on the other, in front of the switch and behind it. `ranFirst`: it did the first, and nothing tells of the second.
 */
export type Evidence = 'seenOn' | 'leftAgain' | 'half' | 'both' | 'ranFirst';

/** What is asked of a verdict's stage. */
interface Asked {
  readonly plan: StagePlan;
  readonly records: readonly JournalRecord[];
}

/** Of a disk's new image; undefined where nothing is known against what the verdict says. Throws FILES. */
export async function askSeen(
  { plan, records }: Asked,
  disk: DiskPlan,
  action: OfflineAction,
  images: Images,
): Promise<Evidence | undefined> {
  const { ever, last, halved } = seenOn(plan, records);
  const isMoved = action === 'moveBack' && (halved.has(disk.index) || !isWhole(plan, records, disk));
  const isBoth = ranOnBothIn(records).has(disk.index);
  const isTaken = action === 'keep' || action === 'keepOrMake';
  // By the other strategies the mirrors follow what it writes until each disk has switched.
  const ranFirst = isTaken && wayOf(plan) === 'reopen' && ranOnOldIn(records);
  if (!isBoth && !ranFirst && !isMoved && !(action === 'drop' && ever.has(disk.index))) return undefined;
  const fresh = { file: disk.image.file, driver: disk.image.driver };
  const { state } = await images.look(fresh);
  if (state === 'missing') return undefined;
  if (isBoth) return 'both';
  if (ranFirst) return 'ranFirst';
  if (isMoved) return 'half';
  if (!last.has(disk.index)) return 'leftAgain';
  const old = { file: disk.file, driver: disk.driver };
  const isComparable = state === 'readable' && (await images.look(old)).state === 'readable';
  return isComparable && (await images.compare(fresh, old)) === 'within' ? 'leftAgain' : 'seenOn';
}

/** Whether the journal knows that every disk's mirror had copied all. */
export function wereReady({ plan, records }: Asked): boolean {
  if (!hasMirrors(plan)) return true;
  return records.some(
    ({ kind, step, body }) => kind === 'outcome' && step === 'mirrorDisks' && member(body, 'error') === null,
  );
}

/** Whether a disk that was switched had been copied first. A QEMU that forgets jobs sets no drive of a device that is there. */
function isWhole(plan: StagePlan, records: readonly JournalRecord[], { index }: DiskPlan): boolean {
  if (plan.jobsVanishOnEnd !== undefined || wereReady({ plan, records })) return true;
  return records.some(({ kind, step, body }) => {
    const copied = member(member(body, 'observed'), 'copied');
    return (
      kind === 'intent' && step === 'undo.mirrorDisks' && Array.isArray(copied) && copied.includes(index)
    );
  });
}
