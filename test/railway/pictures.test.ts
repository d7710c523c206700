/** The pictures in docs are those that the program draws now, and answer what a reader asks of a saga. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { STORIES } from '../../scripts/picture-stories.ts';
import { svgOf } from '../../src/railway/draw.ts';
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
  expect(texts.filter(text => /removed$/.test(text))).toEqual(['removed', 'failed, removed', 'removed']);
  expect(told).toMatch(/What was undone\n1\nThe mirrors are cancelled/);
  expect(told).toMatch(/What to do now\nFor the guest, nothing: it runs on as before/);
  expect(told).toContain('the guest was never paused');
});

test('a saga that needs recovery gives no disk a place that its journal does not know, and the command to type', async () => {
  const texts = textsIn(await pictureOf('copy-needs-recovery'));
  expect(texts.filter(text => text === 'or here')).toHaveLength(3);
  expect(texts).toContain('blocksaga resume --offline 0vd5r8m2j6x1a');
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

async function pictureOf(name: string): Promise<string> {
  const story = STORIES[name];
  if (story === undefined) throw new Error(`no picture ${name}`);
  return svgOf(sceneAt(await story()));
}
