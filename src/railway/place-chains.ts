/**
 * Places the images of several disks: each chain a row from left to right, and an image that several chains stand on once, in the
 * middle of them. Pure.
 */
import type { Box } from './disk-boxes.ts';
import { elide, monoWidth, widthOf } from './measure.ts';
import type { DiskProgress } from './scene-types.ts';

const GAP = 30;
/** Where a chain parts into several. */
const GAP_FORK = 46;
const GAP_COPY = 46;
/** Between what is said below two images. */
const GAP_TAGS = 14;
/** Room for a bar that fills, with its figures. */
const GAP_FILLING = 168;
const GAP_FILLING_NARROW = 140;
const ROOM_NARROW = 330;
const LETTERS_MAX = 30;
const LETTERS_MIN = 7;
const PADDING = 22;

export interface ChainRow {
  readonly boxes: readonly Box[];
  readonly y: number;
  readonly progress: DiskProgress | undefined;
}

export interface PlacedBox {
  readonly box: Box;
  readonly label: string;
  readonly x: number;
  readonly y: number;
  readonly wide: number;
  /** Of how many disks it is. */
  readonly disks: number;
  /** The box that it hangs on; undefined at the bottom. */
  readonly on: PlacedBox | undefined;
  readonly progress: DiskProgress | undefined;
}

export function placeChains(given: readonly ChainRow[], left: number, room: number): readonly PlacedBox[] {
  // Alike for all, so that the images lie below one another.
  const isFilling = given.some(({ progress }) => progress !== undefined);
  const filling = room < ROOM_NARROW ? GAP_FILLING_NARROW : GAP_FILLING;
  const asked = Math.max(GAP_COPY, ...given.map(({ boxes }) => gapOfTags(boxes)));
  const rows = given.map(row => ({ ...row, copyGap: isFilling ? filling : asked }));
  const shared = [...Map.groupBy(rows, ({ boxes }) => boxes[0]?.file).values()];
  const each = shared.flatMap(group =>
    group.map(row => writingFor(row, room, group.length > 1 ? GAP_FORK : GAP)),
  );
  const isBare = each.some(writing => writing.isBare);
  const most = Math.min(LETTERS_MAX, ...each.map(writing => writing.most));
  return shared.flatMap(group => placeFrom(group, 0, left, undefined, { isBare, most }));
}

interface Row extends ChainRow {
  /** Between an image and its copy: more where some copy of the drawing has figures. */
  readonly copyGap: number;
}

/** The least room that a name may have got, but for cuts. */
const BARE: Writing = { isBare: true, most: LETTERS_MAX };

/** What the words below an image and below its copy need between the two, where they are wider than their boxes. */
function gapOfTags(boxes: readonly Box[]): number {
  const at = boxes.findIndex(({ link }) => link === 'copied to');
  const out = boxes
    .slice(at - 1, at + 1)
    .map(
      ({ label, tag }) =>
        Math.max(0, widthOf(tag?.[0] ?? '', 11) - monoWidth(written(label, BARE), 12) - PADDING) / 2,
    );
  return at < 1 ? 0 : GAP_TAGS + out.reduce((sum, each) => sum + each, 0);
}

/** How names are written so that there is room for all: in full, without their extensions, or cut as well. */
interface Writing {
  readonly isBare: boolean;
  readonly most: number;
}

function writingFor({ boxes, copyGap }: Row, room: number, gap: number): Writing {
  const gaps = boxes.slice(1).reduce((sum, { link }) => sum + gapOf(link, copyGap, gap), 0);
  const fits = (writing: Writing) =>
    boxes.reduce((sum, { label }) => sum + monoWidth(written(label, writing), 12) + PADDING, gaps) <= room;
  const whole = { isBare: false, most: LETTERS_MAX };
  if (fits(whole)) return whole;
  let most = LETTERS_MAX;
  while (most > LETTERS_MIN && !fits({ isBare: true, most })) most -= 1;
  return { isBare: true, most };
}

function written(name: string, { isBare, most }: Writing): string {
  return elide(isBare ? name.replace(/\.(qcow2|raw|img|vmdk)$/, '') : name, most);
}

function gapOf(link: Box['link'], copyGap: number, otherwise: number): number {
  return link === 'copied to' ? copyGap : otherwise;
}

/** The boxes at one depth of rows that have all below it in common, and what stands on them. */
function placeFrom(
  rows: readonly Row[],
  depth: number,
  x: number,
  on: PlacedBox | undefined,
  writing: Writing,
): readonly PlacedBox[] {
  const files = Map.groupBy(
    rows.filter(({ boxes }) => boxes.length > depth),
    ({ boxes }) => boxes[depth]?.file,
  );
  return [...files.values()].flatMap(same => {
    const [first] = same;
    const box = first?.boxes[depth];
    if (first === undefined || box === undefined) return [];
    const gap = depth === 0 ? 0 : gapOf(box.link, first.copyGap, files.size > 1 ? GAP_FORK : GAP);
    const label = written(box.label, writing);
    const placed: PlacedBox = {
      ...{ box, label, on, x: x + gap, wide: monoWidth(label, 12) + PADDING, disks: same.length },
      y: same.reduce((sum, row) => sum + row.y, 0) / same.length,
      progress: first.progress,
    };
    return [placed, ...placeFrom(same, depth + 1, placed.x + placed.wide, placed, writing)];
  });
}
