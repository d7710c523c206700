/** Draws the line of stations and, below it, the line back. It places things; what is true of them the scene says. */
import { drawAttempts } from './draw-attempts.ts';
import { drawFailure } from './draw-failure.ts';
import { drawScars, placeScars } from './draw-scars.ts';
import { drawSplit, splitBefore } from './draw-split.ts';
import { drawLineBack, drawUndo, nameLines, placeUndos } from './draw-undo.ts';
import { isLostInPause } from './headline.ts';
import type { Lanes } from './lanes.ts';
import { NO_END, needOf, placeStations, TO_END } from './place-stations.ts';
import type { Scene, SceneStation } from './scene-types.ts';
import { circle, group, line, path, rect, round, type Shape, shape, text } from './shapes.ts';
import { durationInWords } from './words.ts';

/** What took so long that an axis drawn to scale would show nothing else. */
const LONG_WAIT_MS = 5_000;

/** The band of the pause reaches so far beyond its stations at most. */
const BAND_MAX = 40;
/** Between two stations there is room for a tear and a broken axis; in less the tear stands for both. */
const GAP_TORN = 76;

export interface DrawnLine {
  readonly shapes: readonly Shape[];
  readonly lanes: Lanes;
  /** From where to where the saga is: what a narrow page shows first. */
  readonly from: number;
  readonly to: number;
}

export function drawLine(scene: Scene, left: number, border: number, frame = border): DrawnLine {
  const { xs, rooms } = placeStations(scene, left, border);
  const right = Math.min(border, (xs.at(-1) ?? border) + TO_END);
  const undoXs = placeUndos(scene, xs);
  const first = Math.min(xs[0] ?? left, ...undoXs);
  const scars = placeScars(scene, xs, undoXs, { right: right - 6, left: first, border });
  const { lanes } = scars;
  const failure = drawFailure(scene, xs, [left - 40, border], lanes, frame);
  // The dotted line of a tear runs beside the name.
  const isTorn = (undo: number) =>
    scene.scars.some(({ place }) => place.kind === 'undo' && place.at === undo);
  const shapes = [
    ...drawPause(scene, xs, lanes),
    ...drawPhases(scene, xs, lanes),
    ...drawLineBack(scene, undoXs, lanes),
    ...drawRails(scene, xs, right, lanes),
    ...drawEnds(scene, first, right, lanes),
    ...drawSplit(scene, xs, lanes.line),
    ...drawTurn(scene, xs, lanes),
    ...drawGate(scene, xs, lanes),
    ...scene.stations.map((station, at) =>
      drawStation(station, xs[at] ?? 0, rooms[at] ?? 0, at === scene.story.gate, lanes),
    ),
    ...scene.undos.map((undo, at) =>
      drawUndo(
        undo,
        undoXs[at] ?? 0,
        isTorn(at) || undo.station === null ? 0 : (rooms[undo.station] ?? 0),
        scene,
        lanes,
      ),
    ),
    ...(failure?.shapes ?? []),
    ...drawScars(scars),
  ];
  const reached = xs[scene.stations.findLastIndex(({ reached: state }) => state !== 'ahead')] ?? left;
  return { shapes, lanes, from: failure?.from ?? reached, to: failure?.to ?? reached };
}

function drawPause(scene: Scene, xs: readonly number[], lanes: Lanes): readonly Shape[] {
  const { stations, story, isEnded } = scene;
  const from = stations.findIndex(({ isPaused }) => isPaused);
  const to = stations.findLastIndex(({ isPaused }) => isPaused);
  const [x1, x2] = [xs[from], xs[to]];
  if (x1 === undefined || x2 === undefined) return [];
  const room = (edge: number, by: 1 | -1) => {
    const [here, beside] = [xs[edge], xs[edge + by]];
    const other = stations[edge + by];
    if (here === undefined || beside === undefined || other === undefined) return BAND_MAX;
    return Math.min(BAND_MAX, Math.abs(beside - here) - needOf(other) / 2 - 4);
  };
  const [before, behind] = [room(from, -1), room(to, 1)];
  const known =
    isEnded && story.pausedMs !== null && stations[from]?.reached !== 'ahead' && !isLostInPause(scene);
  const words = known
    ? `the guest was paused for ${durationInWords(story.pausedMs ?? 0)} at most (drawn larger)`
    : stations[from]?.reached === 'ahead'
      ? isEnded
        ? 'not reached: the guest would have been paused here'
        : 'the guest would be paused here'
      : !isEnded
        ? 'the guest is paused here'
        : isLostInPause(scene)
          ? 'paused here; QEMU was lost before it was resumed'
          : 'the guest was paused here';
  return [
    rect(
      x1 - before,
      lanes.phase - 19,
      x2 - x1 + before + behind,
      lanes.times - lanes.phase + 34,
      12,
      'band',
    ),
    text((x1 + x2) / 2, lanes.phase, 'small t-gate', words, 'middle'),
  ];
}

/** The parts of the saga, over their stations; the pause says itself what it is. */
function drawPhases({ stations }: Scene, xs: readonly number[], lanes: Lanes): readonly Shape[] {
  const shapes: Shape[] = [];
  for (let from = 0; from < stations.length; ) {
    const phase = stations[from]?.phase;
    const rest = stations.slice(from).findIndex(each => each.phase !== phase);
    const to = rest < 0 ? stations.length - 1 : from + rest - 1;
    const isPause = stations.slice(from, to + 1).some(({ isPaused }) => isPaused);
    const [x1, x2] = [xs[from] ?? 0, xs[to] ?? 0];
    if (!isPause) {
      shapes.push(text((x1 + x2) / 2, lanes.phase, 'phase', (phase ?? '').toUpperCase(), 'middle'));
      shapes.push(line(x1 - 16, lanes.bracket, x2 + 16, lanes.bracket, 'rule'));
    }
    from = to + 1;
  }
  return shapes;
}

function drawRails(scene: Scene, xs: readonly number[], right: number, lanes: Lanes): readonly Shape[] {
  const { stations, turn } = scene;
  // Where the disks part there is no room for more; the time is told below the station.
  const split = splitBefore(scene);
  const reached = stations.findLastIndex(({ reached: state }) => state !== 'ahead');
  const last = xs.at(-1) ?? right;
  const scarred = new Set(scene.scars.flatMap(({ place }) => (place.kind === 'station' ? [place.at] : [])));
  const upTo = xs[reached];
  const isThrough = reached === stations.length - 1 && stations.at(-1)?.reached === 'done' && turn === null;
  return [
    line(upTo ?? xs[0] ?? 0, lanes.line, right - 10, lanes.line, 'rail r-ahead'),
    ...(upTo === undefined ? [] : [line(xs[0] ?? 0, lanes.line, upTo, lanes.line, 'rail r-done')]),
    ...(isThrough ? [line(last, lanes.line, right - 10, lanes.line, 'rail r-done')] : []),
    ...xs.slice(1).flatMap((x, at) => {
      const took = stations[at + 1]?.tookMs ?? 0;
      const isTorn = scarred.has(at + 1) && x - (xs[at] ?? x) < GAP_TORN;
      return took < LONG_WAIT_MS || at + 1 > reached || at + 1 === split || isTorn
        ? []
        : [longWait(x - (scarred.has(at + 1) ? 45 : (x - (xs[at] ?? x)) / 2), lanes.line)];
    }),
  ];
}

/** The axis is broken: what is behind it took far longer than the rest. */
function longWait(x: number, y: number): Shape {
  return group('wait', [
    line(x - 3, y + 8, x + 3, y - 8, 'gap'),
    line(x - 6, y + 8, x, y - 8, 'gapline'),
    line(x, y + 8, x + 6, y - 8, 'gapline'),
  ]);
}

/** The curve from the line to the line back. */
function drawTurn({ turn, failure, story }: Scene, xs: readonly number[], lanes: Lanes): readonly Shape[] {
  const x = turn === null ? undefined : xs[turn.station];
  if (x === undefined) return [];
  const to = turn?.undo == null ? undefined : story.undos[turn.undo]?.station;
  const end = to == null ? x : (xs[to] ?? x);
  const bulge = x + 56;
  const className = `rail ${failure === null ? 'r-back' : 'r-failed'}`;
  return [
    path(
      `M${round(x + 8)} ${lanes.line}C${round(bulge)} ${lanes.line + 4} ${round(bulge)} ${lanes.undo - 2} ${round(Math.max(end, x - 4) + 8)} ${lanes.undo}L${round(end)} ${lanes.undo}`,
      className,
    ),
  ];
}

function drawGate(
  { story, stations, isDecided, turn }: Scene,
  xs: readonly number[],
  lanes: Lanes,
): readonly Shape[] {
  const x = story.gate === null ? undefined : xs[story.gate];
  if (x === undefined) return [];
  // The curve of a saga that turns here needs the room to the right.
  const [at, anchor] = turn?.station === story.gate ? ([x - 8, 'end'] as const) : ([x + 8, 'start'] as const);
  const className = isDecided ? 'gate-open' : 'gate';
  const gate = story.gate === null ? undefined : stations[story.gate];
  const attempts = gate?.attempts.length ?? 0;
  // It is written in front of the commands that carry it out: with no good end of them it is in doubt.
  const isInDoubt = isDecided && (gate?.reached === 'failed' || gate?.reached === 'stopped');
  const [head, below] = isInDoubt
    ? ['decision in doubt', 'written, not known to be done']
    : [isDecided ? 'decided' : 'decision', 'from here only forward'];
  return [
    line(x, lanes.line, x, lanes.line + 16, className),
    line(x, lanes.times + (attempts > 1 ? 22 : 6), x, lanes.undo + 16, className),
    text(at, lanes.undo - 26, 'small strong t-gate', head, anchor),
    text(at, lanes.undo - 12, 'small t-gate', below, anchor),
  ];
}

function drawStation(station: SceneStation, x: number, room: number, isGate: boolean, lanes: Lanes): Shape {
  const { words, description, reached, tookMs, backedOff, attempts } = station;
  const names = nameLines(words, room);
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
        ? NO_END
        : tookMs === null
          ? ''
          : durationInWords(tookMs);
  const title = `${words}: ${description}`;
  return group(
    'station',
    [
      ...names.map((name, at) =>
        text(x, lanes.labels - (names.length - 1 - at) * 14.5, weight, name, 'middle'),
      ),
      ...glyph(reached, x, lanes.line, isGate),
      ...(time === '' ? [] : [text(x, lanes.times, 'small muted', time, 'middle')]),
      ...drawAttempts(attempts, backedOff, x, lanes.times + 14),
    ],
    title,
  );
}

function glyph(reached: SceneStation['reached'], x: number, y: number, isGate: boolean): readonly Shape[] {
  if (reached === 'failed') {
    return [
      isGate ? diamond(x, y, 11, 's s-failed') : rect(x - 10, y - 10, 20, 20, 4, 's s-failed'),
      line(x - 4.5, y - 4.5, x + 4.5, y + 4.5, 'cross'),
      line(x - 4.5, y + 4.5, x + 4.5, y - 4.5, 'cross'),
    ];
  }
  const body = isGate ? diamond(x, y, 8, `s s-${reached}`) : circle(x, y, 9, `s s-${reached}`);
  if (reached !== 'current') return [body];
  return [circle(x, y, 17, 's-halo'), body, circle(x, y, 4, 's-core')];
}

function diamond(x: number, y: number, half: number, className: string): Shape {
  const square = { x: round(x - half), y: y - half, width: 2 * half, height: 2 * half, rx: 2 };
  return shape('rect', { ...square, transform: `rotate(45 ${round(x)} ${y})`, class: className });
}

/** Where both lines end, with the way in which this saga did. */
function drawEnds(
  { story, isEnded, undos }: Scene,
  first: number,
  right: number,
  lanes: Lanes,
): readonly Shape[] {
  const isBack = isEnded && story.outcome === 'rolledBack';
  const isForward = isEnded && story.outcome === 'committed';
  return [
    rect(right - 12, lanes.line - 11, 6, 22, 2, isForward ? 's s-done' : 's s-ahead'),
    text(right, lanes.labels, isForward ? 'strong t-done' : 'muted', 'committed', 'end'),
    ...(undos.length === 0 && !isBack
      ? []
      : [
          line(first - 34, lanes.undo, first, lanes.undo, isBack ? 'rail r-back' : 'rail r-would'),
          rect(first - 40, lanes.undo - 11, 6, 22, 2, isBack ? 's s-backnow' : 's s-ahead'),
          text(first - 40, lanes.undo - 20, isBack ? 'strong t-back' : 'muted', 'rolled back', 'start'),
        ]),
  ];
}
