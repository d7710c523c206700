/** Where the stations of the line lie: evenly where there is room, and never so near that their names touch. Pure. */
import { splitBefore } from './draw-split.ts';
import { widthOf } from './measure.ts';
import type { Scene, SceneStation } from './scene-types.ts';

/** Stations are no further apart than this. */
const GAP_MAX = 150;
/** From the last station to the end of the line. */
export const TO_END = 104;
/** Between the names of two stations. */
const BETWEEN = 12;
const NAME_MIN = 44;
/** Behind the last name stands how the line ends. */
const ROOM_LAST = 72;
/** Where the disks part there is room for their names. */
const FOR_SPLIT = 84;
/** Before and behind the pause its band has a border. */
const FOR_BORDER = 8;

/** Below a step that was begun, of which no end is written. */
export const NO_END = 'no end written';

export interface Placed {
  readonly xs: readonly number[];
  /** How wide a name may be below or above each station. */
  readonly rooms: readonly number[];
}

export function placeStations(scene: Scene, left: number, right: number): Placed {
  const least = leastGaps(scene);
  const free = Math.max(0, right - TO_END - left);
  const split = splitBefore(scene);
  const gapsOf = (unit: number) =>
    least.map((gap, at) => Math.max(gap, unit + (at + 1 === split ? FOR_SPLIT : 0)));
  const gaps = gapsOf(unitFor(gapsOf, free));
  const xs = [left];
  for (const gap of gaps) xs.push((xs.at(-1) ?? left) + gap);
  const rooms = scene.stations.map((station, at) =>
    Math.max(needOf(station), Math.min(gaps[at - 1] ?? GAP_MAX, gaps[at] ?? ROOM_LAST) - BETWEEN),
  );
  return { xs: xs.slice(0, scene.stations.length), rooms };
}

/** How wide the line has to be at least, with its end. */
export function leastWidth(scene: Scene): number {
  return leastGaps(scene).reduce((sum, gap) => sum + gap, TO_END);
}

function leastGaps(scene: Scene): readonly number[] {
  const split = splitBefore(scene);
  const { stations } = scene;
  return stations.slice(1).map((station, at) => {
    const before = stations[at];
    const names = (needOf(station) + (before === undefined ? 0 : needOf(before))) / 2 + BETWEEN;
    return (
      names + (at + 1 === split ? FOR_SPLIT : 0) + (before?.isPaused === station.isPaused ? 0 : FOR_BORDER)
    );
  });
}

/** Its longest word; the name is broken between words where there is no more room. */
export function needOf({ words, reached }: Pick<SceneStation, 'words' | 'reached'>): number {
  const isBold = reached === 'failed' || reached === 'current';
  const told = reached === 'stopped' ? widthOf(NO_END, 11) : NAME_MIN;
  return Math.max(told, ...words.split(/\s+/).map(word => widthOf(word, 12, isBold)));
}

/** The even distance that fills what is free, where some need more than it. */
function unitFor(gapsOf: (unit: number) => readonly number[], free: number): number {
  let [low, high] = [0, GAP_MAX];
  for (let round = 0; round < 24; round += 1) {
    const unit = (low + high) / 2;
    const whole = gapsOf(unit).reduce((sum, gap) => sum + gap, 0);
    if (whole <= free) low = unit;
    else high = unit;
  }
  return low;
}
