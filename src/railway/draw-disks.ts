/**
 * Draws each disk as its chain of images, from the bottom to the one that the guest is on, and the image that was planned.
 * Disks of which the same is true are drawn once from a number on.
 */
import { elide, monoWidth } from './measure.ts';
import type { DiskProgress, Scene, SceneDisk } from './scene-types.ts';
import { group, line, rect, round, type Shape, shape, text } from './shapes.ts';
import { countOf, namesInWords, sizeInWords } from './words.ts';

const ROW = 66;
const BOX = 32;
const GAP = 30;
/** Room for a bar that fills, with its figures. */
const GAP_FILLING = 168;
/** What is left for the names of the disks; less in a narrow drawing. */
const NAMES = 142;
const NAMES_NARROW = 84;
const WIDE = 720;

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
  const rows = rowsOf(scene.disks);
  const shapes = rows.flatMap((row, at) =>
    drawRow(row, scene, left, top + 40 + at * ROW, width, progress.get(row.disk.disk.disk)),
  );
  return {
    shapes: [
      text(left, top, 'h', scene.isEnded ? 'Where every disk is now' : 'Where every disk is'),
      ...shapes,
    ],
    height: 40 + rows.length * ROW,
  };
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

interface Box {
  readonly file: string;
  readonly label: string;
  readonly className: string;
  readonly tag: readonly [words: string, className: string] | null;
  /** How it hangs on the one before. */
  readonly link: 'none' | 'stands on' | 'copied to';
}

function drawRow(
  { disk, alike }: Row,
  scene: Scene,
  left: number,
  y: number,
  width: number,
  progress: DiskProgress | undefined,
): readonly Shape[] {
  const boxes = boxesOf(disk, scene);
  const names = width < WIDE ? NAMES_NARROW : NAMES;
  const gapOf = (link: Box['link']) => (link === 'copied to' && progress !== undefined ? GAP_FILLING : GAP);
  const gaps = boxes.slice(1).reduce((sum, { link }) => sum + gapOf(link), 0);
  const room = width - names - gaps - boxes.length * 22;
  const most = Math.max(7, Math.floor(room / boxes.length / 7.3));
  let x = left + names;
  const shapes = boxes.flatMap((box, at) => {
    const label = shortName(box.label, Math.min(most, 30));
    const wide = monoWidth(label, 12) + 22;
    const gap = at === 0 ? 0 : gapOf(box.link);
    const drawn = [...linkOf(box.link, x, gap, y, progress), drawBox(box, label, x + gap, y, wide)];
    x += wide + gap;
    return drawn;
  });
  const more =
    alike.length === 0
      ? []
      : [
          text(
            left,
            y + 37,
            'small muted',
            `and ${countOf(alike.length, 'more disk')} like it: ${namesInWords(
              alike.map(each => each.disk.disk),
              4,
            )}`,
          ),
        ];
  return [
    text(
      left,
      y + 2,
      disk.hasFailed ? 'strong t-failed' : 'strong',
      elide(disk.disk.disk, width < WIDE ? 11 : 18),
    ),
    text(left, y + 18, 'small muted', sizeInWords(disk.disk.sizeBytes)),
    ...shapes,
    ...more,
  ];
}

function boxesOf({ disk, on, imageIs, hasFailed, isOnNew }: SceneDisk, scene: Scene): readonly Box[] {
  const fresh = disk.planned.filter(file => !disk.before.includes(file));
  const chain = shortened(disk.before).map((file, at): Box => {
    const isOn = file === on;
    return {
      ...{
        file,
        label: nameOf(file, disk),
        className: isOn ? 'box-on' : isOnNew && !disk.planned.includes(file) ? 'box-old' : 'box',
        link: at === 0 ? 'none' : 'stands on',
      },
      tag: isOn
        ? ['the guest is here', 't-done']
        : isOnNew && file === disk.before.at(-1)
          ? ['kept', 'muted']
          : null,
    };
  });
  const below = disk.planned[disk.planned.length - fresh.length - 1];
  const added = fresh.map((file, at): Box => {
    const isOn = file === on;
    const isImage = file === disk.image;
    const isStacked = at > 0 || below === disk.before.at(-1);
    const told = isOn
      ? (['the guest is here', 't-done'] as const)
      : isImage
        ? tagOf(imageIs, hasFailed, scene)
        : null;
    const className = isOn
      ? 'box-on'
      : hasFailed
        ? 'box-failed'
        : imageIs === 'removed'
          ? 'box-gone'
          : imageIs === 'beside'
            ? 'box'
            : 'box-new';
    return {
      file,
      label: nameOf(file, disk),
      className,
      link: isStacked ? 'stands on' : 'copied to',
      tag: told,
    };
  });
  return on === null ? unknownFront(chain, added) : [...chain, ...added];
}

/** The journal cannot say on which of the two the guest is. */
function unknownFront(chain: readonly Box[], added: readonly Box[]): readonly Box[] {
  const told = (boxes: readonly Box[], words: string) =>
    boxes.map(
      (box, at): Box =>
        at === boxes.length - 1 ? { ...box, className: 'box-unsure', tag: [words, 't-failed'] } : box,
    );
  return [...told(chain, 'the guest is here'), ...told(added, 'or here')];
}

function tagOf(imageIs: SceneDisk['imageIs'], hasFailed: boolean, { isEnded }: Scene): Box['tag'] {
  const failed = hasFailed ? 'failed, ' : '';
  switch (imageIs) {
    case 'removed':
      return [`${failed}removed`, hasFailed ? 't-failed' : 't-back'];
    case 'left behind':
      return ['left behind', 't-failed'];
    case 'not touched':
      return ['was there, and stays', 'muted'];
    case 'beside':
      return ['the copy', 't-done'];
    case 'active':
      return ['the guest is here', 't-done'];
    case 'planned':
      return [hasFailed ? 'failed' : isEnded ? 'not reached' : 'planned', hasFailed ? 't-failed' : 'muted'];
  }
}

/** The bottom, and what is near the front. */
function shortened(chain: readonly string[]): readonly string[] {
  return chain.length <= 4 ? chain : [chain[0] ?? '', `… ${chain.length - 3} more …`, ...chain.slice(-2)];
}

/** Without its extension where there is no room for that, then cut in the middle. */
function shortName(name: string, most: number): string {
  return elide([...name].length <= most ? name : name.replace(/\.(qcow2|raw|img|vmdk)$/, ''), most);
}

/** The last part of its path, and one more where another image of the disk is called the same. */
function nameOf(file: string, { before, planned }: SceneDisk['disk']): string {
  const parts = file.split('/');
  const last = parts.at(-1) ?? file;
  const isTwice =
    [...new Set([...before, ...planned])].filter(each => each.split('/').at(-1) === last).length > 1;
  return isTwice ? parts.slice(-2).join('/') : last;
}

function drawBox({ file, className, tag }: Box, label: string, x: number, y: number, wide: number): Shape {
  return group(
    'image',
    [
      rect(x, y - 18, wide, BOX, 7, className),
      text(x + wide / 2, y + 2.5, 'mono', label, 'middle'),
      ...(tag === null ? [] : [text(x + wide / 2, y + 28, `small ${tag[1]}`, tag[0], 'middle')]),
    ],
    file,
  );
}

/** How the image at `x + gap` hangs on the one that ends at `x`. */
function linkOf(
  link: Box['link'],
  x: number,
  gap: number,
  y: number,
  progress: DiskProgress | undefined,
): readonly Shape[] {
  if (gap === 0 || link === 'none') return [];
  const at = y - 2;
  const end = x + gap;
  if (link === 'stands on') return [line(x + 2, at, end - 2, at, 'link')];
  const head = shape('path', { d: `M${round(end - 3)} ${at}l-8 -4.5v9z`, class: 'head' });
  if (progress === undefined) return [line(x + 3, at, end - 9, at, 'arrow'), head];
  const wide = gap - 18;
  const middle = x + 4 + wide / 2;
  return [
    text(middle, at - 9, 'small t-done', progress.amount, 'middle'),
    rect(x + 4, at - 3, wide, 6, 3, 'bar'),
    ...(progress.share > 0 ? [rect(x + 4, at - 3, Math.max(6, wide * progress.share), 6, 3, 'filled')] : []),
    head,
    text(middle, at + 17, 'small muted', progress.pace, 'middle'),
  ];
}
