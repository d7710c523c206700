/** What failed, with QEMU's words, beside the curve on which the saga left its line. */
import type { Lanes } from './lanes.ts';
import { widthOf, wrap } from './measure.ts';
import type { Scene } from './scene-types.ts';
import { rect, type Shape, text } from './shapes.ts';

const WIDTH = 400;
/** Less tells too little of what QEMU said. */
const WIDTH_MIN = 230;
/** More would lie over the line back; what failed is told in full beside the disks. */
const LINES_MAX = 2;
/** To the right of the station there is the curve. */
const BESIDE = 62;
const BESIDE_LEFT = 14;

export interface DrawnFailure {
  readonly shapes: readonly Shape[];
  /** From where to where the words and the curve are. */
  readonly from: number;
  readonly to: number;
}

export function drawFailure(
  { failure, turn, stations, story }: Scene,
  xs: readonly number[],
  borders: readonly [left: number, right: number],
  lanes: Lanes,
  /** What of the drawing is seen at once. */
  frame: number,
): DrawnFailure | null {
  if (failure === null || failure.isUndo) return null;
  const failed = stations.findLastIndex(({ reached }) => reached === 'failed');
  const station =
    turn?.station ?? (failed < 0 ? stations.findLastIndex(({ reached }) => reached !== 'ahead') : failed);
  const x = xs[station] ?? 0;
  const gate = story.gate === null ? undefined : xs[story.gate];
  const said = failure.qemu === null ? failure.message : failure.qemu.desc;
  const head =
    failure.qemu === null
      ? (failure.disk ?? failure.code)
      : `${failure.disk === null ? '' : `${failure.disk}: `}QEMU answered ${failure.qemu.command}`;
  const { most, isLeft } = roomFor(x, gate, borders, frame);
  const lines = wrap(said, 13, most - 28, LINES_MAX);
  const width = Math.min(
    most,
    Math.max(widthOf(head, 11.5), ...lines.map(each => widthOf(each, 13, true))) + 28,
  );
  const left = isLeft ? x - BESIDE_LEFT - width : Math.min(x + BESIDE, borders[1] - width);
  const shapes = [
    rect(left, lanes.callout, width, 30 + lines.length * 17, 8, 'callout'),
    text(left + 14, lanes.callout + 18, 'small t-failed', head),
    ...lines.map((each, at) =>
      text(
        left + 14,
        lanes.callout + 36 + at * 17,
        'note strong t-failed',
        failure.qemu === null ? each : quoted(each, at, lines.length),
      ),
    ),
  ];
  return { shapes, from: Math.min(left, x - BESIDE), to: Math.max(left + width, x + BESIDE) };
}

/** Beside the curve, but never over the marker of the decision: to the left of the curve where it would be. */
function roomFor(
  x: number,
  gate: number | undefined,
  [left, right]: readonly [left: number, right: number],
  frame: number,
): { readonly most: number; readonly isLeft: boolean } {
  const isAhead = gate !== undefined && gate > x + BESIDE;
  const free = (isAhead ? gate - 12 : right) - x - BESIDE;
  const before = x - BESIDE_LEFT - left;
  const isLeft = free < WIDTH_MIN && before > Math.max(free, WIDTH_MIN);
  return {
    most: Math.min(
      WIDTH,
      Math.max(WIDTH_MIN, frame - 2 * BESIDE - BESIDE_LEFT),
      isLeft ? before : Math.max(free, WIDTH_MIN),
    ),
    isLeft,
  };
}

function quoted(words: string, at: number, count: number): string {
  return `${at === 0 ? '“' : ''}${words}${at === count - 1 ? '”' : ''}`;
}
