/**
 * Draws each disk as its chain of images, from the bottom to the one that the guest is on, and the image that was planned.
 * Disks of which the same is true are drawn once from a number on.
 */
import { type Box, boxesOf } from './disk-boxes.ts';
import { drawChains } from './draw-chains.ts';
import { elide } from './measure.ts';
import { placeChains } from './place-chains.ts';
import type { DiskProgress, Scene, SceneDisk } from './scene-types.ts';
import { type Shape, text } from './shapes.ts';
import { countOf, namesInWords, sizeInWords } from './words.ts';

const ROW = 66;
/** What is left for the names of the disks; less in a narrow drawing. */
const NAMES = 142;
const NAMES_NARROW = 84;
const NAMES_PHONE = 58;
const WIDE = 720;
const PHONE = 440;
/** Where a page's drawing of disks begins. */
export const PAGE_TOP = 16;

/** More disks than this are drawn as groups. */
const DISKS_MAX = 8;
const SAME_MAX = 2;

export interface Drawn {
  readonly shapes: readonly Shape[];
  readonly height: number;
}

export function drawDisks(
  scene: Scene,
  left: number,
  top: number,
  width: number,
  progress: ReadonlyMap<string, DiskProgress> = new Map(),
): Drawn {
  const isPhone = width < PHONE;
  const names = isPhone ? NAMES_PHONE : width < WIDE ? NAMES_NARROW : NAMES;
  const rows = besideLike(
    rowsOf(scene.disks).map(row => {
      const boxes = boxesOf(row.disk, scene);
      return { ...row, boxes: isPhone ? shortOf(boxes, progress.size > 0) : boxes };
    }),
  );
  const yOf = (at: number) => top + 40 + at * ROW;
  const placed = placeChains(
    rows.map(({ boxes, disk }, at) => ({ boxes, y: yOf(at), progress: progress.get(disk.disk.disk) })),
    left + names,
    width - names,
  );
  return {
    shapes: [
      text(left, top, 'h', headingOf(scene)),
      ...rows.flatMap((row, at) => drawNames(row, left, yOf(at), width)),
      ...drawChains(placed),
    ],
    height: 40 + rows.length * ROW,
  };
}

/** Where there is no room for more: the image in front and its copy, and how many lie below; not even that beside a bar that fills. */
function shortOf(boxes: readonly Box[], isFilling: boolean): readonly Box[] {
  const copy = boxes.findIndex(({ link }) => link === 'copied to');
  const from = (copy < 0 ? boxes.length - 1 : copy) - 1;
  if (from < (isFilling ? 1 : 2)) return boxes;
  const below = boxes.slice(0, from);
  const file = below.map(each => each.file).join('\n');
  const some: Box = { file, label: `+${from}`, className: 'box', tag: null, link: 'none' };
  const [front, ...rest] = boxes.slice(from);
  if (front === undefined) return boxes;
  return isFilling ? [{ ...front, link: 'none' }, ...rest] : [some, front, ...rest];
}

function headingOf({ isEnded, disks }: Scene): string {
  if (disks.some(({ on }) => on === null)) return 'Where every disk is: not known before it is recovered';
  return isEnded ? 'Where every disk is now' : 'Where every disk is';
}

/** Which row of disks lies at this height of a page's drawing, from 0. */
export function diskRowAt(y: number): number {
  return Math.max(0, Math.floor((y - PAGE_TOP - 40 + ROW / 2) / ROW));
}

/** Disks that share the image at the bottom of their chains are drawn one below the other. */
function besideLike<R extends Row & { readonly boxes: readonly Box[] }>(rows: readonly R[]): readonly R[] {
  return [...Map.groupBy(rows, ({ boxes }) => boxes[0]?.file).values()].flat();
}

function drawNames({ disk, alike }: Row, left: number, y: number, width: number): readonly Shape[] {
  const more = `and ${countOf(alike.length, 'more disk')} like it: ${namesInWords(
    alike.map(each => each.disk.disk),
    4,
  )}`;
  return [
    text(
      left,
      y + 2,
      disk.hasFailed ? 'strong t-failed' : 'strong',
      elide(disk.disk.disk, width < PHONE ? 7 : width < WIDE ? 11 : 18),
    ),
    text(left, y + 18, 'small muted', sizeInWords(disk.disk.sizeBytes)),
    ...(alike.length === 0 ? [] : [text(left, y + 37, 'small muted', more)]),
  ];
}

interface Row {
  readonly disk: SceneDisk;
  /** The others of which the same is true. */
  readonly alike: readonly SceneDisk[];
}

function rowsOf(disks: readonly SceneDisk[]): readonly Row[] {
  if (disks.length <= DISKS_MAX) return disks.map(disk => ({ disk, alike: [] }));
  const fates = Map.groupBy(disks, ({ hasFailed, isOnNew, imageIs, on }) =>
    JSON.stringify([hasFailed, isOnNew, imageIs, on === null]),
  );
  return [...fates.values()]
    .sort((a, b) => a.length - b.length)
    .flatMap(same => {
      if (same.length <= SAME_MAX + 1) return same.map(disk => ({ disk, alike: [] }));
      const shown = same.slice(0, SAME_MAX);
      return shown.map((disk, at) => ({ disk, alike: at === SAME_MAX - 1 ? same.slice(SAME_MAX) : [] }));
    });
}
