/** Who gets what of the page's server: every check with what it answered, printed as a table. */
import { request } from 'node:http';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type InspectServer, serveInspect } from '../../src/inspect/server.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { systemClock } from '../../src/qmp/clock.ts';

let server: InspectServer;
let place: URL;
const table: string[] = [];

beforeAll(async () => {
  server = await serveInspect({
    ...{ journal: memoryJournal(), processes: { isAlive: () => true }, clock: systemClock },
    files: new Map([['page.html', { type: 'text/html', text: '<main></main>' }]]),
  });
  place = new URL(server.address);
});
afterAll(async () => {
  await server.close();
  console.log(`What the page's server answers:\n${table.join('\n')}`);
});

interface Asked {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Below the secret unless the path begins with a slash. */
function ask({ path = '', method = 'GET', headers = {} }: Asked) {
  const whole = path.startsWith('/') ? path : `${place.pathname}${path}`;
  return new Promise<{
    readonly status: number;
    readonly headers: NodeJS.Dict<string | string[]>;
    readonly text: string;
  }>((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: place.port, path: whole, method, headers }, answer => {
      let text = '';
      answer.on('data', part => {
        text += String(part);
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
    });
    asked.on('error', reject);
    asked.end(method === 'POST' ? '{"signal":"abort"}' : undefined);
  });
}

const own = () => ({ origin: place.origin });

test.each<[string, () => Asked, number]>([
  ['the page, with its secret', () => ({}), 200],
  ['without the secret', () => ({ path: '/' }), 404],
  ['with another secret', () => ({ path: `/${'0'.repeat(32)}/` }), 404],
  ['a path that leads out of it', () => ({ path: '../../etc/passwd' }), 404],
  ['a file that is not the page’s', () => ({ path: 'package.json' }), 404],
  ['by the name of another host', () => ({ headers: { host: 'evil.test' } }), 403],
  ['by this name, on another port', () => ({ headers: { host: '127.0.0.1:1' } }), 403],
  ['from a page of another origin', () => ({ path: 'news', headers: { origin: 'http://evil.test' } }), 403],
  ['from a frame or a picture of another site', () => ({ headers: { 'sec-fetch-site': 'cross-site' } }), 403],
  ['a request to a saga without an origin', () => ({ path: 'ask/x', method: 'POST' }), 403],
  [
    'a request to a saga from another port',
    () => ({ path: 'ask/x', method: 'POST', headers: { origin: 'http://127.0.0.1:1' } }),
    403,
  ],
  ['a request of the page’s own to no saga', () => ({ path: 'ask/x', method: 'POST', headers: own() }), 404],
  ['PUT, DELETE and what else there is', () => ({ method: 'DELETE' }), 405],
  ['Stately’s page where it was not asked for', () => ({ path: 'stately' }), 404],
])('%s', async (what, asked, status) => {
  const answer = await ask(asked());
  table.push(`  ${String(answer.status)}  ${what}`);
  expect(answer.status).toBe(status);
  if (status !== 200) expect(answer.text).not.toContain('<main>');
});

test('every answer has a policy that loads nothing from elsewhere and runs nothing that is not a file of ours', async () => {
  for (const asked of [{}, { path: '/' }, { path: 'doctor' }, { path: 'wire/x' }, { path: 'saga/none' }]) {
    const { headers } = await ask(asked);
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
  }
  table.push("  yes  each answer: default-src 'none', script-src 'self', no frames, nosniff, no referrer");
});

test('it listens on no address but 127.0.0.1', async () => {
  const others = Object.values(networkInterfaces())
    .flatMap(found => found ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4')
    .map(({ address }) => address);
  for (const address of others) {
    const opened = await new Promise<boolean>(resolve => {
      const socket = connect(Number(place.port), address);
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    expect(opened).toBe(false);
  }
  table.push(`  no   on ${others.length === 0 ? 'any other address: there is none' : others.join(', ')}`);
});
