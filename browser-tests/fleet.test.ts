/**
 * The page's view of a fleet in a real Chromium: hosts, guests and what is under way there, as a Restate's ingress tells it, also while it
 * changes, falls silent, or tells hostile names; at the width of a desk and of a phone, in light and in dark.
 */
import { mkdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { fleetAt, HOSTS_ASKED, STUCK_ASKED } from '../src/cli/fleet/ask.ts';
import { sightOf } from '../src/cli/fleet/sight.ts';
import { type InspectServer, serveInspect } from '../src/inspect/server.ts';
import { memoryJournal } from '../src/journal/memory.ts';
import { systemClock } from '../src/qmp/clock.ts';
import { startBrowser, watchedPage } from './browser.ts';

/** A folder for pictures, to be looked at by a person. */
const PICTURES = process.env['BLOCKSAGA_PICTURES'];
const HOSTILE = '"><img src=x onerror=alert(1)>\u202e';

const guests = (...names: readonly string[]) => names.map(vm => ({ vm, qmp: `/run/vms/${vm}.qmp` }));
const many = (prefix: string, count: number) => Array.from({ length: count }, (_, at) => `${prefix}-${at}`);

function hosts(): object[] {
  return [
    {
      ...{ host: 'rack1-a', agent: 'https://rack1-a.example:7171' },
      status: {
        guests: guests('web', 'db', 'cache', ...many('worker', 12)),
        sagas: [
          { id: 'evacuate-1.web', vm: 'web', operation: 'copy', state: 'open' },
          { id: '0vd5r8m2j6x1a', vm: 'db', operation: 'snapshot', state: 'needsRecovery' },
        ],
      },
    },
    { ...{ host: 'rack1-b', agent: 'https://rack1-b.example:7171' }, status: null },
    {
      ...{ host: 'rack2-a', agent: 'https://rack2-a.example:7171' },
      status: { guests: guests('mail', HOSTILE, ...many('build', 230)), sagas: [] },
    },
  ];
}

let browser: Browser;
let ingress: Server;
let told: unknown;
let stuck: readonly object[] | undefined;
let isHung = false;
let asked = 0;
let server: InspectServer;
let page: Page;
const strange: string[] = [];

beforeAll(async () => {
  browser = await startBrowser();
  ingress = createServer((request, response) => {
    asked += 1;
    request.resume();
    if (isHung) return;
    const answers = new Map(
      [HOSTS_ASKED, STUCK_ASKED].map((each, at) => [`POST /${each.join('/')}`, [told, stuck][at]]),
    );
    const answer = answers.get(`${request.method} ${request.url}`);
    response.writeHead(answer === undefined ? 503 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? { message: 'Restate is restarting' }));
  });
  await new Promise<void>(resolve => ingress.listen(0, '127.0.0.1', resolve));
  const address = ingress.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const fleet = fleetAt(`http://127.0.0.1:${port}`);
  server = await serveInspect({
    ...{ journal: memoryJournal(), processes: { isAlive: () => true }, clock: systemClock },
    fleet: sightOf(fleet),
  });
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
  ingress.closeAllConnections();
  await new Promise(resolve => ingress.close(resolve));
});
beforeEach(async () => {
  told = hosts();
  stuck = [];
  strange.length = 0;
  page = await watchedPage(browser, strange);
  await page.goto(server.address);
  await page.locator('.to-fleet', { hasText: '1 needs you, 1 silent' }).click();
  await page.locator('.host').nth(2).waitFor();
});
afterEach(async () => {
  await page.close();
  expect(strange).toEqual([]);
});

/** As it is in the document: of a host that Chromium has not drawn yet (`content-visibility`), what is to be seen is nothing. */
const textOf = (selector: string) => page.locator(selector).allTextContents();

test('tells hosts, their guests, what is under way there, and what needs a person with the command to type', async () => {
  expect(await textOf('.host h3')).toEqual(['rack1-a', 'rack1-b', 'rack2-a']);
  expect((await page.locator('.counts').innerText()).replaceAll(/\s+/g, ' ')).toBe(
    '3 hosts 247 guests 1 under way 1 needs recovery 1 does not answer',
  );
  const needs = page.getByRole('region', { name: 'What needs you' });
  expect(await needs.innerText()).toMatch(
    /db: its snapshot needs recovery[\s\S]*on rack1-a\s+blocksaga resume 0vd5r8m2j6x1a --journal FILE/,
  );
  const first = page.getByRole('region', { name: 'Host rack1-a' });
  await first.scrollIntoViewIfNeeded();
  await expect
    .poll(() => first.locator('.busy li').allInnerTexts())
    .toEqual([
      expect.stringMatching(/^web\s+copy evacuate-1\.web\s+under way$/i),
      expect.stringMatching(/^db\s+snapshot 0vd5r8m2j6x1a\s+needs recovery$/i),
    ]);
  expect(await first.locator('.guests li').allTextContents()).toEqual(['cache', ...many('worker', 12)]);
  expect(await page.getByRole('region', { name: 'Host rack1-b' }).textContent()).toContain('does not answer');
});

test('shows names as text, whatever they hold, and says how many guests are not drawn', async () => {
  const last = page.getByRole('region', { name: 'Host rack2-a' });
  expect(await last.locator('.guests li').nth(1).textContent()).toBe('"><img src=x onerror=alert(1)>\\u202e');
  expect(await last.locator('.more').textContent()).toBe('and 172 more');
  expect(await last.locator('img').count()).toBe(0);
});

test('finds a guest by its name, and a host by what is under way there', async () => {
  const search = page.getByRole('searchbox', { name: 'Search the fleet' });
  await search.fill('build-229');
  expect(await textOf('.host h3')).toEqual(['rack2-a']);
  expect(await textOf('.guests li')).toEqual(['build-229']);
  await search.fill('copy evacuate');
  expect(await textOf('.host h3')).toEqual(['rack1-a']);
  expect(await textOf('.host strong')).toEqual(['web']);
  await search.fill('no such thing');
  await page.getByText('None matches.').waitFor();
});

test('changes by itself, and says that it may be old where the fleet has fallen silent', async () => {
  const [first, second] = hosts();
  told = [first, { ...second, status: { guests: guests('late'), sagas: [] } }];
  await page.getByText('late', { exact: true }).waitFor();
  expect(await textOf('.host h3')).toEqual(['rack1-a', 'rack1-b']);
  expect((await textOf('.to-fleet'))[0]).toContain('1 needs you');
  told = undefined;
  await page
    .getByRole('alert')
    .filter({ hasText: 'What you see may be old. Restate is restarting' })
    .waitFor();
  expect(await textOf('.host h3')).toEqual(['rack1-a', 'rack1-b']);
  told = [];
  await page.getByText('No host has joined yet').waitFor();
  expect(await page.getByRole('alert').count()).toBe(0);
});

test('tells what Restate has paused or tries in vain, and where that is not known', async () => {
  stuck = [
    { id: 'inv_1', target: 'guest/web/copy', status: 'paused', why: null },
    { id: 'inv_2', target: 'guest/db/copy', status: 'backing-off', why: 'journal mismatch' },
  ];
  const needs = page.getByRole('region', { name: 'What needs you' });
  await needs.getByText('restate invocations resume inv_2').waitFor();
  expect(await needs.innerText()).toMatch(
    /guest\/web\/copy: paused by Restate[\s\S]*resume inv_1[\s\S]*guest\/db\/copy: fails again and again: journal mismatch/,
  );
  expect((await textOf('.counts'))[0]).toContain('2 stuck at Restate');
  expect((await textOf('.to-fleet'))[0]).toContain('3 need you');
  stuck = undefined;
  await page.getByText('Whether Restate has paused anything is not known.').waitFor();
  expect(await textOf('.host h3')).toEqual(['rack1-a', 'rack1-b', 'rack2-a']);
});

test('says that it may be old where the fleet takes what is asked, and never answers', async () => {
  isHung = true;
  try {
    await page.getByRole('alert').filter({ hasText: 'What you see may be old. The fleet has not' }).waitFor();
  } finally {
    isHung = false;
    ingress.closeAllConnections();
  }
  await page.getByRole('alert').waitFor({ state: 'detached' });
});

test('is left for the sagas of this journal', async () => {
  await page.getByRole('button', { name: 'blocksaga' }).click();
  await page.getByText('No sagas yet.').waitFor();
  expect(await page.locator('.fleet').count()).toBe(0);
  await page.goBack();
  await page.locator('.host').first().waitFor();
});

test('is not asked while no page looks', async () => {
  await page.goto('about:blank');
  await page.waitForTimeout(500); // what was under way has ended
  const before = asked;
  await page.waitForTimeout(4_000);
  expect(asked).toBe(before);
});

test.each(['light', 'dark'] as const)('fits the width of a phone, in %s', async colorScheme => {
  for (const [name, viewport] of [
    ['page-fleet', { width: 1440, height: 900 }],
    ['phone-fleet', { width: 390, height: 1240 }],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(viewport);
    await page.locator('.host').first().waitFor();
    const wider = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
    expect(wider).toBeLessThanOrEqual(0);
    if (PICTURES === undefined) continue;
    mkdirSync(PICTURES, { recursive: true });
    await page.screenshot({ path: join(PICTURES, `${name}-${colorScheme}.png`) });
  }
});
