/**
 * A fleet whose parts speak TLS: Restate to the endpoint, the endpoint to the agents, and these to each other, with certificates of one
 * authority which the agents ask for too. A certificate that is wrong is refused with a word that says why. Made here, by openssl.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Agent, startAgent } from '../../src/agent/agent.ts';
import { guestsHere } from '../../src/agent/guests-here.ts';
import { Authority, type Certified } from '../../test/agent/certificates.ts';
import { callWith } from '../src/agent-call.ts';
import { type Fleet, startFleet } from './parts.ts';

const TOKEN = 'e5'.repeat(24);
const MAX_BLACKOUT_MS = 20_000; // long enough for a machine under any load
const authority = new Authority('fleet');
const stranger = new Authority('stranger');
const good = authority.sign('good');
after(() => {
  for (const each of [authority, stranger]) each[Symbol.dispose]();
});

describe('a fleet by TLS', () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet(['web'], ['db'], { ca: authority.file, ...good });
  });
  after(() => fleet[Symbol.asyncDispose]());

  test('takes an instant of guests on two hosts', async () => {
    const members = ['web', 'db'].map(vm => ({
      ...{ vm, maxBlackoutMs: MAX_BLACKOUT_MS },
      disks: [{ disk: 'dev0', overlay: join(fleet.vms.get(vm)?.directory ?? '', 'i1.qcow2') }],
    }));
    const { body } = await fleet.run('instant', 'i1', { members });
    assert.equal(body['state'], 'committed', JSON.stringify(body));
    for (const vm of fleet.vms.values()) {
      const [block] = (await vm.witness.execute('query-block')) as readonly {
        readonly inserted: { readonly file: string };
      }[];
      assert.equal(block?.inserted.file, join(vm.directory, 'i1.qcow2'));
    }
  });

  test('has no host join whose certificate is of another authority, and says so', async () => {
    const agent = await agentWith(stranger.sign('foreign'), join(authority.folder, 'foreign.db'));
    try {
      const { status, body } = await fleet.ask('fleet/hosts/join', agent.url);
      assert.ok(status >= 400);
      assert.match(String(body['message']), /no TLS with the agent at .* no authority that is known here/);
    } finally {
      await agent.close();
    }
  });
});

describe('the endpoint, of an agent', () => {
  const REFUSED: readonly (readonly [string, () => Certified, RegExp])[] = [
    ['by another authority', () => stranger.sign('other'), /no authority that is known here: --agent-ca/],
    ['that has expired', () => authority.sign('old', { days: -1 }), /has expired \[CERT_HAS_EXPIRED\]/],
    [
      'for another name',
      () => authority.sign('elsewhere', { names: 'DNS:h9.example' }),
      /is for another name \(DNS:h9\.example\) \[ERR_TLS_CERT_ALTNAME_INVALID\]/,
    ],
  ];
  for (const [at, [which, certified, words]] of REFUSED.entries())
    test(`refuses a certificate ${which}, and says so`, async () => {
      const agent = await agentWith(certified(), join(authority.folder, `journal${at}.db`));
      const [cert, key] = [good.certificate, good.key].map(file => readFileSync(file, 'utf8'));
      const tls = { ca: authority.pem, cert: cert ?? '', key: key ?? '' };
      try {
        await assert.rejects(callWith({ token: TOKEN, tls })(agent.url, 'GET', '/status'), (error: Error) => {
          assert.match(error.message, words);
          // A saga under way is looked at again when the certificate has been put right.
          assert.notEqual(error.name, 'TerminalError');
          return true;
        });
      } finally {
        await agent.close();
      }
    });

  test('is told of its own certificate where that is refused', async () => {
    const log: object[] = [];
    const agent = await agentWith(good, join(authority.folder, 'own.db'), log);
    try {
      const call = callWith({ token: TOKEN, tls: { ca: authority.pem } });
      await assert.rejects(call(agent.url, 'GET', '/status'), /it has closed the connection.*--agent-cert/);
      assert.match(JSON.stringify(log), /the client shows no certificate/);
    } finally {
      await agent.close();
    }
  });
});

function agentWith({ certificate, key }: Certified, journal: string, log: object[] = []): Promise<Agent> {
  return startAgent({
    ...{ host: 'h3', journal, token: TOKEN, log: line => void log.push(line) },
    listen: { host: '127.0.0.1', port: 0, tls: { certificate, key, clientCa: authority.file } },
    guests: guestsHere({ named: new Map() }),
  });
}
