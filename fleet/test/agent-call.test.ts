/** How the endpoint asks an agent: to which addresses its token is sent, and that no one else is told the token. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Agent, startAgent } from '../../src/agent/agent.ts';
import { guestsHere } from '../../src/agent/guests-here.ts';
import { agentAddress, callWith } from '../src/agent-call.ts';

const TOKEN = 'e5'.repeat(24);
const MAIN = join(import.meta.dirname, '../src/main.ts');

let folder: string;
let agent: Agent;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'blocksaga-call-'));
  agent = await startAgent({
    ...{ host: 'h1', journal: join(folder, 'journal.db'), token: TOKEN, log: () => undefined },
    listen: { host: '127.0.0.1', port: 0 },
    guests: guestsHere({ named: new Map() }),
  });
});
after(async () => {
  await agent.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('an agent', () => {
  test('is asked by the object of a guest, which never tells the token', async () => {
    assert.deepEqual(await callWith({ token: TOKEN })(agent.url, 'GET', '/sagas'), { sagas: [] });
    const wrong = callWith({ token: 'f'.repeat(48) })(agent.url, 'GET', '/sagas');
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
  for (const text of [
    'http://127.0.0.1:7171',
    'http://localhost:7171/',
    'http://[::1]:7171',
    'https://host7.example:7171',
  ])
    test(`may be ${text}`, () => assert.equal(agentAddress(text), text.replace(/\/$/, '')));

  for (const text of [
    'http://evil.example:7171',
    'http://127.0.0.1.evil.example:7171',
    'http://localhost.evil.example',
    'http://127.0.0.1@evil.example:7171',
    'http://user:password@127.0.0.1:7171',
    'http://192.168.0.1:7171',
    'http://0.0.0.0:7171',
    'ftp://127.0.0.1:7171',
    'https://127.0.0.1:7171/elsewhere',
    'https://user:password@host7.example',
    'http://127.0.0.1:7171/elsewhere',
    '//127.0.0.1:7171',
    '',
    7171,
    null,
  ]) {
    test(`may not be ${JSON.stringify(text)}, and is sent no token`, async () => {
      assert.throws(() => agentAddress(text), /sent to no other machine in clear/);
      await assert.rejects(
        callWith({ token: TOKEN })(text as string, 'GET', '/sagas'),
        /sent to no other machine in clear/,
      );
    });
  }
});

describe('the endpoint', () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', timeout: 60_000 });

  test('needs a token file that is its owner’s alone, and never tells what is in it', () => {
    const missing = run();
    assert.deepEqual([missing.status, /--token-file FILE is missing/.test(missing.stderr)], [2, true]);
    const file = join(folder, 'token');
    writeFileSync(file, TOKEN);
    chmodSync(file, 0o644);
    const { status, stdout, stderr } = run('--token-file', file);
    assert.equal(status, 2);
    assert.match(stderr, /can be reached by other users/);
    assert.ok(!`${stdout}${stderr}`.includes(TOKEN));
  });

  test('listens on no other address than loopback without TLS and the identity of its Restate', () => {
    const file = join(folder, 'made');
    for (const args of [
      ['--listen', '0.0.0.0:9080'],
      ['--listen', '10.0.0.7:9080', '--identity-key', 'publickeyv1_x'],
    ]) {
      const { status, stderr } = run('--token-file', file, ...args);
      assert.equal(status, 2, stderr);
      assert.match(stderr, /give --identity-key, --tls-cert and --tls-key/);
    }
  });
});
