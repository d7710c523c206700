/**
 * The page in a real Chromium, over sagas of the simulator: what is drawn, live news, replay, buttons, hostile names, 32 disks,
 * and how long it takes to answer a hand. Every request that leaves the page's own address fails the test.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { busyJournal } from '../scripts/picture-stories.ts';
import { type InspectServer, serveInspect } from '../src/inspect/server.ts';
import type { Journal } from '../src/journal/journal.ts';
import type { MemoryJournal } from '../src/journal/memory.ts';
import { systemClock } from '../src/qmp/clock.ts';
import { startBrowser, watchedPage } from './browser.ts';
import { workOf } from './hand.ts';

const COMMITTED = '4kq2p9v1x0c7m';
const ROLLED_BACK = '7hw0c3zq8n2dk';
const NEEDS_RECOVERY = '0vd5r8m2j6x1a';
const WAITS = '8c4e1y6t0s9mb';
const OF_32 = '5m1z7p3d9r4vj';

let browser: Browser;
let journal: MemoryJournal;
let server: InspectServer;
let page: Page;
const strange: string[] = [];

beforeAll(async () => {
  browser = await startBrowser();
  ({ journal } = await busyJournal());
  server = await serve(journal);
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

beforeEach(async () => {
  strange.length = 0;
  page = await openPage();
});

afterEach(async () => {
  await page.close();
  expect(strange).toEqual([]);
});

test('a rolled-back saga is told and drawn', async () => {
  await page.goto(`${server.address}#${ROLLED_BACK}`);
  await page.locator('h2').waitFor();
  const text = await page.locator('article').innerText();
  expect(text).toContain(
    'disk1 failed at “mirror disks”. All 3 disks are where they were; nothing is left behind.',
  );
  expect(text).toContain('job of disk disk1 failed: No space left on device');
  // QEMU's words are in the message already.
  expect(await page.locator('.telling').innerText()).not.toContain('QEMU answered');
  expect(text).toMatch(/What was undone[\s\S]*The mirrors were cancelled/);
  expect(await page.locator('.line svg text').allTextContents()).toContain('“No space left on device”');
});

test('the slider goes back to any moment, and the address names it', async () => {
  await page.goto(`${server.address}#${ROLLED_BACK}`);
  await page.locator('h2').waitFor();
  const pill = page.locator('.pill');
  expect(await pill.innerText()).toBe('Rolled back');
  await page.getByLabel('Moment of the saga').focus();
  await page.keyboard.press('Home');
  expect(await pill.innerText()).toBe('Under way');
  expect(await page.locator('.step.r-ahead').count()).toBeGreaterThan(10);
  const address = page.url();
  expect(address).toMatch(new RegExp(`#${ROLLED_BACK}@\\d+$`));
  const other = await openPage();
  await other.goto(address);
  await other.locator('h2').waitFor();
  expect(await other.locator('.pill').innerText()).toBe('Under way');
  await other.close();
  await page.keyboard.press('End');
  expect(await pill.innerText()).toBe('Rolled back');
});

test('news of a saga reach an open page by themselves, and a button reaches the saga', async () => {
  await page.goto(`${server.address}#${WAITS}`);
  await page.getByRole('button', { name: 'Roll back …' }).click();
  expect(await page.locator('.confirm').innerText()).toContain('every disk stays on its old image');
  await page.getByRole('button', { name: 'Roll back', exact: true }).click();
  await expect.poll(() => page.locator('.answer').innerText()).toContain('Asked');
  expect(journal.records(WAITS)).toContainEqual(expect.objectContaining({ kind: 'signal', step: 'abort' }));
  const first = await page.locator('nav li').count();
  addSaga(journal, 'brand-new', 'just begun');
  await expect.poll(() => page.locator('nav li').count()).toBe(first + 1);
});

test('what dead sagas left behind is found on request, with what --fix would do, and nothing is removed', async () => {
  await page.goto(server.address);
  await page.getByRole('button', { name: 'Look for what dead sagas left behind' }).click();
  await page.locator('.doctor li').first().waitFor();
  const told = await page.locator('.doctor').innerText();
  expect(told).toContain(NEEDS_RECOVERY);
  expect(told).toMatch(/--fix leaves it/);
  expect(told).toContain('blocksaga resume');
});

test('the whole page can be used with the keyboard, and says to ears what the drawing shows', async () => {
  await page.goto(server.address);
  await page.getByRole('link', { name: /db-1/ }).focus();
  await page.keyboard.press('Enter');
  await page.locator('h2').waitFor();
  await page.keyboard.press('Tab');
  const focused = () =>
    page.evaluate(
      () => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent,
    );
  const reached = new Set<string | null | undefined>();
  for (let at = 0; at < 12; at += 1) {
    reached.add(await focused());
    await page.keyboard.press('Tab');
  }
  expect([...reached].join('\n')).toContain('Moment of the saga');
  expect(await page.locator('.line svg').getAttribute('aria-hidden')).toBe('true');
  expect(await page.locator('.steps li').count()).toBeGreaterThan(10);
  expect(await page.locator('.for-ears li').allInnerTexts()).toContainEqual(
    expect.stringMatching(/disk1: the guest is on \/images\/disk1\.qcow2/),
  );
});

describe('on a phone', () => {
  test('nothing is wider than the screen but what can be pushed', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    for (const saga of [ROLLED_BACK, OF_32]) {
      await page.goto(`${server.address}#${saga}`);
      await page.locator('h2').waitFor();
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    }
  });
});

describe('what comes from elsewhere', () => {
  test.each(['<img src=x onerror="window.hurt=1">', '"><script>window.hurt=1</script>', 'a\u202eb'])(
    'stays text: %j',
    async words => {
      const hostile = await busyJournal();
      const told = JSON.stringify(words).slice(1, -1);
      const other = await serve(
        changed(hostile.journal, text => text.replaceAll('disk1', told).replaceAll('No space left', told)),
      );
      await page.goto(`${other.address}#${ROLLED_BACK}`);
      await page.locator('h2').waitFor();
      expect(await page.evaluate(() => 'hurt' in window)).toBe(false);
      expect(await page.locator('article img, article script').count()).toBe(0);
      expect(await page.locator('article').innerText()).not.toContain('\u202e');
      await other.close();
    },
  );

  test('no page of another origin may look, ask, or frame it', async () => {
    await page.goto(server.address);
    const foreign = await browser.newPage();
    await foreign.route('http://foreign.test/**', route =>
      route.fulfill({ contentType: 'text/html', body: '<h1>foreign</h1>' }),
    );
    await foreign.goto('http://foreign.test/');
    const seen = await foreign.evaluate(async address => {
      const tries = [
        () => fetch(`${address}news`).then(answer => answer.text()),
        () =>
          fetch(`${address}ask/8c4e1y6t0s9mb`, { method: 'POST', body: '{"signal":"pivot"}' }).then(answer =>
            answer.text(),
          ),
      ];
      const answers = await Promise.allSettled(tries.map(each => each()));
      return answers.map(({ status }) => status);
    }, server.address);
    expect(seen).toEqual(['rejected', 'rejected']);
    expect(journal.records(WAITS).filter(({ step }) => step === 'pivot')).toEqual([]);
    await foreign.close();
  });

  test('without the secret there is nothing', async () => {
    const answer = await page.request.get(new URL(server.address).origin);
    expect(answer.status()).toBe(404);
  });
});

describe('several journals', () => {
  test('are one list in which each saga says which it is of, and a button reaches the right one', async () => {
    const [web, mail] = [await busyJournal(), await busyJournal()];
    const hostile = '<img src=x onerror="window.hurt=1">\u202e/@#?&';
    const several = await serveInspect({
      ...{ journal: web.journal, name: 'web-host', processes: { isAlive: () => true }, clock: systemClock },
      beside: [{ journal: mail.journal, name: hostile, file: '/srv/mail/journal.db' }],
    });
    await page.goto(several.address);
    await expect.poll(() => page.locator('nav li').count()).toBe(12);
    expect(await page.locator('nav li .of').count()).toBe(12);
    await page.getByLabel(/Search sagas/).fill('onerror waits');
    await expect.poll(() => page.locator('nav li').count()).toBe(1);
    await page.locator('nav li a').click();
    await page.locator('h2').waitFor();
    expect(await page.locator('.head .facts').innerText()).toContain('onerror');
    expect(await page.locator('.telling').innerText()).toContain('--journal /srv/mail/journal.db');
    await page.getByRole('button', { name: 'Roll back …' }).click();
    await page.getByRole('button', { name: 'Roll back', exact: true }).click();
    await expect.poll(() => page.locator('.answer').innerText()).toContain('Asked');
    const asked = ({ journal: of }: typeof web) => of.records(WAITS).some(({ step }) => step === 'abort');
    expect([asked(web), asked(mail)]).toEqual([false, true]);
    await page.reload();
    await page.locator('h2').waitFor();
    expect(await page.locator('.head .facts').innerText()).toContain('onerror');
    expect(await page.evaluate(() => 'hurt' in window)).toBe(false);
    await several.close();
  });
});

test('a saved saga opens without a network and can be replayed', async () => {
  const html = await (await fetch(`${server.address}saved/${ROLLED_BACK}`)).text();
  const alone = await browser.newContext({ offline: true });
  const saved = await alone.newPage();
  const wrong: string[] = [];
  saved.on('console', message => wrong.push(message.text()));
  saved.on('pageerror', error => wrong.push(error.message));
  const folder = mkdtempSync(join(tmpdir(), 'blocksaga-saved-'));
  writeFileSync(join(folder, 'saga.html'), html);
  await saved.goto(`file://${folder}/saga.html`);
  await saved.locator('h2').waitFor();
  expect(await saved.locator('.pill').innerText()).toBe('Rolled back');
  expect(await saved.locator('.railway .box-on').count()).toBe(3);
  expect(wrong).toEqual([]);
  await alone.close();
  rmSync(folder, { recursive: true });
});

test('four times the sagas cost a hand no more to draw, and at most four times as much to search', async () => {
  for (let at = 0; at < 500; at += 1) addSaga(journal, `many${at}`, `vm-${at}`);
  const older = page.getByRole('button', { name: 'Older sagas' });
  const listed = () => page.locator('nav .quiet').allTextContents();
  await page.goto(`${server.address}#${OF_32}`);
  await page.locator('h2').waitFor();
  await older.waitFor();
  const few = await work();
  while (await older.isVisible()) {
    const before = await listed();
    await older.click();
    await expect.poll(listed).not.toEqual(before);
  }
  await expect.poll(() => page.locator('nav li').count()).toBe(120);
  const many = await work();
  expect(many.slider.calls).toBeLessThan(1.2 * few.slider.calls);
  expect(many.slider.changes).toBeLessThan(1.2 * few.slider.changes);
  expect(many.search.calls).toBeLessThan(4 * few.search.calls);
  expect(many.search.changes).toBeLessThan(1.2 * few.search.changes);
  expect(few.slider.changes * few.search.changes, 'it was seen at all').toBeGreaterThan(0);

  async function work() {
    return {
      slider: await workOf(page, 'input[type=range]', ['3', '9', '14', '6', '20']),
      search: await workOf(page, 'input[type=search]', ['v', 'vm-4', 'vm-49', 'archive', '']),
    };
  }
});

async function openPage(): Promise<Page> {
  const opened = await watchedPage(browser, strange, { width: 1280, height: 900 });
  opened.on('request', asked => {
    if (!asked.url().startsWith('http://127.0.0.1:') && !asked.url().startsWith('data:'))
      strange.push(asked.url());
  });
  return opened;
}

function serve(of: Journal): Promise<InspectServer> {
  return serveInspect({ journal: of, processes: { isAlive: () => true }, clock: systemClock });
}

/** The same journal whose rows and records say other words. */
function changed(of: Journal, change: (text: string) => string): Journal {
  const told = <T>(value: T): T => JSON.parse(change(JSON.stringify(value)));
  return {
    ...of,
    sagas: filter => of.sagas(filter).map(told),
    saga: id => told(of.saga(id) ?? undefined),
    records: id => of.records(id).map(told),
  };
}

/** One more that has been rolled back. */
function addSaga(to: MemoryJournal, id: string, vm: string): void {
  const row = to.saga(COMMITTED);
  if (row === undefined || row.result === null) throw new Error('there is one to be like');
  const { operation, planVersion, address, request, plan, result } = row;
  const lease = to.begin({ id, vm, operation, planVersion, address, request, plan });
  void to.end(lease, 'committed', result);
}
