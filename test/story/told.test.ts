/** What is told of sagas that went other ways than forward: given up, asked to go back, killed and resumed. */
import { expect, test } from 'vitest';
import { planOf } from '../../src/engine/durable/checked-journal.ts';
import { sceneAt } from '../../src/railway/scene.ts';
import type { Story } from '../../src/story/story.ts';
import { tellStory } from '../../src/story/tell.ts';
import { entered, type Life, live, smallSim } from '../engine/lives.ts';

const DISKS = ['disk0', 'disk1'].map(disk => ({ disk, to: `/images/${disk}.copy.qcow2` }));

test('a step whose process was killed has both its attempts in one place', async () => {
  const sim = smallSim();
  const first = live(sim);
  const saga = await sim.run(first.engine.copy({ ...first.guest, id: 's', disks: DISKS }));
  await sim.run(entered(saga, 'pauseGuest'));
  const next = live(sim, first.die());
  const again = await sim.run(next.engine.resume('s', next.guest));
  await sim.run(again.result);

  const story = storyIn(next);
  expect(story.outcome).toBe('committed');
  expect(sceneAt(story).stations.map(({ reached }) => reached)).toEqual(story.stations.map(() => 'done'));
  expect(sceneAt(story).headline.label).toBe('Committed');
  expect(story.takeovers).toMatchObject([{ after: 'died' }]);
  const [scar, ...others] = sceneAt(story).scars;
  expect(others).toEqual([]);
  expect(story.stations[scar?.place.at ?? -1]?.path.at(-1)).toBe('pauseGuest');
});

test('a step whose processes were killed again and again has every attempt, and one scar for all of them', async () => {
  const sim = smallSim();
  let process = live(sim);
  let begun = process.engine.copy({ ...process.guest, id: 's', disks: DISKS });
  for (let death = 0; death < 3; death += 1) {
    const saga = await sim.run(begun);
    await sim.run(entered(saga, 'mirrorDisks'));
    process = live(sim, process.die());
    begun = process.engine.resume('s', process.guest);
  }
  await sim.run((await sim.run(begun)).result);

  const scene = sceneAt(storyIn(process));
  expect(scene.scars.map(({ times }) => times.map(({ isInStep }) => isInStep))).toEqual([[true, true, true]]);
  const mirror = scene.stations.find(({ words }) => words === 'mirror disks');
  expect(mirror?.attempts.map(({ cutAtMs }) => cutAtMs !== null)).toEqual([true, true, true, false]);
  expect(mirror?.reached).toBe('done');
});

test('an undo whose process was killed has its scar on the line back', async () => {
  const sim = smallSim();
  const first = live(sim);
  const saga = await sim.run(first.engine.copy({ ...first.guest, id: 's', disks: DISKS, finish: 'leave' }));
  await sim.run(saga.result);
  const isThere = entered(saga, 'undo createImages');
  saga.abort().catch(() => undefined);
  await sim.run(isThere);
  const next = live(sim, first.die());
  await sim.run((await sim.run(next.engine.resume('s', next.guest))).result);

  const scene = sceneAt(storyIn(next));
  expect(scene.story.outcome).toBe('rolledBack');
  const [scar] = scene.scars;
  expect(scar?.place.kind).toBe('undo');
  expect(scene.undos[scar?.place.at ?? -1]?.words).toBe('create images');
});

test('a saga that needed recovery and was resumed has a scar that says so, and no process that died', async () => {
  const sim = smallSim({ faults: [{ kind: 'refuse', command: 'cont', nth: 1, lasting: true }] });
  const life = live(sim);
  const saga = await sim.run(life.engine.copy({ ...life.guest, id: 's', disks: DISKS }));
  expect((await sim.run(saga.result)).outcome).toBe('needsRecovery');
  expect(sceneAt(storyIn(life)).scars).toEqual([]);
  sim.endFaults();
  const again = await sim.run(life.engine.resume('s', life.guest));
  expect((await sim.run(again.result)).outcome).toBe('committed');

  const story = storyIn(life);
  expect(story.takeovers).toMatchObject([{ after: 'needsRecovery' }]);
  const scene = sceneAt(story);
  expect(scene.stations.map(({ reached }) => reached)).toEqual(story.stations.map(() => 'done'));
  expect(scene.stations.find(({ words }) => words === 'resume guest')?.attempts.length).toBeGreaterThan(1);
  expect(scene.scars).toHaveLength(1);
});

test('a saga that was asked to go back has no step that failed', async () => {
  const sim = smallSim();
  const life = live(sim);
  const saga = await sim.run(life.engine.copy({ ...life.guest, id: 's', disks: DISKS, finish: 'leave' }));
  await sim.run(saga.result);
  expect(sceneAt(storyIn(life)).headline.label).toBe('Waits');
  await sim.run(saga.abort());

  const scene = sceneAt(storyIn(life));
  expect(scene.failure).toBeNull();
  expect(scene.headline).toMatchObject({
    label: 'Rolled back',
    sentence: expect.stringMatching(/^As asked/),
  });
  expect(scene.turn).not.toBeNull();
  expect(scene.undos.filter(({ order }) => order !== null).map(({ reached }) => reached)).not.toContain(
    'failed',
  );
});

test('copies that are kept beside the disks have a line of their own, from the wait on', async () => {
  const sim = smallSim();
  const life = live(sim);
  const saga = await sim.run(life.engine.copy({ ...life.guest, id: 's', disks: DISKS, finish: 'leave' }));
  await sim.run(saga.result);
  const before = storyIn(life).stations.map(({ path }) => path.join('.'));
  await sim.run(saga.keepCopies());

  const story = storyIn(life);
  expect(story.stations.map(({ path }) => path.join('.'))).not.toEqual(before);
  expect(sceneAt(story).stations.map(({ reached }) => reached)).toEqual(story.stations.map(() => 'done'));
  expect(sceneAt(story).disks.map(({ imageIs, isOnNew }) => [imageIs, isOnNew])).toEqual([
    ['beside', false],
    ['beside', false],
  ]);
});

test('each moment of a saga is told as it was then', async () => {
  const sim = smallSim();
  const life = live(sim);
  const saga = await sim.run(life.engine.copy({ ...life.guest, id: 's', disks: DISKS }));
  await sim.run(saga.result);
  const story = storyIn(life);
  const moments = story.visits.flatMap(({ attempts }) => attempts.map(({ beganAtMs }) => beganAtMs));
  for (const atMs of moments) {
    const { stations } = sceneAt(story, atMs);
    const reached = stations.map(each => each.reached);
    expect(reached.join(' ')).toMatch(/^(done )*(current )?(ahead ?)*$|^(done )*current$/);
  }
  expect(sceneAt(story, story.createdAtMs).stations.every(({ reached }) => reached === 'ahead')).toBe(true);
});

function storyIn({ journal }: Life): Story {
  const row = journal.saga('s');
  if (row === undefined) throw new Error('the saga is in the journal');
  return tellStory({
    row,
    plan: planOf(row),
    records: journal.records('s'),
    isRunning: true,
  });
}
