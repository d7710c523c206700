/**
 * Draws where a saga lost its process: a tear in the line, in front of the step that the next process took up, and what is known
 * of it below.
 */
import { type Lanes, lanesFor, SCAR_ROW } from './lanes.ts';
import { widthOf } from './measure.ts';
import type { Scar, Scene } from './scene-types.ts';
import { group, line, path, round, type Shape, text } from './shapes.ts';
import { durationInWords } from './words.ts';

/** From the tear to the step that was taken up. */
const BEFORE = 28;
const ROWS_MAX = 3;
const BETWEEN = 12;
/** From the pole to the words on it. */
const BESIDE = 6;

interface PlacedScar {
  readonly scar: Scar;
  readonly x: number;
  /** Where its words begin, on the one side of the pole or the other, and in which row. */
  readonly left: number;
  readonly row: number;
}

interface Ends {
  /** Of the upper line, to the right. */
  readonly right: number;
  /** Of the line back, to the left. */
  readonly left: number;
  readonly border: number;
}

export interface PlacedScars {
  readonly scars: readonly PlacedScar[];
  readonly lanes: Lanes;
}

/** From right to left, each row below the one before: so no pole goes through words. */
export function placeScars(
  { scars, story, turn, failure }: Scene,
  stations: readonly number[],
  undos: readonly number[],
  { right, left, border }: Ends,
): PlacedScars {
  const gate = story.gate === null ? undefined : stations[story.gate];
  const placed: PlacedScar[] = [];
  const poles = scars.map(scar => {
    const { kind, at } = scar.place;
    const x = kind === 'station' ? (stations[at] ?? right) - BEFORE : (undos[at] ?? left - BEFORE) + BEFORE;
    return { scar, x };
  });
  for (const { scar, x } of poles.sort((a, b) => b.x - a.x)) {
    const { kind, at } = scar.place;
    const wide = wideOf(scar);
    const isInWay = (other: number | undefined) =>
      other !== undefined && other > x && other < x + wide + 2 * BESIDE;
    const isCrossed = kind === 'station' && (isInWay(gate) || turn?.station === at);
    const from = isCrossed || x + wide + BESIDE > border ? x - wide - BESIDE : x + BESIDE;
    const others = placed.filter(each => each.scar.place.kind === kind);
    const free = Array.from({ length: ROWS_MAX }, (_, row) => row).find(row =>
      others.every(
        each =>
          each.row !== row ||
          from > each.left + wideOf(each.scar) + BETWEEN ||
          each.left > from + wide + BETWEEN,
      ),
    );
    placed.push({ scar, x, left: from, row: free ?? ROWS_MAX - 1 });
  }
  const rows = (kind: Scar['place']['kind']) =>
    Math.max(0, ...placed.filter(({ scar }) => scar.place.kind === kind).map(({ row }) => row + 1));
  return { scars: placed, lanes: lanesFor(rows('station'), rows('undo'), failure !== null) };
}

export function drawScars({ scars, lanes }: PlacedScars): readonly Shape[] {
  return scars.map(({ scar, x, left, row }) => {
    const isBack = scar.place.kind === 'undo';
    const y = isBack ? lanes.undo : lanes.line;
    const top = (isBack ? lanes.undoScars : lanes.scars) + row * SCAR_ROW;
    const [what, then] = wordsOf(scar);
    return group(
      'scarred',
      [
        line(x, y + 15, x, top + 15, 'leader'),
        path(`M${round(x - 5)} ${y - 13}l6 8l-7 4l8 5l-6 9`, 'tear-gap'),
        path(`M${round(x - 5)} ${y - 13}l6 8l-7 4l8 5l-6 9`, 'tear'),
        text(left, top, 'small strong t-failed', what),
        text(left, top + 13.5, 'small muted', then),
      ],
      `${what}, ${then}`,
    );
  });
}

function wideOf(scar: Scar): number {
  return Math.max(...wordsOf(scar).map(words => widthOf(words, 11, true)));
}

const LET_GO: Readonly<Record<NonNullable<Scar['times'][number]['takeover']>['after'], string>> = {
  died: 'process died',
  released: 'process gave it up',
  seized: 'taken by force',
  needsRecovery: 'stopped for recovery',
};

/** What happened here, and how it went on. */
export function wordsOf({ times }: Scar): readonly [what: string, then: string] {
  const kinds = new Set(times.map(({ takeover }) => takeover?.after ?? 'died'));
  const [only] = kinds;
  const what = kinds.size === 1 && only !== undefined ? LET_GO[only] : 'process lost';
  const gaps = times.map(({ takeover }) =>
    takeover === null ? 'not yet' : durationInWords(Math.max(0, takeover.atMs - takeover.seenMs)),
  );
  const resumed = gaps.filter(gap => gap !== 'not yet');
  const shown = resumed.length > 2 ? [...resumed.slice(0, 2), '…'] : resumed;
  const isOpen = resumed.length < gaps.length;
  const then =
    resumed.length === 0
      ? 'not resumed yet'
      : `resumed ${shown.join(', ')} later${isOpen ? ', and lost again' : ''}`;
  return [times.length === 1 ? what : `${what} ${times.length} times`, then];
}
