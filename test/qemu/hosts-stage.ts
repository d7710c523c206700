/** Two agents beside real guests, asked as the fleet asks them: a group is begun at all hosts, the first of which leads. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as requestInClear } from 'node:http';
import { request as requestByTls } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { type Agent, startAgent } from '../../src/agent/agent.ts';
import { guestsHere } from '../../src/agent/guests-here.ts';

const TOKEN = 'c3'.repeat(24);
const LOOKS_MAX = 2_000;

export interface Told {
  readonly status: number;
  readonly body: { readonly [field: string]: unknown };
}

/** By which a host listens, and what it shows to other agents; files of PEM. */
export interface HostTls {
  readonly certificate: string;
  readonly key: string;
  readonly clientCa: string;
  readonly peerCa: string;
  readonly peerCertificate?: string;
  readonly peerKey?: string;
}

const read = (file: string) => readFileSync(file, 'utf8');

/** One host: its guests by name, and its agent, which may be ended and begun again. */
export class HostHere {
  readonly name: string;
  readonly #journal: string;
  readonly #guests: ReadonlyMap<string, string>;
  readonly log: object[] = [];
  #agent: Agent | undefined;
  #port = 0;
  readonly #tls: HostTls | undefined;

  constructor(name: string, folder: string, guests: ReadonlyMap<string, string>, tls?: HostTls) {
    this.name = name;
    this.#tls = tls;
    this.#journal = join(folder, `${name}.db`);
    this.#guests = guests;
  }

  get url(): string {
    return `${this.#tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const tls = this.#tls;
    const { peerCertificate, peerKey } = tls ?? {};
    this.#agent = await startAgent({
      ...{ host: this.name, journal: this.#journal, token: TOKEN, log: line => void this.log.push(line) },
      guests: guestsHere({ named: this.#guests }),
      listen: { host: '127.0.0.1', port: this.#port, ...(tls && { tls }) },
      ...(tls && {
        peerTls: {
          ca: read(tls.peerCa),
          ...(peerCertificate && { cert: read(peerCertificate) }),
          ...(peerKey && { key: read(peerKey) }),
        },
      }),
    });
    this.#port = Number(new URL(this.#agent.url).port);
  }

  async end(): Promise<void> {
    await this.#agent?.close();
    this.#agent = undefined;
  }

  async ask(path: string, body?: object): Promise<Told> {
    const tls = this.#tls;
    // The caller itself has the certificate of this host.
    const own = tls && {
      ...{ ca: read(tls.clientCa), cert: read(tls.certificate), key: read(tls.key) },
      checkServerIdentity: () => undefined,
    };
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const options = { method: body === undefined ? 'GET' : 'POST', headers, agent: false } as const;
    return new Promise((resolve, reject) => {
      const asked = tls
        ? requestByTls(`${this.url}${path}`, { ...options, ...own })
        : requestInClear(`${this.url}${path}`, options);
      asked.once('error', reject).once('response', async response => {
        let text = '';
        for await (const part of response.setEncoding('utf8')) text += part;
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Told['body'] });
      });
      asked.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async until(path: string, isSo: (told: Told) => boolean): Promise<Told['body']> {
    for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
      const told = await this.ask(path);
      if (isSo(told)) return told.body;
      await sleep(20);
    }
    return expect.unreachable(`${path} of ${this.name} did not come to what was waited for`);
  }
}

/** Of hosts by name, each with its guests by name. */
export async function startHosts(
  guests: Readonly<Record<string, Readonly<Record<string, string>>>>,
  tls: Readonly<Record<string, HostTls>> = {},
): Promise<{ readonly hosts: readonly HostHere[] } & AsyncDisposable> {
  const folder = mkdtempSync(join(tmpdir(), 'hosts-'));
  const hosts = Object.entries(guests).map(
    ([name, vms]) => new HostHere(name, folder, new Map(Object.entries(vms)), tls[name]),
  );
  for (const host of hosts) await host.start();
  return {
    hosts,
    async [Symbol.asyncDispose]() {
      for (const host of hosts) await host.end();
      rmSync(folder, { recursive: true });
    },
  };
}

/** At all of these at once, as the workflow does; the first leads. Gives what each has answered. */
export function beginOn(
  [leader, ...others]: readonly HostHere[],
  id: string,
  members: Readonly<Record<string, readonly object[]>>,
): Promise<readonly Told[]> {
  if (leader === undefined) return Promise.resolve([]);
  const names = others.map(({ name }) => name);
  return Promise.all([
    leader.ask(`/groups/${id}`, { members: members[leader.name], with: names }),
    ...others.map(host =>
      host.ask(`/groups/${id}`, {
        members: members[host.name],
        leader: { host: leader.name, agent: leader.url },
      }),
    ),
  ]);
}

/** What the group has come to on each. */
export function endOn(hosts: readonly HostHere[], id: string): Promise<readonly unknown[]> {
  return Promise.all(
    hosts.map(
      async host => (await host.until(`/sagas/${id}`, told => told.body['result'] !== null))['state'],
    ),
  );
}
