/**
 * All that is killed, on loopback: a cluster of Restate with replication, the endpoint, the agents of two hosts and their guests, with
 * wires between them.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tokenIn } from '../../src/agent/token-file.ts';
import { freePorts, Part, restateServer } from '../test/part.ts';
import { Caller } from './caller.ts';
import type { Guest } from './guest.ts';
import { startQemuGuest } from './qemu-guest.ts';
import { SIM_DIRECTORY, startSimGuest } from './sim-guest.ts';
import { Wire } from './wire.ts';

export interface Host {
  readonly name: string;
  readonly agent: Part;
  /** Between the agent and all that ask it: the endpoint, and the agents of other hosts. */
  readonly wire: Wire;
  readonly journal: string;
  readonly guests: readonly Guest[];
  /** Past the wire. */
  ask(path: string): Promise<{ readonly [field: string]: unknown }>;
  /** Where the agent finds the monitors of its guests, from now on. */
  tellMonitors(): void;
}

export interface Arena extends AsyncDisposable {
  readonly nodes: readonly Part[];
  readonly endpoint: Part;
  /** Between Restate and the endpoint. */
  readonly endpointWire: Wire;
  readonly hosts: readonly [Host, Host];
  readonly guests: readonly Guest[];
  readonly caller: Caller;
  readonly ingresses: readonly string[];
  /** Where moves go. */
  readonly target: string;
}

export interface ArenaOptions {
  readonly nodes: 1 | 3;
  /** Real guests by this QEMU; simulated ones without. */
  readonly qemu?: string;
  readonly seed: number;
}

const GUESTS = { h1: ['web', 'db'], h2: ['mail', 'log'] } as const;
const FLEET = join(import.meta.dirname, '..');
const PARTITIONS = 4;
const JOIN_TRIES = 60;

export async function startArena({ nodes: count, qemu, seed }: ArenaOptions): Promise<Arena> {
  await using undo = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'blocksaga-kills-'));
  undo.defer(() => rmSync(folder, { recursive: true, force: true }));
  const secret = ['--token-file', join(folder, 'token')] as const;
  const token = tokenIn(secret[1]);
  const target = qemu === undefined ? SIM_DIRECTORY : join(folder, 'images');
  if (qemu !== undefined) mkdirSync(target);
  const { nodes, ingresses, admins } = await cluster(folder, count);
  const startAll = async (parts: readonly Part[]) => {
    for (const part of parts) undo.defer(() => part.end());
    await Promise.all(parts.map(part => part.start()));
  };
  await startAll(nodes);
  const hosts: Host[] = [];
  for (const [at, name] of (['h1', 'h2'] as const).entries()) {
    const guests: Guest[] = [];
    for (const [nth, guest] of GUESTS[name].entries())
      guests.push(
        undo.use(
          qemu === undefined
            ? await startSimGuest(guest, folder, seed + 10 * at + nth)
            : await startQemuGuest(guest, { folder, target, qemu }),
        ),
      );
    const host = await hostOf(name, folder, token, guests);
    undo.use(host.wire);
    host.tellMonitors();
    hosts.push(host);
  }
  const [endpointPort] = await freePorts(1);
  const endpoint = new Part(
    'endpoint',
    [
      ...[process.execPath, join(FLEET, 'src/main.ts'), ...secret, '--listen', `127.0.0.1:${endpointPort}`],
      ...admins.flatMap(admin => ['--admin', admin]),
    ],
    async () => (await fetch(`http://127.0.0.1:${endpointPort}/`).then(() => true, isAnswered)) === true,
  );
  await startAll([...hosts.map(({ agent }) => agent), endpoint]);
  const endpointWire = undo.use(await Wire.to({ port: Number(endpointPort), host: '127.0.0.1' }));
  const caller = new Caller(ingresses);
  await untilTold(async () => {
    const registered = await fetch(`${admins[0]}/deployments`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ uri: `http://127.0.0.1:${endpointWire.port}` }),
    });
    if (!registered.ok) throw new Error(`the endpoint is not registered: ${await registered.text()}`);
  });
  for (const { wire } of hosts)
    await untilTold(async () => {
      const { status, body } = await caller.ask('fleet/hosts/join', `http://127.0.0.1:${wire.port}`);
      if (status >= 300) throw new Error(`the host has not joined: ${JSON.stringify(body)}`);
    });
  const [first, second] = hosts;
  if (first === undefined || second === undefined) throw new Error('there are two hosts');
  const stack = undo.move();
  return {
    ...{ nodes, endpoint, endpointWire, caller, ingresses, target },
    hosts: [first, second],
    guests: hosts.flatMap(({ guests }) => guests),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** It speaks HTTP/2 alone: what breaks at its first bytes listens. */
function isAnswered(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return !(cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED');
}

/** What a cluster of a moment ago does not do yet, it does soon. */
async function untilTold(act: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await act();
    } catch (error) {
      if (tries === JOIN_TRIES) throw error;
      await sleep(250);
    }
  }
}

async function cluster(folder: string, count: number) {
  const ports = await freePorts(3 * count);
  const at = (kind: number, node: number) => `127.0.0.1:${ports[3 * node + kind]}`;
  const all = Array.from({ length: count }, (_, node) => node);
  const nodes = all.map(
    node =>
      new Part(
        `Restate's node n${node + 1}`,
        [restateServer(), '--no-logo'],
        async () =>
          (await fetch(`http://${at(1, node)}/health`)).ok &&
          (await fetch(`http://${at(2, node)}/restate/health`)).ok,
        {
          RESTATE_CLUSTER_NAME: 'kills',
          RESTATE_NODE_NAME: `n${node + 1}`,
          RESTATE_BASE_DIR: join(folder, `n${node + 1}`),
          RESTATE_LISTEN_MODE: 'tcp',
          RESTATE_BIND_ADDRESS: at(0, node),
          RESTATE_ADVERTISED_ADDRESS: `http://${at(0, node)}`,
          RESTATE_ADMIN__BIND_ADDRESS: at(1, node),
          RESTATE_INGRESS__BIND_ADDRESS: at(2, node),
          RESTATE_DEFAULT_REPLICATION: count === 1 ? '1' : '2',
          RESTATE_DEFAULT_NUM_PARTITIONS: String(PARTITIONS),
          RESTATE_AUTO_PROVISION: String(node === 0),
          RESTATE_METADATA_CLIENT__ADDRESSES: JSON.stringify(all.map(each => `http://${at(0, each)}`)),
          RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE: '256MiB',
          RESTATE_DISABLE_TELEMETRY: 'true',
          RESTATE_LOG_DISABLE_ANSI_CODES: 'true',
        },
      ),
  );
  return {
    nodes,
    admins: all.map(node => `http://${at(1, node)}`),
    ingresses: all.map(node => `http://${at(2, node)}`),
  };
}

async function hostOf(name: string, folder: string, token: string, guests: readonly Guest[]): Promise<Host> {
  const own = join(folder, name);
  mkdirSync(own);
  const [monitors, discover, journal] = ['monitors.json', 'discover', 'journal.db'].map(file =>
    join(own, file),
  ) as [string, string, string];
  writeFileSync(discover, `#!/bin/sh\nexec cat ${monitors}\n`);
  chmodSync(discover, 0o755);
  const [port] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  const headers = { authorization: `Bearer ${token}` };
  return {
    ...{ name, guests, journal },
    wire: await Wire.to({ port: Number(port), host: '127.0.0.1' }),
    agent: new Part(
      `agent of ${name}`,
      [
        ...[process.execPath, join(FLEET, '../bin/blocksaga.js'), 'agent'],
        ...['--token-file', join(folder, 'token'), '--host', name, '--journal', journal],
        ...['--discover', discover, '--listen', `127.0.0.1:${port}`],
      ],
      async () => (await fetch(`${url}/status`)).status === 401,
    ),
    async ask(path) {
      const response = await fetch(`${url}/${path}`, { headers, signal: AbortSignal.timeout(20_000) });
      return (await response.json()) as { readonly [field: string]: unknown };
    },
    tellMonitors: () =>
      writeFileSync(
        monitors,
        JSON.stringify(Object.fromEntries(guests.map(guest => [guest.name, guest.monitor()]))),
      ),
  };
}
