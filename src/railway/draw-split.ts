/** The one rail of N disks parts in front of the step at which they differ: those that failed, and the others. */

import { disksInWords } from './headline.ts';
import { elide, widthOf } from './measure.ts';
import type { Scene, SceneDisk } from './scene-types.ts';
import { group, line, path, round, type Shape, text } from './shapes.ts';

/** The station in front of which the disks part; null where they never do. */
export function splitBefore({ stations, disks, failure }: Scene): number | null {
  if (disks.length < 2 || failure === null || failure.isUndo || !disks.some(({ hasFailed }) => hasFailed))
    return null;
  const at = stations.findLastIndex(({ reached }) => reached === 'failed');
  return at > 0 ? at : null;
}

export function drawSplit(scene: Scene, xs: readonly number[], y: number): readonly Shape[] {
  const at = splitBefore(scene);
  const [x1, x2] = [xs[(at ?? 0) - 1], xs[at ?? 0]];
  if (at === null || x1 === undefined || x2 === undefined) return [];
  const [from, to] = [x1 + 16, x2 - 10];
  const failed = namesIn(
    scene.disks.filter(({ hasFailed }) => hasFailed),
    to - from - 24,
  );
  const others = namesIn(
    scene.disks.filter(({ hasFailed }) => !hasFailed),
    to - from - 24,
  );
  const middle = (from + to) / 2;
  return [
    line(from, y, to, y, 'gap'),
    heldBack(from, to, y),
    path(
      `${partingTo(12, from, y)}L${round(to - 34)} ${y + 12}C${round(to - 14)} ${y + 12} ${round(to - 18)} ${y} ${round(to)} ${y}`,
      'rail thin r-failed',
    ),
    text(middle, y - 19, 'small t-done', others, 'middle'),
    text(middle, y + 28, 'small strong t-failed', failed, 'middle'),
  ];
}

/** Those that did not fail end in front of the cross: they are rolled back too, but not for a reason of theirs. */
function heldBack(from: number, to: number, y: number): Shape {
  const end = to - 6;
  return group(
    'held-back',
    [
      path(`${partingTo(-12, from, y)}L${round(end)} ${y - 12}`, 'rail thin r-done'),
      line(end, y - 18, end, y - 6, 'rail thin r-done'),
    ],
    'these disks did not fail',
  );
}

function partingTo(by: number, from: number, y: number): string {
  return `M${round(from)} ${y}C${round(from + 18)} ${y} ${round(from + 14)} ${y + by} ${round(from + 34)} ${y + by}`;
}

/** Their names where there is room for them, else how many they are. */
function namesIn(disks: readonly SceneDisk[], room: number): string {
  const names = disksInWords(disks);
  if (widthOf(names, 11) <= room) return names;
  return disks.length === 1 ? elide(names, Math.floor(room / 7)) : `${disks.length} disks`;
}
