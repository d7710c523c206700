/** Draws every attempt at a step, below its time: those whose process was lost, those that failed, and the last. */
import type { Attempt } from '../story/story.ts';
import { circle, group, line, path, round, type Shape, text } from './shapes.ts';

const APART = 13;
const DRAWN_MAX = 5;

export function drawAttempts(
  attempts: readonly Attempt[],
  backedOff: number,
  x: number,
  y: number,
): readonly Shape[] {
  if (attempts.length < 2) return [];
  if (attempts.length > DRAWN_MAX || backedOff > 0) {
    const words = backedOff > 0 ? `${backedOff} × tried again` : `${attempts.length} attempts`;
    return [text(x, y + 4, 'small t-failed', words, 'middle')];
  }
  const first = x - ((attempts.length - 1) * APART) / 2;
  const told = attempts.map((attempt, at) => drawAttempt(attempt, first + at * APART, y));
  return [group('attempts', told.flat(), `${attempts.length} attempts: ${attempts.map(wordOf).join(', ')}`)];
}

export function wordOf({ endedAtMs, error, cutAtMs }: Attempt): string {
  if (cutAtMs !== null) return 'its process was lost';
  if (endedAtMs === null) return 'no end written';
  return error === null ? 'done' : 'failed';
}

function drawAttempt(attempt: Attempt, x: number, y: number): readonly Shape[] {
  switch (wordOf(attempt)) {
    case 'its process was lost':
      return [path(`M${round(x - 4)} ${y}l2.5 -4l3 8l2.5 -4`, 'scar')];
    case 'failed':
      return [line(x - 3, y - 3, x + 3, y + 3, 'scar'), line(x - 3, y + 3, x + 3, y - 3, 'scar')];
    case 'done':
      return [circle(x, y, 3.2, 'attempt-done')];
    default:
      return [circle(x, y, 3.2, 'attempt-open')];
  }
}
