/** The pictures in docs are those that the program draws now, and answer what a reader asks of a saga. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { STORIES } from '../../scripts/picture-stories.ts';
import { drawLinePicture, svgOf } from '../../src/railway/draw.ts';
import { lanesFor } from '../../src/railway/lanes.ts';
import { widthOf } from '../../src/railway/measure.ts';
import { sceneAt } from '../../src/railway/scene.ts';
import { textsIn, unclosedIn } from './read-svg.ts';

const FOLDER = join(import.meta.dirname, '../../docs/pictures');

describe('the pictures in docs', () => {
  test.each(Object.keys(STORIES))('show %s as it is drawn now', async name => {
    const drawn = await pictureOf(name);
    const kept = readFileSync(join(FOLDER, `${name}.svg`), 'utf8');
    expect(timeless(kept) === timeless(drawn), 'write them anew: npm run pictures').toBe(true);
  });

  test.each(Object.keys(STORIES))('are well formed and need nothing else: %s', async name => {
    const drawn = await pictureOf(name);
    expect(unclosedIn(drawn)).toEqual([]);
    expect(drawn.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(
      /https?:|<script|href|url\(|@import/i,
    );
  });
});

test('a rolled-back saga tells what failed where, what was undone, where each disk is, and what to do', async () => {
  const texts = textsIn(await pictureOf('copy-rolled-back'));
  const told = texts.join('\n');
  expect(told).toContain(
    'disk1 failed at “mirror disks”. All 3 disks are where they were; nothing is left behind.',
  );
  expect(texts).toContain('“No space left on device”');
  expect(texts).toContain('disk1: QEMU answered blockdev-mirror');
  expect(texts.filter(text => text === 'the guest is here')).toHaveLength(3);
  expect(texts.filter(text => /removed$/.test(text))).toEqual([
    ...['copy removed', 'failed, copy removed', 'copy removed'],
  ]);
  expect(told).toMatch(/What was undone\n1\nmirror disks\nThe mirrors were cancelled/);
  expect(told).toMatch(/What to do now\nFor the guest, nothing: it runs on as before/);
  expect(told).toContain('nothing is left behind. The guest was never paused.');
  expect(told).toContain('did not fail: undone with it');
  expect(told.match(/No space left/g)).toHaveLength(2);
});

test('a saga that needs recovery gives no disk a place that its journal does not know, and the command to type', async () => {
  const texts = textsIn(await pictureOf('copy-needs-recovery'));
  expect(texts.filter(text => text === 'or here')).toHaveLength(3);
  expect(texts).toContain('blocksaga resume --offline 0vd5r8m2j6x1a');
  // No length of a pause that nothing has ended, no decision that nothing has carried out, no message twice.
  const told = texts.join('\n');
  expect(told).toContain('QEMU answers no more; it had the guest paused.');
  expect(texts).toContain('paused here; QEMU was lost before it was resumed');
  expect(told).not.toMatch(/paused (?:for )?[\d.]+ m?s at most/);
  expect(texts).toContain('decision in doubt');
  expect(texts).not.toContain('from here only forward');
  expect(told).toContain('the undo of “reopen filters”, for the same reason');
});

test('a saga whose process was killed again and again is one line, with each death and where it was resumed', async () => {
  const texts = textsIn(await pictureOf('copy-killed'));
  expect(texts.filter(text => text === 'process died')).toHaveLength(3);
  expect(texts.filter(text => /^resumed .* later$/.test(text))).toEqual(
    expect.arrayContaining(['resumed 4.2 s later', 'resumed 12 min 34 s later', 'resumed 1.3 s later']),
  );
  expect(texts.filter(text => text === 'mirror disks' || text === 'mirror')).toHaveLength(1);
  expect(texts.join('\n')).toContain('4 processes');
  // The pause went through a death: its length is that from its beginning on.
  expect(texts.join('\n')).toMatch(/paused for 1\.3 s at most/);
});

test('a rollback whose process was killed is torn where that was', async () => {
  const texts = textsIn(await pictureOf('copy-killed-in-rollback'));
  expect(texts.filter(text => text === 'process died')).toHaveLength(3);
  expect(texts).toContain('resumed 1 min 36 s later');
});

test.each(Object.keys(STORIES))('what the marks mean has room in the picture: %s', async name => {
  const svg = await pictureOf(name);
  const width = Number(/viewBox="0 0 (\d+)/.exec(svg)?.[1]);
  const last = [...svg.matchAll(/<g class="legend">.*?<text x="([\d.]+)"[^>]*>([^<]*)</g)];
  expect(last.length).toBeGreaterThan(1);
  for (const [, x, words] of last) expect(Number(x) + widthOf(words ?? '', 11)).toBeLessThan(width - 40);
});

test('an interrupted saga is torn where its process died, and not resumed yet', async () => {
  const texts = textsIn(await pictureOf('copy-interrupted'));
  expect(texts).toContain('process died');
  expect(texts).toContain('not resumed yet');
});

test('an image that several disks stand on is drawn once, and its disks beside one another', async () => {
  const texts = textsIn(await pictureOf('copy-of-clones'));
  expect(texts.filter(text => text === 'golden.qcow2')).toHaveLength(1);
  expect(texts.filter(text => text === 'web-role.qcow2')).toHaveLength(1);
  expect(texts).toContain('shared by 3 disks');
  expect(texts.filter(text => text === 'the guest is here')).toHaveLength(4);
});

test('the marker of the decision is not covered by what failed, wherever that was', async () => {
  for (const [name, station] of [
    ['copy-rolled-back', 'endMirrorsInPlace'],
    ['copy-rolled-back', 'awaitConvergence'],
  ] as const) {
    const told = await storyOf(name);
    const scene = sceneAt(told);
    const at = told.stations.findIndex(({ path }) => path.at(-1) === station);
    const moved = { ...scene, turn: { station: at, undo: null } };
    for (const room of [900, 1400]) {
      const { shapes } = drawLinePicture(moved, room);
      const callout = shapes.find(({ attributes }) => attributes['class'] === 'callout');
      const marker = shapes.find(({ tag, attributes }) => tag === 'line' && attributes['class'] === 'gate');
      const left = Number(callout?.attributes['x']);
      const right = left + Number(callout?.attributes['width']);
      const x = Number(marker?.attributes['x1']);
      expect(x > left && x < right, `${station} at ${room}`).toBe(false);
    }
  }
});

test('a long message and a long sentence neither lie over the line back nor are cut', async () => {
  const told = await storyOf('copy-needs-recovery');
  const scene = sceneAt(told);
  const long = 'cannot connect to /run/a/rather/long/folder/of/guests/gamma.qmp (ECONNREFUSED): '.repeat(3);
  const sentence = `${scene.headline.sentence} ${scene.headline.sentence} The last word.`;
  const failure = scene.failure === null ? null : { ...scene.failure, message: long };
  const svg = svgOf({ ...scene, failure, headline: { ...scene.headline, sentence } });
  expect(textsIn(svg).some(text => text.endsWith('The last word.'))).toBe(true);
  const [, top, height] = /<rect [^>]*y="([\d.]+)"[^>]*height="([\d.]+)"[^>]*class="callout"/.exec(svg) ?? [];
  expect(Number(top) + Number(height)).toBeLessThan(lanesFor(0, 0, true).undo - 10);
});

test('of 32 disks those are drawn that differ, and the others are counted', async () => {
  const texts = textsIn(await pictureOf('copy-of-32'));
  expect(texts.filter(text => text === 'the guest is here').length).toBeLessThan(6);
  expect(texts.join('\n')).toContain('and 29 more disks like it');
});

/** How long steps take on the simulator changes with whatever they send, which is no reason to draw all anew. */
function timeless(svg: string): string {
  return svg.replaceAll(/(?:&#60; )?\d+(?:\.\d+)? (?:ms|s)\b/g, 'so long');
}

function storyOf(name: string) {
  const story = STORIES[name];
  if (story === undefined) throw new Error(`no picture ${name}`);
  return story();
}

async function pictureOf(name: string): Promise<string> {
  return svgOf(sceneAt(await storyOf(name)));
}
