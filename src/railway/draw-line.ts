/** Draws the line of stations and, below it, the line back. It places things; what is true of them the scene says. */
import { drawFailure } from './draw-failure.ts';
import { drawSplit, splitBefore } from './draw-split.ts';
import { drawUndo, nameLines, placeUndos } from './draw-undo.ts';
import { Y } from './lanes.ts';
import type { Scene, SceneStation } from './scene-types.ts';
import { circle, group, line, path, rect, round, type Shape, shape, text } from './shapes.ts';
import { durationInWords } from './words.ts';

/** What took so long that an axis drawn to scale would show nothing else. */
const LONG_WAIT_MS = 5_000;

/** Stations are no further apart than this. */
const GAP_MAX = 150;
/** From the last station to the end of the line. */
const TO_END = 92;

export function drawLine(scene: Scene, left: number, border: number): readonly Shape[] {
  const xs = placeStations(scene, left, border);
  const right = Math.min(border, (xs.at(-1) ?? border) + TO_END);
  const gap = (xs[1] ?? right) - (xs[0] ?? left);
  const undos = placeUndos(scene, xs);
  return [
    ...drawPause(scene, xs, gap),
    ...drawPhases(scene, xs),
    ...undos.rails,
    ...drawRails(scene, xs, right),
    ...drawEnds(scene, xs, undos.xs, right),
    ...drawSplit(scene, xs, Y.line),
    ...drawTurn(scene, xs),
    ...drawGate(scene, xs),
    ...scene.stations.map((station, at) => drawStation(station, xs[at] ?? 0, gap, at === scene.story.gate)),
    ...scene.undos.map((undo, at) => drawUndo(undo, undos.xs[at] ?? 0, gap, scene)),
    ...drawFailure(scene, xs, border),
  ];
}

/** Evenly; where the disks part, there is room for their names. */
function placeStations(scene: Scene, left: number, right: number): readonly number[] {
  const split = splitBefore(scene);
  const count = scene.stations.length;
  const extra = split === null ? 0 : 1.1;
  const unit = Math.min(GAP_MAX, (right - TO_END - left) / Math.max(1, count - 1 + extra));
  return scene.stations.map((_, at) => left + unit * (at + (split !== null && at >= split ? extra : 0)));
}

function drawPause(
  { stations, story, isEnded }: Scene,
  xs: readonly number[],
  gap: number,
): readonly Shape[] {
  const from = stations.findIndex(({ isPaused }) => isPaused);
  const to = stations.findLastIndex(({ isPaused }) => isPaused);
  const [x1, x2] = [xs[from], xs[to]];
  if (x1 === undefined || x2 === undefined) return [];
  const room = Math.min(gap / 2 - 2, 40);
  const known = isEnded && story.pausedMs !== null && stations[from]?.reached !== 'ahead';
  const words = known
    ? `the guest was paused for ${durationInWords(story.pausedMs ?? 0)} at most`
    : stations[from]?.reached === 'ahead'
      ? 'the guest would be paused here'
      : 'the guest is paused here';
  return [
    rect(x1 - room, Y.phase - 19, x2 - x1 + 2 * room, Y.times - Y.phase + 34, 12, 'band'),
    text((x1 + x2) / 2, Y.phase, 'small t-gate', words, 'middle'),
  ];
}

/** The parts of the saga, over their stations; the pause says itself what it is. */
function drawPhases({ stations }: Scene, xs: readonly number[]): readonly Shape[] {
  const shapes: Shape[] = [];
  for (let from = 0; from < stations.length; ) {
    const phase = stations[from]?.phase;
    const rest = stations.slice(from).findIndex(each => each.phase !== phase);
    const to = rest < 0 ? stations.length - 1 : from + rest - 1;
    const isPause = stations.slice(from, to + 1).some(({ isPaused }) => isPaused);
    const [x1, x2] = [xs[from] ?? 0, xs[to] ?? 0];
    if (!isPause) {
      shapes.push(text((x1 + x2) / 2, Y.phase, 'phase', (phase ?? '').toUpperCase(), 'middle'));
      shapes.push(line(x1 - 16, Y.bracket, x2 + 16, Y.bracket, 'rule'));
    }
    from = to + 1;
  }
  return shapes;
}

function drawRails(scene: Scene, xs: readonly number[], right: number): readonly Shape[] {
  const { stations, turn } = scene;
  // Where the disks part there is no room for more; the time is told below the station.
  const split = splitBefore(scene);
  const reached = stations.findLastIndex(({ reached: state }) => state !== 'ahead');
  const last = xs.at(-1) ?? right;
  const upTo = xs[reached];
  const isThrough = reached === stations.length - 1 && stations.at(-1)?.reached === 'done' && turn === null;
  return [
    line(upTo ?? xs[0] ?? 0, Y.line, right - 10, Y.line, 'rail r-ahead'),
    ...(upTo === undefined ? [] : [line(xs[0] ?? 0, Y.line, upTo, Y.line, 'rail r-done')]),
    ...(isThrough ? [line(last, Y.line, right - 10, Y.line, 'rail r-done')] : []),
    ...xs.slice(1).flatMap((x, at) => {
      const took = stations[at + 1]?.tookMs ?? 0;
      return took < LONG_WAIT_MS || at + 1 > reached || at + 1 === split
        ? []
        : [longWait((x + (xs[at] ?? x)) / 2)];
    }),
  ];
}

/** The axis is broken: what is behind it took far longer than the rest. */
function longWait(x: number): Shape {
  return group('wait', [
    line(x - 3, Y.line + 8, x + 3, Y.line - 8, 'gap'),
    line(x - 6, Y.line + 8, x, Y.line - 8, 'gapline'),
    line(x, Y.line + 8, x + 6, Y.line - 8, 'gapline'),
  ]);
}

/** The curve from the line to the line back. */
function drawTurn({ turn, failure, story }: Scene, xs: readonly number[]): readonly Shape[] {
  const x = turn === null ? undefined : xs[turn.station];
  if (x === undefined) return [];
  const to = turn?.undo == null ? undefined : story.undos[turn.undo]?.station;
  const end = to == null ? x : (xs[to] ?? x);
  const bulge = x + 56;
  const className = `rail ${failure === null ? 'r-back' : 'r-failed'}`;
  return [
    path(
      `M${round(x + 8)} ${Y.line}C${round(bulge)} ${Y.line + 4} ${round(bulge)} ${Y.undo - 2} ${round(Math.max(end, x - 4) + 8)} ${Y.undo}L${round(end)} ${Y.undo}`,
      className,
    ),
  ];
}

function drawGate({ story, isDecided, turn }: Scene, xs: readonly number[]): readonly Shape[] {
  const x = story.gate === null ? undefined : xs[story.gate];
  if (x === undefined) return [];
  // The curve of a saga that turns here needs the room to the right.
  const [at, anchor] = turn?.station === story.gate ? ([x - 8, 'end'] as const) : ([x + 8, 'start'] as const);
  const className = isDecided ? 'gate-open' : 'gate';
  return [
    line(x, Y.line, x, Y.line + 16, className),
    line(x, Y.times + 6, x, Y.undo + 16, className),
    text(at, Y.undo - 26, 'small strong t-gate', isDecided ? 'decided' : 'decision', anchor),
    text(at, Y.undo - 12, 'small t-gate', 'from here only forward', anchor),
  ];
}

function drawStation(station: SceneStation, x: number, gap: number, isGate: boolean): Shape {
  const { words, description, reached, tookMs, backedOff, attempts } = station;
  const names = nameLines(words, gap);
  const weight =
    reached === 'ahead'
      ? 'muted'
      : reached === 'failed'
        ? 'strong t-failed'
        : reached === 'current'
          ? 'strong t-done'
          : '';
  const time =
    reached === 'current'
      ? 'now'
      : reached === 'stopped'
        ? 'no end written'
        : tookMs === null
          ? ''
          : durationInWords(tookMs);
  const marks = [
    ...(backedOff > 0 ? [`${backedOff} × tried again`] : []),
    ...(attempts.length > 1 && backedOff === 0 ? [`${attempts.length} attempts`] : []),
  ];
  const title = `${words}: ${description}`;
  return group(
    'station',
    [
      ...names.map((name, at) => text(x, Y.labels - (names.length - 1 - at) * 14.5, weight, name, 'middle')),
      ...glyph(reached, x, Y.line, isGate),
      ...(time === '' ? [] : [text(x, Y.times, 'small muted', time, 'middle')]),
      ...marks.flatMap(mark => [
        scar(x - 24, Y.times + 14),
        text(x + 4, Y.times + 15, 'small t-failed', mark, 'middle'),
      ]),
    ],
    title,
  );
}

/** A cut in the line of a process, and where the next attempt picks it up. */
function scar(x: number, y: number): Shape {
  return path(`M${round(x - 18)} ${y - 3}l3 -4l4 8l4 -8l3 4`, 'scar');
}

function glyph(reached: SceneStation['reached'], x: number, y: number, isGate: boolean): readonly Shape[] {
  if (reached === 'failed') {
    return [
      rect(x - 10, y - 10, 20, 20, 4, 's s-failed'),
      line(x - 4.5, y - 4.5, x + 4.5, y + 4.5, 'cross'),
      line(x - 4.5, y + 4.5, x + 4.5, y - 4.5, 'cross'),
    ];
  }
  const body = isGate
    ? shape('rect', {
        x: round(x - 8),
        y: y - 8,
        width: 16,
        height: 16,
        rx: 2,
        transform: `rotate(45 ${round(x)} ${y})`,
        class: `s s-${reached}`,
      })
    : circle(x, y, 9, `s s-${reached}`);
  if (reached !== 'current') return [body];
  return [circle(x, y, 17, 's-halo'), body, circle(x, y, 4, 's-core')];
}

/** Where both lines end, with the way in which this saga did. */
function drawEnds(
  { story, isEnded }: Scene,
  xs: readonly number[],
  undoXs: readonly number[],
  right: number,
): readonly Shape[] {
  const isBack = isEnded && story.outcome === 'rolledBack';
  const isForward = isEnded && story.outcome === 'committed';
  const first = Math.min(xs[0] ?? 0, ...undoXs);
  return [
    rect(right - 12, Y.line - 11, 6, 22, 2, isForward ? 's s-done' : 's s-ahead'),
    text(right, Y.labels, isForward ? 'strong t-done' : 'muted', 'committed', 'end'),
    ...(undoXs.length === 0 && !isBack
      ? []
      : [
          line(first - 34, Y.undo, first, Y.undo, isBack ? 'rail r-back' : 'rail r-would'),
          rect(first - 40, Y.undo - 11, 6, 22, 2, isBack ? 's s-backnow' : 's s-ahead'),
          text(first - 40, Y.undo - 20, isBack ? 'strong t-back' : 'muted', 'rolled back', 'start'),
        ]),
  ];
}
