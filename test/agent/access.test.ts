/** Who may ask an agent, without a QEMU, and by requests as another program would send them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Agent, startAgent } from '../../src/agent/agent.ts';
import { guestsHere } from '../../src/agent/guests-here.ts';

const TOKEN = 'e5'.repeat(24);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'blocksaga-agent-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('an agent', () => {
  let agent: Agent;
  beforeAll(async () => {
    agent = await startAgent({
      ...{ host: 'h1', journal: join(folder, 'journal.db'), token: TOKEN },
      listen: { host: '127.0.0.1', port: 0 },
      guests: guestsHere({ named: new Map([['web', join(folder, 'none.qmp')]]) }),
      log: () => undefined,
    });
  });
  afterAll(() => agent.close());

  interface Told {
    readonly status: number | undefined;
    readonly headers: IncomingHttpHeaders;
    readonly text: string;
  }

  /** With the very headers that are given; `fetch` sets some by itself. */
  function ask(path: string, headers: OutgoingHttpHeaders, body?: string): Promise<Told> {
    return new Promise((resolve, reject) => {
      const asked = request(`${agent.url}${path}`, { method: body === undefined ? 'GET' : 'POST', headers });
      asked.on('error', reject).on('response', response => {
        let text = '';
        response.setEncoding('utf8').on('data', chunk => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
      });
      asked.end(body);
    });
  }

  const authorization = `Bearer ${TOKEN}`;

  test('answers who has the token', async () => {
    expect((await ask('/status', { authorization })).status).toBe(200);
    const { port } = new URL(agent.url);
    expect((await ask('/status', { authorization, host: `localhost:${port}` })).status).toBe(200);
  });

  const UNAUTHORIZED: readonly [how: string, OutgoingHttpHeaders][] = [
    ['no token', {}],
    ['another token', { authorization: `Bearer ${'e6'.repeat(24)}` }],
    ['the beginning of the token', { authorization: `Bearer ${TOKEN.slice(0, -1)}` }],
    ['more than the token', { authorization: `${authorization}0` }],
    ['an empty token', { authorization: 'Bearer ' }],
    ['the token alone', { authorization: TOKEN }],
    ['the token by another scheme', { authorization: `Basic ${TOKEN}` }],
  ];

  for (const [how, headers] of UNAUTHORIZED) {
    test(`says to who sends ${how} what to send, and nothing of what is there`, async () => {
      const refused = await ask('/status', headers);
      expect(refused.status).toBe(401);
      expect(refused.text).toMatch(/Authorization: Bearer TOKEN.*--token-file/);
      expect(refused.headers['www-authenticate']).toBe('Bearer realm="blocksaga-agent"');
      for (const path of ['/sagas', '/nothing', '/guests/none/copy', '/%zz'])
        expect((await ask(path, headers)).text, path).toBe(refused.text);
    });
  }

  test('reads nothing of who has no token, and does nothing', async () => {
    const type = { 'content-type': 'application/json' };
    const refused = await ask('/groups/g', type, '{ no JSON');
    expect(refused.status).toBe(401);
    const disks = [{ disk: 'disk0', overlay: '/o.qcow2' }];
    const members = [{ vm: 'web', disks }];
    expect((await ask('/groups/g', type, JSON.stringify({ members }))).status).toBe(401);
    expect((await ask('/sagas', { authorization })).text).toBe('{"sagas":[]}\n');
  });

  const FORBIDDEN: readonly [how: string, OutgoingHttpHeaders, RegExp][] = [
    ['from a page', { origin: 'http://evil.example' }, /Origin/],
    ['from a page without an origin', { origin: 'null' }, /Origin/],
    ['from a page at the same address', { origin: 'http://localhost' }, /Origin/],
    ['under a name of another site', { host: 'evil.example' }, /Host/],
    ['under the name of another port', { host: '127.0.0.1:1' }, /Host/],
    ['under a name that only begins as its own', { host: '127.0.0.1.evil.example' }, /Host/],
  ];

  for (const [how, headers, why] of FORBIDDEN) {
    test(`refuses what comes ${how}, also with the token`, async () => {
      const { status, text } = await ask('/status', { authorization, ...headers });
      expect(status).toBe(403);
      expect(text).toMatch(why);
    });
  }

  test('tells what doctor finds, also of a guest whose QEMU is silent', async () => {
    expect(JSON.parse((await ask('/doctor', { authorization })).text)).toEqual({ findings: [] });
    const { status, text } = await ask('/doctor/web', { authorization });
    expect(status, text).toBe(200);
    const [found] = (JSON.parse(text) as { findings: readonly Record<string, unknown>[] }).findings;
    expect(found).toMatchObject({ kind: 'qemu', removable: false });
    expect(String(found?.['why'])).toMatch(/resume --offline/);
  });
});
