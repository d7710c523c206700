/**
 * Disks that had left the guest before its QEMU died, as the saga has noted: a recovery does nothing to their images, which
 * may be in use elsewhere by now, and names what the saga made for them. It removes nothing.
 */
import type { Files } from '../../images/files.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import type { Plan, StagePlan } from '../../plan/plan.ts';
import { unpluggedOf } from '../durable/unplugged.ts';
import type { OfflineEnd } from './offline-parts.ts';

/** What becomes of the disks that the guest had still. */
export function ofThoseLeft(end: OfflineEnd, records: readonly JournalRecord[]): OfflineEnd {
  const left = new Set(unpluggedOf(records).map(({ index }) => index));
  const without = (part: OfflineEnd['parts'][0]): OfflineEnd['parts'][0] => {
    const disks = part.verdict.disks.filter(({ index }) => !left.has(index));
    return { ...part, verdict: { ...part.verdict, disks } };
  };
  const last = end.parts.at(-1);
  if (left.size === 0 || last === undefined) return end;
  return { ...end, parts: [...end.parts.slice(0, -1).map(without), without(last)] };
}

/** A plan without them. */
export function withoutLeft<P extends Plan>(plan: P, records: readonly JournalRecord[]): P {
  const left = new Set(unpluggedOf(records).map(({ index }) => index));
  return left.size === 0 ? plan : { ...plan, disks: plan.disks.filter(({ index }) => !left.has(index)) };
}

/** Every image that may be one of theirs: none of them is removed. */
export function imagesOfLeft({ disks }: StagePlan, records: readonly JournalRecord[]): readonly string[] {
  return unpluggedOf(records).flatMap(({ index, file, keeps }) => [
    ...[file, ...keeps],
    ...(disks.find(disk => disk.index === index)?.chain ?? []).map(image => image.file),
  ]);
}

/** New images that the saga has made for them, other than the one that they were on last, in words. */
export async function madeForLeft(
  { disks }: StagePlan,
  records: readonly JournalRecord[],
  files: Files,
): Promise<readonly string[]> {
  const told: string[] = [];
  for (const { index, file, keeps } of unpluggedOf(records)) {
    const image = disks.find(disk => disk.index === index)?.image;
    if (image === undefined || !image.create || image.file === file) continue;
    if ((await files.stat(image.file)) === undefined) continue;
    told.push(
      keeps.includes(image.file)
        ? `${image.file} (its disk has left the guest, and may have been on this image instead of ${file}: compare the two before you remove it)`
        : `${image.file} (made for a disk that has left the guest, which was on ${file} last: remove it)`,
    );
  }
  return told;
}
