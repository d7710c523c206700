/** A run that is watched while it runs: it stands where it is told to, and comes to what an unwatched run comes to. */
import { expect, test } from 'vitest';
import { readChoice, scenarioOf } from '../../src/lab/choice.ts';
import { LiveRuns } from '../../src/lab/live-runs.ts';
import { runLab } from '../../src/lab/run-lab.ts';
import { systemClock } from '../../src/qmp/clock.ts';

const CHOICE = {
  ...{ seed: 1, profile: '7.2', disks: 3, layers: 1, operation: 'copy' },
  faults: [{ kind: 'jobError', step: '', disk: 1, percent: 37 }],
};

test('stepped by states it enters one after the other, and its end is that of an unwatched run', async () => {
  const runs = new LiveRuns(systemClock);
  let { run, view } = await runs.ask({ begin: CHOICE, untilMs: 0 });
  const reached: number[] = [];
  for (let step = 0; step < 200 && !view.isOver; step += 1) {
    ({ view } = await runs.ask({ run, act: { how: 'state' } }));
    reached.push(view.story?.visits.length ?? 0);
    if (!view.isOver)
      expect(view.lights.every(({ isJudged, breach }) => !isJudged && breach === null)).toBe(true);
  }
  expect(view.isOver).toBe(true);
  expect(reached.every((count, at) => count >= (reached[at - 1] ?? 0))).toBe(true);
  expect(new Set(reached).size).toBeGreaterThan(5);
  const unwatched = await runLab(scenarioOf(readChoice(CHOICE)));
  expect(view.story).toEqual(unwatched.story);
  expect(view.lights).toEqual(unwatched.lights);
  expect(view.happened).toEqual(unwatched.happened);
});

test('stepped by commands each step sends one, and the pause is seen before its records are on disk', async () => {
  const runs = new LiveRuns(systemClock);
  let { run, view } = await runs.ask({ begin: { ...CHOICE, faults: [] }, untilMs: 0 });
  const paused: string[] = [];
  for (let step = 0; step < 500 && !view.isOver; step += 1) {
    const before = sent(view.happened);
    ({ view } = await runs.ask({ run, act: { how: 'command' } }));
    if (view.isOver) break;
    expect(sent(view.happened)).toBeGreaterThan(before);
    const visit = view.story?.visits.at(-1);
    const station = view.story?.stations[visit?.at ?? -1];
    if (visit?.kind === 'station' && station?.isPaused) paused.push(station.path.at(-1) ?? '');
  }
  expect(new Set(paused)).toContain('endMirrorsInPlace');
});

test('in slow motion it moves by itself until it is paused, and a moment is come back to', async () => {
  const runs = new LiveRuns(systemClock);
  const { run } = await runs.ask({ begin: CHOICE, untilMs: 0 });
  const { view: begun } = await runs.ask({ run, act: { how: 'slow', factor: 50 } });
  expect(begun.isMoving).toBe(true);
  await expect
    .poll(async () => (await runs.ask({ run, act: { how: 'look' } })).view.atMs)
    .toBeGreaterThan(begun.atMs + 1);
  const { view: held } = await runs.ask({ run, act: { how: 'pause' } });
  expect(held).toMatchObject({ isOver: false, isMoving: false });
  await new Promise(resolve => setTimeout(resolve, 150));
  const { view: later } = await runs.ask({ run, act: { how: 'look' } });
  const again = await runs.ask({ begin: CHOICE, untilMs: later.atMs });
  expect(again.view.story?.visits).toEqual(later.story?.visits);
  runs.close();
});

test('what is no act, no run and no choice is refused', async () => {
  const runs = new LiveRuns(systemClock);
  await expect(runs.ask({ run: 7, act: { how: 'look' } })).rejects.toThrow(/not held any more/);
  await expect(runs.ask({ run: 7, act: { how: 'leap' } })).rejects.toThrow(/cannot do this/);
  await expect(runs.ask({ begin: { ...CHOICE, disks: 900 }, untilMs: 0 })).rejects.toThrow(/cannot run this/);
});

function sent(happened: readonly string[]): number {
  return happened.filter(line => line.includes('-> ')).length;
}
