/** Draws the line back: one stop per undo, below the step that it undoes, numbered in the order in which they ran. */
import { Y } from './lanes.ts';
import { wrap } from './measure.ts';
import type { Scene, SceneUndo } from './scene-types.ts';
import { circle, group, line, rect, type Shape, text } from './shapes.ts';
import { durationInWords } from './words.ts';

export interface PlacedUndos {
  readonly xs: readonly number[];
  readonly rails: readonly Shape[];
}

/** Each under its station; what has none lies between its neighbours. */
export function placeUndos({ undos, isEnded, story }: Scene, stations: readonly number[]): PlacedUndos {
  const known = undos.map(({ station }) => (station === null ? undefined : stations[station]));
  const xs = known.map((x, at) => {
    if (x !== undefined) return x;
    const before = known.slice(0, at).findLast(each => each !== undefined);
    const after = known.slice(at + 1).find(each => each !== undefined);
    return ((before ?? after ?? 0) + (after ?? before ?? 0)) / 2;
  });
  const ran = undos.flatMap(({ reached }, at) => (reached === 'ahead' ? [] : [xs[at] ?? 0]));
  const sorted = [...xs].sort((a, b) => a - b);
  const [left, right] = [sorted[0], sorted.at(-1)];
  if (left === undefined || right === undefined) return { xs, rails: [] };
  const through = isEnded && story.outcome === 'rolledBack' ? [left, ...ran] : ran;
  return {
    xs,
    rails: [
      line(left, Y.undo, right, Y.undo, 'rail r-would'),
      ...(ran.length === 0
        ? []
        : [line(Math.min(...through), Y.undo, Math.max(...ran), Y.undo, 'rail r-back')]),
    ],
  };
}

export function drawUndo(
  { words, description, reached, order, tookMs }: SceneUndo,
  x: number,
  gap: number,
  { failure, undoFailure }: Scene,
): Shape {
  const title = `undo of ${words}: ${description}`;
  if (reached === 'ahead') return group('undo', [circle(x, Y.undo, 5, 's s-ahead')], title);
  const isFailed = reached === 'failed' && (failure?.isUndo === true || undoFailure !== null);
  const names = nameLines(words, gap);
  const at = Y.undo + 30;
  return group(
    'undo',
    [
      isFailed
        ? rect(x - 10, Y.undo - 10, 20, 20, 4, 's s-failed')
        : circle(x, Y.undo, 10, `s ${reached === 'current' ? 's-backnow' : 's-back'}`),
      text(
        x,
        Y.undo + 4,
        `small strong ${isFailed || reached === 'current' ? 'ground' : 't-back'}`,
        isFailed ? '×' : String(order ?? ''),
        'middle',
      ),
      ...names.map((name, row) => text(x, at + row * 14, isFailed ? 't-failed' : 't-back', name, 'middle')),
      ...(tookMs === null
        ? []
        : [text(x, at + names.length * 14 + 1, 'small muted', durationInWords(tookMs), 'middle')]),
    ],
    title,
  );
}

/** A name in the room between two stations. */
export function nameLines(words: string, gap: number): readonly string[] {
  return wrap(words, 12, Math.max(52, gap - 10), 3);
}
