/** The wire on the page: beside the steps, up to the slider's moment, searched, live; and what 20,000 lines of it cost a hand. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { openTraceFile, type TraceFile } from '../src/engine/connection/trace-file.ts';
import { createEngine } from '../src/engine/engine.ts';
import { type InspectServer, serveInspect } from '../src/inspect/server.ts';
import { type MemoryJournal, memoryJournal } from '../src/journal/memory.ts';
import { systemClock } from '../src/qmp/clock.ts';
import { createVirtualClock, type VirtualClock } from '../src/sim/host/virtual-clock.ts';
import { createSim, type Fault } from '../src/sim/index.ts';
import { startBrowser, watchedPage } from './browser.ts';
import { workOf } from './hand.ts';

let browser: Browser;
let server: InspectServer;
let page: Page;
let folder: string;
let wire: TraceFile;
let journal: MemoryJournal;
let time: VirtualClock;
const strange: string[] = [];

beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser.close());
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'blocksaga-wire-'));
  const trace = join(folder, 'wire.ndjson');
  wire = openTraceFile(trace);
  time = createVirtualClock();
  journal = memoryJournal(undefined, { clock: time });
  server = await serveInspect({ journal, processes: { isAlive: () => true }, clock: systemClock, trace });
  strange.length = 0;
  page = await watchedPage(browser, strange);
});
afterEach(async () => {
  expect(strange).toEqual([]);
  await page.close();
  await server.close();
  rmSync(folder, { recursive: true });
});

const FULL: Fault = { kind: 'jobFails', nth: 6, percent: 37, error: 'No space left on <b>device</b>' };

async function copyTraced(faults: readonly Fault[], id: string, count = 2): Promise<void> {
  const sim = createSim({ disks: count, faults, clock: time });
  const engine = createEngine({ journal, clock: sim.clock, trace: wire.trace });
  const disks = Array.from({ length: count }, (_, at) => ({
    disk: `disk${at}`,
    to: `/images/disk${at}.copy`,
  }));
  const saga = await sim.run(engine.copy({ qmp: sim.connect, files: sim.files, id, vm: 'web', disks }));
  await sim.run(saga.result);
  await wire.close();
}

test('commands, replies and events stand folded by their steps, with their times, and are found', async () => {
  await copyTraced([FULL], 'night');
  await page.goto(`${server.address}#night`);
  await page.locator('.wire details').first().waitFor();
  const steps = await page.locator('.wire summary strong').allTextContents();
  expect(steps).toEqual(expect.arrayContaining(['mirror disks', 'create images']));
  await page.getByLabel(/Search the wire/).fill('blockdev-mirror');
  await expect.poll(() => page.locator('.wire li').count()).toBeGreaterThan(2);
  const first = page.locator('.wire li.w-command').first();
  expect(await first.innerText()).toMatch(/\+.*blockdev-mirror.*-0-filter/s);
  await first.locator('button').click();
  expect(await page.locator('.wire pre').innerText()).toContain('"execute": "blockdev-mirror"');
  const shot = process.env['BLOCKSAGA_SCREENSHOT'];
  if (shot !== undefined) await page.locator('.wire').screenshot({ path: shot });
  await page.getByLabel(/Search the wire/).fill('no space left');
  await page.locator('.wire li.w-event button').first().waitFor();
  await page.locator('.wire li.w-event button').first().click();
  await page.locator('.wire pre').getByText('<b>device</b>').waitFor();
  expect(await page.locator('.wire b').count()).toBe(0);
});

test('it goes no further than the slider, and shows what is said while it is looked at', async () => {
  await copyTraced([], 'night');
  await page.goto(`${server.address}#night`);
  const count = () => page.locator('.wire .find [role=status]').innerText();
  await expect.poll(count).toMatch(/^\d+ messages$/);
  await page.getByLabel('Moment of the saga').focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowRight');
  await expect.poll(count).toMatch(/^\d+ of \d+ messages$/);
  await page.keyboard.press('End');
  await page.keyboard.press('ArrowLeft');

  const row = journal.saga('night');
  if (row === undefined) throw new Error('it is there');
  const { vm, operation, planVersion, address, request, plan } = row;
  journal.begin({ id: 'open', vm: `${vm}2`, operation, planVersion, address, request, plan });
  await page.goto(`${server.address}#open`);
  await expect.poll(count).toBe('0 messages');
  wire.trace({ atMs: row.createdAtMs, saga: 'open', step: 'a.b', to: 'qemu', message: { execute: 'stop' } });
  await expect.poll(count).toBe('1 message');
});

test('without a trace it says how there would be one', async () => {
  await copyTraced([], 'night');
  const other = await serveInspect({ journal, processes: { isAlive: () => true }, clock: systemClock });
  await page.goto(`${other.address}#night`);
  await expect.poll(() => page.locator('.wire').innerText()).toContain('--trace FILE');
  await other.close();
});

test('a saved page has the wire with it', async () => {
  await copyTraced([FULL], 'night');
  const html = await (await fetch(`${server.address}saved/night`)).text();
  expect(html).toContain('blockdev-mirror');
  expect(html).not.toContain('<b>device</b>');
});

test('what is no message of a trace is counted, and hides none that is', async () => {
  await copyTraced([], 'night');
  await page.goto(`${server.address}#night`);
  const count = () => page.locator('.wire .find [role=status]').innerText();
  await expect.poll(count).toMatch(/^\d+ messages$/);
  const begins = (rest: string) => `{"format":1,"atMs":1,"saga":"night","step":${rest}\n`;
  const broken = [
    begins('"a.b","to":"qe'), // its process was killed here
    begins('7,"message":{}}'),
    begins('"a.b","message":null}'),
    begins('"a.b","message":[1]}'),
    begins('"a.b","to":"qemu","message":{"execute":{"toString":1},"id":{"a":[]}}}'),
    begins('"<img src=x onerror=alert(1)>\\u202e","message":{"event":"<script>hurt()</script>","data":1}}'),
  ];
  writeFileSync(join(folder, 'wire.ndjson'), broken.join(''), { flag: 'a' });
  await page.reload();
  await expect.poll(count).toMatch(/^\d+ messages; 4 lines of the trace cannot be read$/);
  expect(await page.locator('.wire img, .wire script').count()).toBe(0);
  await page.getByLabel(/Search the wire/).fill('hurt()');
  await page.locator('.wire li button').first().click();
  expect(await page.locator('.wire pre').innerText()).toContain('<script>hurt()</script>');
});

test('ten times the lines cost a hand no more to draw, and at most ten times as much to search', async () => {
  await copyTraced([], 'night', 30);
  const few = await workOver();
  const began = journal.saga('night')?.createdAtMs ?? 0;
  const queries = Array.from({ length: 9 * few.lines }, (_, at) =>
    at % 2 === 0 ? { execute: 'query-jobs', id: `x${at}` } : { return: [{ at }], id: `x${at - 1}` },
  );
  for (const [at, message] of queries.entries()) {
    wire.trace({ atMs: began + at, saga: 'night', step: 'mirroring.mirrorDisks', to: 'qemu', message });
    if (at % 1_000 === 0) await wire.close();
  }
  await wire.close();
  const many = await workOver();
  expect([few.lines > 1_500, many.lines / few.lines]).toEqual([true, 10]);
  expect(many.slider.calls).toBeLessThan(1.2 * few.slider.calls);
  expect(many.slider.changes).toBeLessThan(1.2 * few.slider.changes);
  expect(many.search.calls).toBeLessThan(10 * few.search.calls);
  expect(many.search.changes).toBeLessThan(1.2 * few.search.changes);
  expect(few.slider.changes * few.search.changes, 'it was seen at all').toBeGreaterThan(0);
});

async function workOver() {
  const lines = readFileSync(join(folder, 'wire.ndjson'), 'utf8').split('\n').length - 1;
  await page.goto('about:blank');
  await page.goto(`${server.address}#night`);
  await expect.poll(() => page.locator('.wire .find [role=status]').innerText()).toBe(`${lines} messages`);
  return {
    lines,
    search: await workOf(page, '.wire input', ['q', 'query', 'query-jobs', 'x1998', '']),
    slider: await workOf(page, 'input[type=range]', ['3', '9', '5', '1', '20']),
  };
}
