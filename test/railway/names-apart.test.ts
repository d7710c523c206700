/** The names along the line never touch, however narrow the page is: measured as the drawing measures them. */
import { expect, test } from 'vitest';
import { STORIES } from '../../scripts/picture-stories.ts';
import { drawLinePicture } from '../../src/railway/draw.ts';
import { widthOf } from '../../src/railway/measure.ts';
import { sceneAt } from '../../src/railway/scene.ts';
import type { Shape } from '../../src/railway/shapes.ts';

interface Name {
  readonly words: string;
  readonly y: number;
  readonly from: number;
  readonly to: number;
}

/** The texts of stations, and where both lines end. */
function namesIn(shapes: readonly Shape[], isStation = false): readonly Name[] {
  return shapes.flatMap(({ tag, attributes, children }) => {
    const inside = children.filter(child => typeof child !== 'string');
    if (tag === 'g') return namesIn(inside, attributes['class'] === 'station');
    const words = children.join('');
    if (tag !== 'text' || !(isStation || words === 'committed')) return [];
    const x = Number(attributes['x']);
    const wide = widthOf(words, String(attributes['class']).includes('small') ? 11 : 12);
    const from = attributes['text-anchor'] === 'middle' ? x - wide / 2 : x - wide;
    return [{ words, y: Number(attributes['y']), from, to: from + wide }];
  });
}

test.each(Object.keys(STORIES))('of %s, on a phone and on a wide screen', async name => {
  const scene = sceneAt((await STORIES[name]?.()) ?? expect.fail('it is there'));
  for (const room of [320, 700, 1000, 1031, 1200, 1480]) {
    const names = namesIn(drawLinePicture(scene, room).shapes);
    expect(names.length).toBeGreaterThan(15);
    for (const one of names) {
      const beside = names.filter(({ y, from }) => y === one.y && from > one.from);
      for (const other of beside) {
        expect(other.from, `${one.words} | ${other.words} in ${room}`).toBeGreaterThan(one.to);
      }
    }
  }
});

test('twenty attempts at a step whose process was lost each time are one scar and a number', async () => {
  const story = (await STORIES['copy-killed']?.()) ?? expect.fail('it is there');
  const [takeover] = story.takeovers;
  const at = story.visits.findIndex(({ attempts }) => attempts.some(({ cutAtMs }) => cutAtMs !== null));
  const visit = story.visits[at];
  const [cut, ...rest] = visit?.attempts ?? [];
  if (visit === undefined || cut === undefined || takeover === undefined) expect.fail('it was killed');
  const attempts = [...Array.from({ length: 20 }, () => cut), ...rest];
  const takeovers = [...Array.from({ length: 19 }, () => takeover), ...story.takeovers];
  const scene = sceneAt({ ...story, takeovers, visits: story.visits.with(at, { ...visit, attempts }) });
  const drawn = JSON.stringify(drawLinePicture(scene, 390).shapes);
  expect(drawn).toContain('21 attempts');
  expect(drawn).toContain('process died 20 times');
  expect(drawn.match(/"class":"tear"/g)).toHaveLength(3);
});
