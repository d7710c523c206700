/** Draws images that have their places, and how each hangs on the one before: based on it, or copied from it. */
import type { PlacedBox } from './place-chains.ts';
import type { DiskProgress } from './scene-types.ts';
import { group, line, path, rect, round, type Shape, shape, text } from './shapes.ts';

const HEIGHT = 32;
/** How far above its box the line of a copy runs to the image that it is based on. */
const OVER = 25;

export function drawChains(boxes: readonly PlacedBox[]): readonly Shape[] {
  return [...boxes.flatMap(linkOf), ...boxes.flatMap(box => baseOf(box)), ...boxes.map(drawBox)];
}

function drawBox({ box: { file, className, tag }, label, x, y, wide, disks }: PlacedBox): Shape {
  const told = tag ?? (disks > 1 ? ([`shared by ${disks} disks`, 'muted'] as const) : null);
  return group(
    'image',
    [
      rect(x, y - 18, wide, HEIGHT, 7, className),
      text(x + wide / 2, y + 2.5, 'mono', label, 'middle'),
      ...(told === null ? [] : [text(x + wide / 2, y + 28, `small ${told[1]}`, told[0], 'middle')]),
    ],
    file,
  );
}

function linkOf({ box, x, y, on, progress }: PlacedBox): readonly Shape[] {
  if (on === undefined || box.link === 'none') return [];
  const from = on.x + on.wide;
  const at = y - 2;
  if (box.link === 'stands on') {
    if (on.y === y) return [line(from + 2, at, x - 2, at, 'link')];
    const [turn, above] = [from + (x - from) / 2, on.y - 2];
    const r = Math.min(8, Math.abs(at - above) / 2) * Math.sign(at - above);
    return [
      path(
        `M${round(from + 2)} ${round(above)}H${round(turn - 8)}Q${round(turn)} ${round(above)} ${round(turn)} ${round(above + r)}V${round(at - r)}Q${round(turn)} ${round(at)} ${round(turn + 8)} ${round(at)}H${round(x - 2)}`,
        'link',
      ),
    ];
  }
  return box.className === 'box-gone' || box.className === 'box-failed'
    ? takenBack(from, x, at, box.className)
    : arrowOf(from, x, at, progress);
}

/** The copy was begun, and is not there any more: its arrow is crossed out. */
function takenBack(from: number, to: number, y: number, className: string): readonly Shape[] {
  const middle = (from + to) / 2;
  const ink = className === 'box-failed' ? 't-failed' : 't-back';
  return [
    line(from + 3, y, to - 9, y, 'arrow'),
    shape('path', { d: `M${round(to - 3)} ${y}l-8 -4.5v9z`, class: 'head' }),
    rect(middle - 8, y - 8, 13, 16, 2, 'ground'),
    text(middle - 1.5, y + 4.5, `strong ${ink}`, '✕', 'middle'),
  ];
}

function arrowOf(from: number, to: number, y: number, progress: DiskProgress | undefined): readonly Shape[] {
  const head = shape('path', { d: `M${round(to - 3)} ${y}l-8 -4.5v9z`, class: 'head' });
  if (progress === undefined) {
    return [
      line(from + 3, y, to - 9, y, 'arrow'),
      text((from + to) / 2 - 3, y - 6, 'small muted', 'copy', 'middle'),
      head,
    ];
  }
  const wide = to - from - 18;
  const middle = from + 4 + wide / 2;
  return [
    text(middle, y - 9, 'small t-done', progress.amount, 'middle'),
    rect(from + 4, y - 3, wide, 6, 3, 'bar'),
    ...(progress.share > 0
      ? [rect(from + 4, y - 3, Math.max(6, wide * progress.share), 6, 3, 'filled')]
      : []),
    head,
    text(middle, y + 17, 'small muted', progress.pace, 'middle'),
  ];
}

/** From a copy over the images between to the one that it is based on: it joins the line that leaves that one. */
function baseOf({ box, x, y, wide, on }: PlacedBox): readonly Shape[] {
  if (box.base === undefined) return [];
  let next = on;
  while (next?.on !== undefined && next.on.box.file !== box.base) next = next.on;
  if (next?.on === undefined) return [];
  const [joint, over] = [next.x - 8, y - OVER];
  return [
    path(
      `M${round(joint)} ${y - 2}V${over + 6}Q${round(joint)} ${over} ${round(joint + 6)} ${over}H${round(x + wide / 2 - 6)}Q${round(x + wide / 2)} ${over} ${round(x + wide / 2)} ${over + 6}V${y - 19}`,
      box.className === 'box-gone' || box.className === 'box-failed' || box.className === 'box-new'
        ? 'link would'
        : 'link',
    ),
  ];
}
