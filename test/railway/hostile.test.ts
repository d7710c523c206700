/** Names of disks and files, QEMU's words and errors are text in a drawing, whatever they say. */
import { expect, test } from 'vitest';
import { STORIES } from '../../scripts/picture-stories.ts';
import { svgOf } from '../../src/railway/draw.ts';
import { sceneAt } from '../../src/railway/scene.ts';
import type { Story } from '../../src/story/story.ts';
import { textsIn, unclosedIn } from './read-svg.ts';

const HOSTILE = [
  '"><script>alert(1)</script>',
  "'/><image href='x' onerror='alert(1)'/>",
  ']]></style><script>x</script>',
  '&lt;b&gt;&amp;',
  'a\u202egnp.exe',
  'line\nbreak\u0000\u0007\u001b[2J',
  '</text></svg>',
  '\ud800',
];

test.each(HOSTILE)('%j stays text wherever it comes from', async words => {
  const story = await hostileStory(words);
  const svg = svgOf(sceneAt(story));
  expect(unclosedIn(svg)).toEqual([]);
  expect(svg).not.toMatch(/<script|<image/);
  expect(svg).not.toMatch(/[\p{Cc}\u202e\ud800](?!$)/u);
  expect(textsIn(svg).length).toBeGreaterThan(60);
});

async function hostileStory(words: string): Promise<Story> {
  const story = await STORIES['copy-rolled-back']?.();
  if (story === undefined) throw new Error('no such story');
  const told = JSON.stringify(story)
    .replaceAll('disk1', JSON.stringify(words).slice(1, -1))
    .replaceAll('No space left on device', JSON.stringify(words).slice(1, -1))
    .replaceAll('web-1', JSON.stringify(words).slice(1, -1));
  return JSON.parse(told) as Story;
}
