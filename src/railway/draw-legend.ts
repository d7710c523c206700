/** What the marks on the line mean: only those that this saga has. */
import { wordOf } from './draw-attempts.ts';
import { splitBefore } from './draw-split.ts';
import { widthOf } from './measure.ts';
import type { Scene } from './scene-types.ts';
import { circle, group, line, path, rect, round, type Shape, shape, text } from './shapes.ts';

export interface Sign {
  readonly words: string;
  /** Drawn around this place. */
  readonly sign: (x: number, y: number) => readonly Shape[];
}

const SIGN = 22;
const BETWEEN = 22;
const SIZE = 11;
const ROW = 19;

/** In one row with its foot at `y`, or in several above it where there is no room. */
export function drawLegend(scene: Scene, left: number, right: number, y: number): readonly Shape[] {
  let [x, row] = [left, 0];
  const placed = signsOf(scene).map(({ words, sign }) => {
    const wide = SIGN + widthOf(words, SIZE);
    if (x + wide > right) [x, row] = [left, row + 1];
    const at = { words, sign, x, row };
    x += wide + BETWEEN;
    return at;
  });
  return placed.map(each => {
    const foot = y - (row - each.row) * ROW;
    return group('legend', [
      ...each.sign(each.x + SIGN / 2 - 3, foot - 4),
      text(each.x + SIGN, foot, 'small muted', each.words),
    ]);
  });
}

/** Those that this saga has. */
export function signsOf(scene: Scene): readonly Sign[] {
  const { stations, undos, scars, story } = scene;
  const has = (...states: readonly string[]) => stations.some(({ reached }) => states.includes(reached));
  const tried = [...stations, ...undos].filter(({ attempts }) => attempts.length > 1 && attempts.length <= 5);
  const kinds = new Set(tried.flatMap(({ attempts }) => attempts.map(wordOf)));
  return [
    ...(has('done', 'left') ? [{ words: 'done', sign: dot('s-done') }] : []),
    ...(has('current') ? [{ words: 'runs now', sign: now }] : []),
    ...(has('failed') ? [{ words: 'failed', sign: failed }] : []),
    ...(splitBefore(scene) === null ? [] : [{ words: heldBackInWords(scene), sign: heldBack }]),
    ...(has('stopped') ? [{ words: 'begun, and no end written', sign: dot('s-stopped') }] : []),
    ...(undos.some(({ order, reached }) => order !== null && reached !== 'failed')
      ? [{ words: 'undone, in this order', sign: numbered }]
      : []),
    ...(has('ahead') ? [{ words: 'not reached', sign: dot('s-ahead') }] : []),
    ...(story.gate === null ? [] : [{ words: 'decision: until here it can roll back', sign: diamond }]),
    ...(scars.length === 0 ? [] : [{ words: 'its process ended here', sign: tear }]),
    ...(kinds.has('its process was lost') ? [{ words: 'an attempt that lost it', sign: lost }] : []),
    ...(kinds.has('failed') ? [{ words: 'one that failed', sign: cross }] : []),
    ...(kinds.has('done') ? [{ words: 'one that ended well', sign: well }] : []),
    ...(stations.some(({ tookMs }) => (tookMs ?? 0) >= 5_000)
      ? [{ words: 'took longer than is drawn', sign: wait }]
      : []),
  ];
}

const dot = (className: string) => (x: number, y: number) => [circle(x, y, 5, `s small-sign ${className}`)];

function now(x: number, y: number): readonly Shape[] {
  return [circle(x, y, 5, 's small-sign s-current'), circle(x, y, 2, 's-core')];
}

function failed(x: number, y: number): readonly Shape[] {
  return [
    rect(x - 6, y - 6, 12, 12, 2.5, 's small-sign s-failed'),
    line(x - 2.5, y - 2.5, x + 2.5, y + 2.5, 'cross small-sign'),
    line(x - 2.5, y + 2.5, x + 2.5, y - 2.5, 'cross small-sign'),
  ];
}

/** What became of the disks that did not fail. */
function heldBackInWords({ isEnded, story }: Scene): string {
  return isEnded && story.outcome === 'rolledBack'
    ? 'did not fail: undone with it'
    : 'did not fail: went no further';
}

function heldBack(x: number, y: number): readonly Shape[] {
  return [line(x - 8, y, x + 5, y, 'rail thin r-done'), line(x + 5, y - 5, x + 5, y + 5, 'rail thin r-done')];
}

function numbered(x: number, y: number): readonly Shape[] {
  return [circle(x, y, 6.5, 's small-sign s-back'), text(x, y + 3.2, 'tiny strong t-back', '1', 'middle')];
}

function diamond(x: number, y: number): readonly Shape[] {
  const square = { x: round(x - 4.5), y: round(y - 4.5), width: 9, height: 9, rx: 1 };
  return [
    shape('rect', {
      ...square,
      transform: `rotate(45 ${round(x)} ${round(y)})`,
      class: 's small-sign s-gate',
    }),
  ];
}

function tear(x: number, y: number): readonly Shape[] {
  return [path(`M${round(x - 3)} ${round(y - 7)}l4 4.5l-4.5 2.5l5 3l-4 5`, 'scar')];
}

function lost(x: number, y: number): readonly Shape[] {
  return [path(`M${round(x - 4)} ${y}l2.5 -4l3 8l2.5 -4`, 'scar')];
}

function cross(x: number, y: number): readonly Shape[] {
  return [line(x - 3, y - 3, x + 3, y + 3, 'scar'), line(x - 3, y + 3, x + 3, y - 3, 'scar')];
}

function well(x: number, y: number): readonly Shape[] {
  return [circle(x, y, 3.2, 'attempt-done')];
}

function wait(x: number, y: number): readonly Shape[] {
  return [line(x - 5, y + 6, x + 1, y - 6, 'gapline'), line(x, y + 6, x + 6, y - 6, 'gapline')];
}
