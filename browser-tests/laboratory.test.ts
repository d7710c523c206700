/** The laboratory in a real Chromium: a fault is dropped on a step and a disk, the run is told, and the laws are lights. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type InspectServer, serveInspect } from '../src/inspect/server.ts';
import { memoryJournal } from '../src/journal/memory.ts';
import { PROFILES, readChoice, scenarioOf } from '../src/lab/choice.ts';
import { runLab } from '../src/lab/run-lab.ts';
import { systemClock } from '../src/qmp/clock.ts';
import { startBrowser } from './browser.ts';

let browser: Browser;
let server: InspectServer;
let page: Page;

beforeAll(async () => {
  browser = await startBrowser();
  server = await serveInspect({
    ...{ journal: memoryJournal(), processes: { isAlive: () => true }, clock: systemClock },
    lab: {
      offers: { profiles: PROFILES, first: null },
      run: choice => runLab(scenarioOf(readChoice(choice))),
    },
  });
  page = await browser.newPage({ viewport: { width: 1440, height: 1100 } });
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

test('a fault on a step and a disk is compensated, the laws hold, and the link tells it all again', async () => {
  await page.goto(server.address);
  await expect.poll(() => page.locator('.pill').innerText()).toBe('Committed');
  await page.getByRole('button', { name: 'Add a fault' }).click();
  await page.locator('.fault select').nth(1).selectOption({ label: 'dev1' });
  // With its fault on the first disk, which the form offers at first, the run is rolled back too.
  await expect.poll(() => page.locator('.outcome').innerText()).toMatch(/dev1 failed at “mirror disks”/);
  expect(await page.locator('.pill').innerText()).toBe('Rolled back');
  expect(await page.locator('.lights .verdict').innerText()).toMatch(/^All \d+ laws hold$/);
  const shot = process.env['BLOCKSAGA_SCREENSHOT'];
  if (shot !== undefined) await page.screenshot({ path: shot });

  const other = await browser.newPage();
  await other.goto(page.url());
  await expect.poll(() => other.locator('.outcome').innerText()).toMatch(/dev1 failed at “mirror disks”/);
  await other.close();
});

test('a run is played from its beginning to its end', async () => {
  await page.getByRole('button', { name: 'Play' }).click();
  await expect.poll(() => page.locator('.pill').innerText()).toBe('Under way');
  await expect.poll(() => page.locator('.pill').innerText()).toBe('Rolled back');
});
