/** The laboratory in a real Chromium: a fault is dropped on a step and a disk, the run is told, and the laws are lights. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readReplay } from '../src/fuzz/replay-file.ts';
import { type InspectServer, serveInspect } from '../src/inspect/server.ts';
import { memoryJournal } from '../src/journal/memory.ts';
import { PROFILES, readChoice, scenarioOf } from '../src/lab/choice.ts';
import { LiveRuns } from '../src/lab/live-runs.ts';
import { runLab } from '../src/lab/run-lab.ts';
import { systemClock } from '../src/qmp/clock.ts';
import { startBrowser } from './browser.ts';

const live = new LiveRuns(systemClock);
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
      live: asked => live.ask(asked),
    },
  });
  page = await browser.newPage({ viewport: { width: 1440, height: 1100 } });
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
  live.close();
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
  await page.getByRole('button', { name: 'Replay' }).click();
  await expect.poll(() => page.locator('.pill').innerText()).toBe('Under way');
  await expect.poll(() => page.locator('.pill').innerText()).toBe('Rolled back');
});

test('a fault is dragged to a step, and the run stands, moves on by command and step, and ends as it would', async () => {
  await page.goto(server.address);
  await page.reload();
  await expect.poll(() => page.locator('.pill').innerText()).toBe('Committed');
  await page.getByRole('button', { name: 'Run it step by step' }).click();
  await expect.poll(() => page.locator('.live output').innerText()).toMatch(/^stands at/);
  expect(await page.locator('.lights .verdict').innerText()).toMatch(/judged when the run is over/);
  for (let step = 0; step < 4; step += 1) await page.getByRole('button', { name: 'Next step' }).click();
  await expect.poll(() => page.locator('.pill').innerText()).toBe('Under way');
  const commands = await page.locator('.live .last li').allTextContents();
  await page.getByRole('button', { name: 'Next command' }).click();
  await expect.poll(() => page.locator('.live .last li').allTextContents()).not.toEqual(commands);
  await page.getByRole('button', { name: 'QEMU refuses a command' }).dragTo(
    page
      .locator('.line g.station')
      .filter({ hasText: /await convergence/ })
      .locator('circle')
      .first(),
  );
  await expect.poll(() => page.locator('.fault').count()).toBe(1);
  expect(await page.locator('.fault select').nth(1).inputValue()).toBe('awaitConvergence');
  expect(await page.locator('.live output').innerText()).toMatch(/^stands at/);
  // Behind the run nothing can be dropped; by keyboard and touch it is taken up and put down.
  await page.getByRole('button', { name: 'the connection is cut' }).click();
  await page.locator('.line g.station circle').first().click();
  expect(await page.locator('.notice').innerText()).toContain('behind this run');
  const shot = process.env['BLOCKSAGA_SCREENSHOT_LIVE'];
  if (shot !== undefined) await page.screenshot({ path: shot, fullPage: true });
  await page.getByRole('button', { name: 'To the end' }).click();
  await expect.poll(() => page.locator('.pill').innerText()).toBe('Rolled back');
  expect(await page.locator('.lights .verdict').innerText()).toMatch(/^All \d+ laws hold$/);
});

test('in slow motion a run moves by itself, and a fault that is dropped on a disk meanwhile is of that disk', async () => {
  await page.goto(server.address);
  await page.reload();
  await expect.poll(() => page.locator('.pill').innerText()).toBe('Committed');
  await page.getByRole('button', { name: 'Run it step by step' }).click();
  await page.getByLabel('How slow').selectOption('1000');
  await page.getByRole('button', { name: 'Slow motion' }).click();
  await expect.poll(() => page.locator('.pill').innerText()).toBe('Under way');
  await page.getByRole('button', { name: 'Pause' }).click();
  await expect.poll(() => page.locator('.live output').innerText()).toMatch(/^stands at/);
  await page.getByRole('button', { name: 'the block job fails' }).click();
  await page.locator('.disks svg').click({ position: { x: 40, y: 16 + 40 + 66 } });
  await expect.poll(() => page.locator('.fault').count()).toBe(1);
  await page.getByRole('button', { name: 'To the end' }).click();
  await expect.poll(() => page.locator('.outcome').innerText()).toMatch(/dev1 failed at “mirror disks”/);
});

test('a finding of the fuzzer opens as a story, and a law that it broke is a light that says what broke it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'blocksaga-finding-'));
  const file = join(folder, 'finding.json');
  const faults = [{ kind: 'killBlocksaga', step: 'mirrorDisks', disk: 0, percent: 0 }];
  const choice = readChoice({ seed: 7, profile: '10.0', disks: 2, layers: 2, operation: 'copy', faults });
  writeFileSync(file, JSON.stringify({ kind: 'blocksaga-fuzz-1', scenario: scenarioOf(choice) }));
  const found = await runLab(await readReplay(file));
  rmSync(folder, { recursive: true });
  const hurt = '<img src=x onerror="window.hurt=1">\u202e';
  const lights = found.lights.map((light, at) => (at === 3 ? { ...light, breach: `lost: ${hurt}` } : light));
  const other = await serveInspect({
    ...{ journal: memoryJournal(), processes: { isAlive: () => true }, clock: systemClock },
    lab: {
      offers: { profiles: PROFILES, first: { ...found, lights } },
      run: choice => runLab(scenarioOf(readChoice(choice))),
      live: asked => live.ask(asked),
    },
  });
  const opened = await browser.newPage();
  await opened.goto(other.address);
  await opened.locator('h2').waitFor();
  expect(await opened.locator('.line svg g.station').count()).toBeGreaterThan(3);
  expect(await opened.locator('.lights .verdict').innerText()).toMatch(/^1 of \d+ laws are broken$/);
  expect(await opened.locator('.lights .broken').innerText()).toContain('lost: <img src=x');
  expect(await opened.locator('.lights img').count()).toBe(0);
  await opened.getByRole('button', { name: 'Replay' }).focus();
  await opened.keyboard.press('Enter');
  await expect.poll(() => opened.locator('.pill').innerText()).toBe('Under way');
  await opened.close();
  await other.close();
});
