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
