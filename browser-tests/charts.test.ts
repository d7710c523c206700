/** The page as an inspector of XState: charts that it is sent, by sagas of ours and by any other machine, lit by events alone. */
import { createWebSocketInspector } from '@statelyai/inspect';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createActor, createMachine } from 'xstate';
import { createEngine } from '../src/engine/engine.ts';
import { sendCharts } from '../src/inspect/send-charts.ts';
import { type InspectServer, serveInspect } from '../src/inspect/server.ts';
import { memoryJournal } from '../src/journal/memory.ts';
import { systemClock } from '../src/qmp/clock.ts';
import { createSim, type Fault } from '../src/sim/index.ts';
import { startBrowser, watchedPage } from './browser.ts';

let browser: Browser;
let server: InspectServer;
let page: Page;
const strange: string[] = [];

beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser.close());
beforeEach(async () => {
  server = await serveInspect({
    ...{ journal: memoryJournal(), processes: { isAlive: () => true }, clock: systemClock, stately: true },
  });
  strange.length = 0;
  page = await watchedPage(browser, strange);
  await page.goto(`${server.address}#/charts`);
  await page.getByText('Nothing was sent yet').waitFor();
});
afterEach(async () => {
  expect(strange).toEqual([]);
  await page.close();
  await server.close();
});

const FULL: Fault = { kind: 'jobFails', nth: 8, percent: 37, error: 'No space left on device' };

/** A copy of a simulated guest whose process sends its events over a socket, as a command with --inspect does. */
async function copyInspected(faults: readonly Fault[] = []): Promise<string> {
  const sim = createSim({ disks: 3, faults });
  const lost: string[] = [];
  const sender = sendCharts(server.inspectorUrl, systemClock, why => lost.push(why));
  const engine = createEngine({ journal: memoryJournal(), clock: sim.clock, inspect: sender.inspect });
  const disks = ['disk0', 'disk1', 'disk2'].map(disk => ({ disk, to: `/images/${disk}.copy` }));
  const saga = await sim.run(engine.copy({ qmp: sim.connect, files: sim.files, vm: 'web', disks }));
  const { outcome } = await sim.run(saga.result);
  await sender.close();
  expect(lost).toEqual([]);
  return outcome;
}

test('draws the chart of a saga of another process, with the states that it was in, and its disks as child actors', async () => {
  expect(await copyInspected()).toBe('committed');
  await page.getByRole('heading', { name: 'Child actors' }).waitFor();
  await expect.poll(() => page.locator('.outcome').innerText()).toContain('committed');
  expect(await page.locator('.c-here > text.strong').allTextContents()).toEqual(['committed']);
  expect(await page.locator('.c-seen.c-leaf > text.strong').allTextContents()).toEqual(
    expect.arrayContaining(['mirrorDisks', 'pauseGuest', 'reopenFilters', 'resumeGuest']),
  );
  expect(await page.locator('.c-taken').count()).toBeGreaterThan(8);
  expect(await page.locator('.children li').count()).toBe(3);
  expect(await page.locator('.events li').first().innerText()).toContain('xstate.done.actor');
  expect(await page.locator('pre.context').innerText()).toContain('"attempted"');
  const shot = process.env['BLOCKSAGA_SCREENSHOT'];
  if (shot !== undefined) await page.screenshot({ path: shot, fullPage: true });
  await page.locator('.children button').first().click();
  expect(await page.locator('h2').innerText()).toMatch(/disk0/);
  expect(await page.locator('.c-seen > text.strong, .c-here > text.strong').allTextContents()).toContain(
    'ready',
  );
});

test('lights the line back of one that was rolled back', async () => {
  expect(await copyInspected([FULL])).toBe('rolledBack');
  await expect.poll(() => page.locator('.outcome').innerText()).toContain('rolledBack');
  expect(await page.locator('.c-seen.c-nest > text.strong').allTextContents()).toContain('compensating');
});

test('draws any machine that an inspector of Stately sends, live, and what is hostile in it as text', async () => {
  const machine = createMachine({
    id: 'lights<script>window.hurt=1</script>',
    initial: 'green',
    states: {
      green: { on: { TIMER: 'amber' }, description: '<img src=x onerror="window.hurt=1">' },
      amber: { on: { TIMER: 'red' } },
      red: {
        type: 'parallel',
        on: { TIMER: 'green' },
        states: { walk: { initial: 'go', states: { go: {}, stop: {} } }, hum: {} },
      },
    },
  });
  const inspector = createWebSocketInspector({ url: server.inspectorUrl });
  const actor = createActor(machine, { inspect: inspector.inspect }).start();
  await expect.poll(() => page.locator('.c-here > text.strong').allTextContents()).toEqual(['green']);
  actor.send({ type: 'TIMER' });
  await expect.poll(() => page.locator('.c-here > text.strong').allTextContents()).toEqual(['amber']);
  actor.send({ type: 'TIMER' });
  await expect
    .poll(async () => (await page.locator('.c-here > text.strong').allTextContents()).toSorted())
    .toEqual(['go', 'hum', 'red', 'walk']);
  expect(await page.evaluate(() => 'hurt' in window)).toBe(false);
  expect(await page.locator('article script, article img').count()).toBe(0);
  inspector.stop();
});

test('what is no inspection event, or comes without the secret or from another origin, is not taken', async () => {
  const told = async (url: string, text: string, origin?: string) => {
    const socket = new WebSocket(url, {
      headers: origin === undefined ? {} : { origin },
    } as unknown as string[]);
    const opened = Promise.withResolvers<boolean>();
    socket.addEventListener('open', () => opened.resolve(true));
    socket.addEventListener('error', () => opened.resolve(false));
    const isOpen = await opened.promise;
    if (isOpen) socket.send(text);
    socket.close();
    return isOpen;
  };
  expect(await told(server.inspectorUrl, '{"type":"@xstate.actor"}')).toBe(true);
  expect(await told(server.inspectorUrl, 'no json')).toBe(true);
  expect(await told(server.inspectorUrl.replace(/\/[^/]+\/xstate$/, '/guessed/xstate'), '')).toBe(false);
  expect(await told(server.inspectorUrl, '', 'http://foreign.test')).toBe(false);
  expect(server.charts.remembered()).toEqual([]);
});

test('only the page for Stately may show another site in a frame', async () => {
  const ours = await fetch(server.address);
  expect(ours.headers.get('content-security-policy')).not.toContain('stately');
  const stately = await fetch(`${server.address}stately`);
  expect(stately.headers.get('content-security-policy')).toContain('frame-src https://stately.ai');
  expect(await stately.text()).toContain('https://stately.ai/inspect');
  const other = await serveInspect({
    ...{ journal: memoryJournal(), processes: { isAlive: () => true }, clock: systemClock },
  });
  expect((await fetch(`${other.address}stately`)).status).toBe(404);
  await other.close();
});
