/** Draws the line back: one stop per undo, below the step that it undoes, numbered in the order in which they ran. */
import { drawAttempts } from './draw-attempts.ts';
import type { Lanes } from './lanes.ts';
import { wrap } from './measure.ts';
import type { Scene, SceneUndo } from './scene-types.ts';
import { circle, group, line, rect, round, type Shape, shape, text } from './shapes.ts';
import { durationInWords } from './words.ts';

/** Each under its station; what has none lies between its neighbours. */
export function placeUndos({ undos }: Scene, stations: readonly number[]): readonly number[] {
  const known = undos.map(({ station }) => (station === null ? undefined : stations[station]));
  return known.map((x, at) => {
    if (x !== undefined) return x;
    const before = known.slice(0, at).findLast(each => each !== undefined);
    const after = known.slice(at + 1).find(each => each !== undefined);
    return ((before ?? after ?? 0) + (after ?? before ?? 0)) / 2;
  });
}

/** The line back as it would be, and as far as it was gone. */
export function drawLineBack(
  { undos, isEnded, story }: Scene,
  xs: readonly number[],
  { undo }: Lanes,
): readonly Shape[] {
  const ran = undos.flatMap(({ reached }, at) => (reached === 'ahead' ? [] : [xs[at] ?? 0]));
  const sorted = [...xs].sort((a, b) => a - b);
  const [left, right] = [sorted[0], sorted.at(-1)];
  if (left === undefined || right === undefined) return [];
  const through = isEnded && story.outcome === 'rolledBack' ? [left, ...ran] : ran;
  return [
    line(left, undo, right, undo, 'rail r-would'),
    ...(ran.length === 0 ? [] : [line(Math.min(...through), undo, Math.max(...ran), undo, 'rail r-back')]),
    ...arrowsBetween(ran, undo),
  ];
}

/** The line back runs from right to left, which is not how lines are read: an arrow between two stops says so. */
function arrowsBetween(ran: readonly number[], y: number): readonly Shape[] {
  const sorted = [...ran].sort((a, b) => a - b);
  return sorted.slice(1).flatMap((x, at) => {
    const before = sorted[at] ?? x;
    if (x - before < ARROW_MIN) return [];
    const tip = round((x + before) / 2 - 5);
    return [shape('path', { d: `M${tip} ${y}l10 -7v14z`, class: 'head-back' })];
  });
}

/** Between two stops there is room for an arrow. */
const ARROW_MIN = 38;

export function drawUndo(
  { words, description, reached, order, tookMs, attempts }: SceneUndo,
  x: number,
  room: number,
  { failure, undoFailure }: Scene,
  lanes: Lanes,
): Shape {
  const title = `undo of ${words}: ${description}`;
  if (reached === 'ahead') return group('undo', [circle(x, lanes.undo, 5, 's s-ahead')], title);
  const isFailed = reached === 'failed' && (failure?.isUndo === true || undoFailure !== null);
  const names = nameLines(words, room);
  const at = lanes.undo + 30;
  return group(
    'undo',
    [
      isFailed
        ? rect(x - 10, lanes.undo - 10, 20, 20, 4, 's s-failed')
        : circle(x, lanes.undo, 10, `s ${reached === 'current' ? 's-backnow' : 's-back'}`),
      text(
        x,
        lanes.undo + 4,
        `small strong ${isFailed || reached === 'current' ? 'ground' : 't-back'}`,
        String(order ?? (isFailed ? '×' : '')),
        'middle',
      ),
      ...names.map((name, row) => text(x, at + row * 14, isFailed ? 't-failed' : 't-back', name, 'middle')),
      ...(tookMs === null
        ? []
        : [text(x, at + names.length * 14 + 1, 'small muted', durationInWords(tookMs), 'middle')]),
      ...drawAttempts(attempts, 0, x, at + names.length * 14 + 14),
    ],
    title,
  );
}

/** A name in the room that its station has. */
export function nameLines(words: string, room: number): readonly string[] {
  return wrap(words, 12, Math.max(52, room), 3);
}
