/** Where an agent listens: in clear on loopback alone, elsewhere by TLS, under the names of its certificate. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Agent, startAgent } from '../../src/agent/agent.ts';
import { guestsHere } from '../../src/agent/guests-here.ts';
import { type ListenOptions, listen } from '../../src/agent/listen.ts';

const TOKEN = 'e5'.repeat(24);

let folder: string;
const file = (name: string) => join(folder, name);

/** A certificate of its own, for a server under these names or for a client. */
function certify(name: string, names: string): void {
  const key = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    file(`${name}.key`),
  ];
  const said = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`, '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...key, '-out', file(`${name}.pem`), ...said], { stdio: 'pipe' });
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'blocksaga-listen-'));
  certify('server', 'DNS:host7.example,IP:127.0.0.1');
  certify('client', 'DNS:client.example');
  certify('other', 'DNS:other.example');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const tls = () => ({ certificate: file('server.pem'), key: file('server.key') });

function agentWith(options: ListenOptions): Promise<Agent> {
  return startAgent({
    ...{ host: 'h7', journal: file('journal.db'), token: TOKEN, listen: options, log: () => undefined },
    guests: guestsHere({ named: new Map() }),
  });
}

interface Asked {
  readonly host?: string;
  readonly client?: string;
}

/** The status, or the code of the error that the connection met. */
function ask(agent: Agent, { host, client }: Asked = {}): Promise<number | string> {
  const headers = { authorization: `Bearer ${TOKEN}`, ...(host === undefined ? {} : { host }) };
  const own =
    client === undefined
      ? {}
      : { cert: readFileSync(file(`${client}.pem`)), key: readFileSync(file(`${client}.key`)) };
  // What is asked under a wrong name is the agent's to refuse, not this client's.
  return new Promise(resolve => {
    request(`${agent.url}/status`, {
      ...{ headers, ca: readFileSync(file('server.pem')), checkServerIdentity: () => undefined },
      ...own,
    })
      .on('response', response => resolve(response.resume().statusCode ?? 0))
      .on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
      .end();
  });
}

describe('an agent', () => {
  test.each(['0.0.0.0', '::', '192.0.2.1', 'host7.example'])('does not listen on %s in clear', async host => {
    await expect(agentWith({ host, port: 0 })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringContaining('give --tls-cert and --tls-key, or listen on 127.0.0.1'),
    });
  });

  test('listens by TLS, under the names of its certificate alone', async () => {
    const agent = await agentWith({ host: '127.0.0.1', port: 0, tls: tls() });
    try {
      const { port } = new URL(agent.url);
      expect(await ask(agent)).toBe(200);
      expect(await ask(agent, { host: `host7.example:${port}` })).toBe(200);
      for (const host of ['evil.example', `localhost:${port}`, 'host7.example.evil.example', '@'])
        expect(await ask(agent, { host }), host).toSatisfy(
          (status: number | string) => status === 403 || status === 400,
        );
    } finally {
      await agent.close();
    }
  });

  test('asks clients for a certificate of its authority, where one is given', async () => {
    const agent = await agentWith({
      ...{ host: '127.0.0.1', port: 0 },
      tls: { ...tls(), clientCa: file('client.pem') },
    });
    try {
      expect(await ask(agent, { client: 'client' })).toBe(200);
      expect(await ask(agent)).toMatch(/CERTIFICATE_REQUIRED|ECONNRESET|EPIPE/);
      expect(await ask(agent, { client: 'other' })).toMatch(/UNKNOWN_CA|ECONNRESET|EPIPE/);
    } finally {
      await agent.close();
    }
  });

  test('refuses files that hold no certificate or key, and lets go of its journal then', async () => {
    const wrong = { ...tls(), key: file('client.key') };
    for (const files of [
      wrong,
      { ...tls(), certificate: file('none.pem') },
      { ...tls(), certificate: file('server.key') },
    ]) {
      await expect(agentWith({ host: '127.0.0.1', port: 0, tls: files })).rejects.toMatchObject({
        code: 'REQUEST_INVALID',
      });
    }
    await (await agentWith({ host: '127.0.0.1', port: 0 })).close();
  });

  test('says that its port is taken', async () => {
    const first = await listen({ host: '127.0.0.1', port: 0 }, () => undefined);
    const { port } = new URL(first.url);
    await expect(agentWith({ host: '127.0.0.1', port: Number(port) })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringContaining('EADDRINUSE'),
    });
    await new Promise(resolve => first.server.close(resolve));
  });
});
