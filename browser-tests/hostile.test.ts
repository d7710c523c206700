/** Names of every kind, in every place of the page, are text: markup, text that turns its direction, lines, and names of 4,000 letters. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { busyJournal } from '../scripts/picture-stories.ts';
import { type InspectServer, serveInspect } from '../src/inspect/server.ts';
import type { Journal } from '../src/journal/journal.ts';
import { systemClock } from '../src/qmp/clock.ts';
import { isFull } from '../test/tiers/tier.ts';
import { startBrowser, watchedPage } from './browser.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser?.close());

const HOSTILE: Readonly<Record<string, string>> = {
  markup: '</title></script><img src=x onerror="window.hurt=1"><svg onload="window.hurt=1">',
  direction: 'a\u202e\u2066gpj.exe\u200b',
  lines: 'one\n\n\ntwo\r\n\u2028three\u0007\u001b[2J',
  long: `x${'W'.repeat(4_000)}`,
  'long words': 'no space '.repeat(400),
};
const SAGAS = [
  '4kq2p9v1x0c7m',
  '7hw0c3zq8n2dk',
  '0vd5r8m2j6x1a',
  '8c4e1y6t0s9mb',
  '2f9s4t7b1y3qe',
  '5m1z7p3d9r4vj',
];
const NAMES = [
  'disk1',
  'No space left',
  'SIGKILL',
  'web-1',
  'db-1',
  'mail-2',
  'build-7',
  'web-2',
  'images/copy',
];

test.each(Object.keys(HOSTILE))('%s', async kind => {
  const words = HOSTILE[kind] ?? '';
  const { journal } = await busyJournal();
  const server = await serveInspect({
    ...{
      journal: named(journal, words),
      name: words.slice(0, 60),
      file: `/srv/${words}`,
      clock: systemClock,
    },
    processes: { isAlive: () => true },
    resume: async () => undefined,
  });
  const strange: string[] = [];
  for (const [wide, width] of [1280, 390].entries()) {
    const page = await watchedPage(browser, strange, { width, height: 900 });
    await page.goto(server.address);
    await page.locator('nav li').nth(5).waitFor();
    await page.getByRole('button', { name: 'Look for what dead sagas left behind' }).click();
    await page.locator('.doctor li').first().waitFor();
    await harmless(page, width);
    // In the quick tier each at one of the widths, in turn.
    for (const saga of SAGAS.filter((_, at) => isFull || at % 2 === wide)) {
      await page.goto(`${server.address}#${encodeURIComponent(words.slice(0, 60))}/${saga}`);
      await page.locator('h2').waitFor();
      await harmless(page, width);
      const more = page.locator('.buttons button').first();
      if (await more.isVisible()) {
        await more.click();
        await harmless(page, width);
      }
    }
    await page.close();
  }
  await savedIsHarmless(server, '7hw0c3zq8n2dk');
  expect(strange).toEqual([]);
  await server.close();
});

async function harmless(page: Page, width: number): Promise<void> {
  const seen = await page.evaluate(() => ({
    hurt: 'hurt' in window,
    made: document.querySelectorAll('#page img, #page script, #page iframe, #page [onload], #page [onerror]')
      .length,
    wide: document.documentElement.scrollWidth,
    text: document.querySelector('#page')?.textContent ?? '',
    over: [...document.querySelectorAll('#page *')]
      .filter(each => each.getBoundingClientRect().right > innerWidth + 1 && !each.closest('svg'))
      .slice(-4)
      .map(each => `${each.parentElement?.className} > ${each.tagName}.${each.className}`),
  }));
  expect([seen.hurt, seen.made]).toEqual([false, 0]);
  expect(seen.wide, seen.over.join('\n')).toBeLessThanOrEqual(width);
  for (const each of ['\u202e', '\u2066', '\u200b', '\u2028', '\u0007', '\u001b']) {
    expect(seen.text.includes(each)).toBe(false);
  }
}

async function savedIsHarmless({ address }: InspectServer, saga: string): Promise<void> {
  const html = await (await fetch(`${address}saved/${saga}`)).text();
  const folder = mkdtempSync(join(tmpdir(), 'blocksaga-hostile-'));
  writeFileSync(join(folder, 'saga.html'), html);
  const alone = await browser.newContext({ offline: true });
  const page = await alone.newPage();
  const asked: string[] = [];
  page.on('request', request => asked.push(request.url()));
  await page.goto(`file://${folder}/saga.html`);
  await page.locator('h2').waitFor();
  await harmless(page, 1280);
  expect(asked.filter(url => !url.startsWith(`file://${folder}/saga.html`))).toEqual([]);
  await alone.close();
  rmSync(folder, { recursive: true });
}

/** The same journal in which everything that people and QEMU name is called so. */
function named(of: Journal, words: string): Journal {
  const inJson = JSON.stringify(words).slice(1, -1);
  const change = <T>(value: T): T =>
    JSON.parse(NAMES.reduce((text, name) => text.replaceAll(name, inJson), JSON.stringify(value)));
  return {
    ...of,
    sagas: filter => of.sagas(filter).map(change),
    saga: id => {
      const row = of.saga(id);
      return row === undefined ? undefined : change(row);
    },
    records: id => of.records(id).map(change),
  };
}
