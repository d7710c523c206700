/** The page's server over a journal of the simulator: what it gives, what it refuses, what it passes on. */
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { busyJournal } from '../../scripts/picture-stories.ts';
import { type InspectServer, serveInspect } from '../../src/inspect/server.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { systemClock } from '../../src/qmp/clock.ts';

/** As the build makes them, by their names. */
const FILES = new Map([
  ['page.html', { type: 'text/html; charset=utf-8', text: '<script src="page.js" defer></script>' }],
  ['page.js', { type: 'text/javascript; charset=utf-8', text: 'show("<!-- not a comment -->")' }],
  ['page.css', { type: 'text/css; charset=utf-8', text: 'main{color:red}' }],
]);
const ROLLED_BACK = '7hw0c3zq8n2dk';
const WAITS = '8c4e1y6t0s9mb';

let server: InspectServer;
let journal: Journal;

beforeAll(async () => {
  ({ journal } = await busyJournal());
  server = await serve(journal);
});

afterAll(() => server.close());

test('it listens on this machine only, behind a secret that is another each time', async () => {
  expect(server.address).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{48}\/$/);
  const other = await serve(journal);
  expect(other.address.split('/')[3]).not.toBe(server.address.split('/')[3]);
  await other.close();
});

test('it gives the page, and no file besides', async () => {
  expect(await (await fetch(server.address)).text()).toContain('<script src="page.js"');
  expect((await fetch(`${server.address}page.js`)).headers.get('content-type')).toContain('text/javascript');
  for (const path of [
    'package.json',
    '../package.json',
    '..%2f..%2fpackage.json',
    'page.js.map',
    'page.html/x',
  ]) {
    expect((await fetch(server.address + path)).ok && path !== 'page.html/x').toBe(false);
  }
});

test('a name that leads here from elsewhere gives nothing', async () => {
  const status = await new Promise<number>(resolve => {
    request(server.address, { headers: { host: 'rebound.example' } }, answer =>
      resolve(answer.statusCode ?? 0),
    ).end();
  });
  expect(status).toBe(403);
});

test('those that need a person are on top of the list, with the command to type', async () => {
  const [list] = await firstNews('news');
  const sagas = JSON.parse(list ?? '') as { label: string; command: string | null }[];
  expect(sagas.slice(0, 2)).toMatchObject([
    {
      ...{ label: 'needs recovery', command: 'blocksaga resume --offline 0vd5r8m2j6x1a', others: 1 },
      purpose: 'If QEMU has ended, this tells which images to boot from:',
    },
    { label: 'waits', command: `blocksaga pivot ${WAITS}`, purpose: 'Switch all disks:', others: 2 },
  ]);
  expect(sagas.slice(2).every(({ command }) => command === null)).toBe(true);
});

test('an unknown saga is refused in words', async () => {
  const answer = await fetch(`${server.address}saga/nothing`);
  expect(answer.status).toBe(404);
  expect(await answer.json()).toMatchObject({ refused: { code: 'SAGA_UNKNOWN' } });
});

test('a saga is saved as one file that runs by itself and fetches nothing', async () => {
  const answer = await fetch(`${server.address}saved/${ROLLED_BACK}`);
  const html = await answer.text();
  expect(answer.headers.get('content-disposition')).toContain(`blocksaga-${ROLLED_BACK}.html`);
  expect(html).not.toMatch(/<(?:link|img|iframe)|<script[^>]*src=/);
  expect(html).toMatch(/default-src 'none'; script-src 'sha256-/);
  expect(html.match(/<script/g)).toHaveLength(3);
});

describe('what a button asks', () => {
  const ask = (saga: string, body: unknown, origin = new URL(server.address).origin) =>
    fetch(`${server.address}ask/${saga}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { origin },
    });

  test('goes to the saga through its journal', async () => {
    expect((await ask(WAITS, { signal: 'setSpeed', value: 1_048_576 })).status).toBe(200);
    expect(journal.records(WAITS).at(-1)).toMatchObject({
      kind: 'signal',
      step: 'setSpeed',
      body: { fromElsewhere: true, value: 1_048_576 },
    });
  });

  test.each([
    [{ signal: 'pivot' }, ROLLED_BACK],
    [{ signal: 'explode' }, WAITS],
    [{ signal: 'setSpeed', value: -1 }, WAITS],
    [{ signal: 'setSpeed', value: 'fast' }, WAITS],
    [{}, WAITS],
    ['x'.repeat(5000), WAITS],
  ])('is refused where it makes no sense: %j to %s', async (body, saga) => {
    const before = journal.records(saga).length;
    expect((await ask(saga, body)).status).toBe(409);
    expect(journal.records(saga)).toHaveLength(before);
  });

  test('is refused from a page of another origin', async () => {
    const before = journal.records(WAITS).length;
    expect((await ask(WAITS, { signal: 'abort' }, 'http://evil.example')).status).toBe(403);
    expect(journal.records(WAITS)).toHaveLength(before);
  });
});

function serve(of: Journal): Promise<InspectServer> {
  return serveInspect({ journal: of, processes: { isAlive: () => true }, clock: systemClock, files: FILES });
}

/** The data of the first events of a stream. */
async function firstNews(path: string): Promise<readonly string[]> {
  const answer = await fetch(server.address + path);
  const reader = answer.body?.getReader();
  const chunk = await reader?.read();
  await reader?.cancel();
  const text = new TextDecoder().decode(chunk?.value);
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => data);
}
