/** Who may ask an agent, and which files have its token: an agent without a QEMU, and requests as another program would send them. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type Agent, startAgent } from '../src/agent.ts';
import { agentAddress, callWith } from '../src/agent-call.ts';
import { tokenIn } from '../src/token-file.ts';

const TOKEN = 'e5'.repeat(24);
const MAIN = join(import.meta.dirname, '../src/main.ts');

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'blocksaga-token-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

describe('an agent', () => {
  let agent: Agent;
  before(async () => {
    agent = await startAgent({
      ...{ host: 'h1', journal: join(folder, 'journal.db'), port: 0, token: TOKEN },
      guests: new Map([['web', join(folder, 'none.qmp')]]),
      log: () => undefined,
    });
  });
  after(() => agent.close());

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
    assert.equal((await ask('/status', { authorization })).status, 200);
    const { port } = new URL(agent.url);
    assert.equal((await ask('/status', { authorization, host: `localhost:${port}` })).status, 200);
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
      assert.equal(refused.status, 401);
      assert.match(refused.text, /Authorization: Bearer TOKEN.*--token-file/);
      assert.equal(refused.headers['www-authenticate'], 'Bearer realm="blocksaga-agent"');
      for (const path of ['/sagas', '/nothing', '/guests/none/copy', '/%zz'])
        assert.deepEqual((await ask(path, headers)).text, refused.text, path);
    });
  }

  test('reads nothing of who has no token, and does nothing', async () => {
    const type = { 'content-type': 'application/json' };
    const refused = await ask('/groups/g', type, '{ no JSON');
    assert.equal(refused.status, 401);
    const disks = [{ disk: 'disk0', overlay: '/o.qcow2' }];
    const members = [{ vm: 'web', disks }];
    assert.equal((await ask('/groups/g', type, JSON.stringify({ members }))).status, 401);
    assert.equal((await ask('/sagas', { authorization })).text, '{"sagas":[]}\n');
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
      assert.equal(status, 403);
      assert.match(text, why);
    });
  }

  test('tells what doctor finds, also of a guest whose QEMU is silent', async () => {
    assert.deepEqual(JSON.parse((await ask('/doctor', { authorization })).text), { findings: [] });
    const { status, text } = await ask('/doctor/web', { authorization });
    assert.equal(status, 200, text);
    const [found] = (JSON.parse(text) as { findings: readonly Record<string, unknown>[] }).findings;
    assert.deepEqual([found?.['kind'], found?.['removable']], ['qemu', false]);
    assert.match(String(found?.['why']), /resume --offline/);
  });

  test('is asked by the object of a guest, which never tells the token', async () => {
    assert.deepEqual(await callWith(TOKEN)(agent.url, 'GET', '/sagas'), { sagas: [] });
    const wrong = callWith('f'.repeat(48))(agent.url, 'GET', '/sagas');
    await assert.rejects(wrong, (error: Error) => {
      assert.match(error.message, /Authorization: Bearer TOKEN/);
      assert.doesNotMatch(error.message, /ffff/);
      // A saga under way is looked at again when the token has been put right.
      assert.notEqual(error.name, 'TerminalError');
      return true;
    });
  });
});

describe('the address of an agent', () => {
  for (const text of ['http://127.0.0.1:7171', 'http://localhost:7171/', 'http://[::1]:7171'])
    test(`may be ${text}`, () => assert.equal(agentAddress(text), text.replace(/\/$/, '')));

  for (const text of [
    'http://evil.example:7171',
    'http://127.0.0.1.evil.example:7171',
    'http://localhost.evil.example',
    'http://127.0.0.1@evil.example:7171',
    'http://user:password@127.0.0.1:7171',
    'http://192.168.0.1:7171',
    'http://0.0.0.0:7171',
    'https://127.0.0.1:7171',
    'http://127.0.0.1:7171/elsewhere',
    '//127.0.0.1:7171',
    '',
    7171,
    null,
  ]) {
    test(`may not be ${JSON.stringify(text)}, and is sent no token`, async () => {
      assert.throws(() => agentAddress(text), /sent to no other machine/);
      await assert.rejects(callWith(TOKEN)(text as string, 'GET', '/sagas'), /sent to no other machine/);
    });
  }
});

describe('a token file', () => {
  let file: string;
  let count = 0;
  beforeEach(() => {
    count += 1;
    file = join(folder, `token${count}`);
  });

  test('is made for its owner alone where it is not there, and is the same ever after', () => {
    const umask = process.umask(0);
    try {
      const token = tokenIn(file);
      assert.match(token, /^[0-9a-f]{48}$/);
      assert.equal(statSync(file).mode & 0o777, 0o600);
      assert.equal(tokenIn(file), token);
      assert.equal(readFileSync(file, 'utf8'), `${token}\n`);
      assert.notEqual(tokenIn(`${file}b`), token);
      assert.deepEqual(
        readdirSync(folder).filter(name => name.startsWith(`token${count}`)),
        [`token${count}`, `token${count}b`],
      );
    } finally {
      process.umask(umask);
    }
  });

  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o644, 0o666]) {
    test(`is refused with mode ${mode.toString(8)}`, () => {
      writeFileSync(file, TOKEN);
      chmodSync(file, mode);
      assert.throws(() => tokenIn(file), /can be reached by other users/);
    });
  }

  test('is refused where it is a link, and nothing is made behind one that leads nowhere', () => {
    writeFileSync(file, TOKEN, { mode: 0o600 });
    symlinkSync(file, `${file}.link`);
    assert.throws(() => tokenIn(`${file}.link`), /symbolic link/);
    symlinkSync(`${file}.none`, `${file}.dangling`);
    assert.throws(() => tokenIn(`${file}.dangling`), /symbolic link/);
    assert.ok(!existsSync(`${file}.none`));
  });

  const isRoot = process.geteuid?.() === 0;
  test('is refused where it belongs to another user', {
    skip: isRoot ? false : 'only root gives files away',
  }, () => {
    writeFileSync(file, TOKEN, { mode: 0o600 });
    chownSync(file, 65_534, 65_534);
    assert.throws(() => tokenIn(file), /belongs to user 65534/);
  });

  test('is refused where it is no file', () => {
    assert.throws(() => tokenIn(folder), /no regular file/);
    execFileSync('mkfifo', ['-m', '600', file]);
    assert.throws(() => tokenIn(file), /no regular file/);
  });

  for (const [what, text, why] of [
    ['nothing', '', /too few/],
    ['a short token', 'e5'.repeat(15), /too few/],
    ['a short token and a line', `${'e5'.repeat(15)}e\n`, /too few/],
    ['spaces', ' '.repeat(40), /one line/],
    ['two lines', `${TOKEN}\n${TOKEN}\n`, /one line/],
    ['a header', `${TOKEN}\r\nx: y`, /one line/],
    ['no end', 'e'.repeat(5000), /one line/],
  ] as const) {
    test(`is refused with ${what} in it, without telling what`, () => {
      writeFileSync(file, text, { mode: 0o600 });
      assert.throws(
        () => tokenIn(file),
        (error: Error) => why.test(error.message) && !error.message.includes('e5e5'),
      );
    });
  }

  test('must be named, for the agent and for the endpoint', () => {
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', timeout: 20_000 });
    for (const args of [['agent', '--journal', join(folder, 'j.db')], ['endpoint']]) {
      const { status, stderr } = run(...args);
      assert.equal(status, 2, stderr);
      assert.match(stderr, /--token-file FILE is missing/);
    }
    writeFileSync(file, TOKEN);
    chmodSync(file, 0o644);
    const { status, stdout, stderr } = run('endpoint', '--token-file', file);
    assert.equal(status, 2);
    assert.match(stderr, /can be reached by other users/);
    assert.ok(!`${stdout}${stderr}`.includes(TOKEN));
  });
});
