#!/usr/bin/env node
/**
 * `blocksaga-agent`: the agent of a host, or the endpoint by which Restate reaches the guests of a fleet. Only reads options.
 *
 *     blocksaga-agent agent --token-file /etc/blocksaga/token --journal /var/lib/blocksaga/journal.db --port 7171 --vms /run/vms
 *     blocksaga-agent endpoint --token-file /etc/blocksaga/token --port 9080
 */
import { readdirSync } from 'node:fs';
import { createServer } from 'node:http2';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as restate from '@restatedev/restate-sdk';
import { BlocksagaError } from '../../src/index.ts';
import { startAgent } from './agent.ts';
import { callWith } from './agent-call.ts';
import { guestObject } from './guest-object.ts';
import { tokenIn } from './token-file.ts';

const HELP = `Usage:
  blocksaga-agent agent --token-file FILE --journal FILE [--host NAME] [--port N] [--vm NAME=SOCKET]... [--vms DIRECTORY]
  blocksaga-agent endpoint --token-file FILE [--port N]

The agent serves the guests of this host over HTTP on 127.0.0.1. --vms takes every NAME.qmp of a directory as a guest.
The endpoint serves the virtual object "guest" on 127.0.0.1: register it with Restate ("restate deployments register").

--token-file has what every request to the agent must send ("Authorization: Bearer TOKEN"), and what the endpoint sends. It is
made, for its owner alone (mode 0600), where it is not there; a link, and a file that other users may reach, are refused.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    host: { type: 'string', default: hostname() },
    journal: { type: 'string' },
    port: { type: 'string', default: '0' },
    'token-file': { type: 'string' },
    vm: { type: 'string', multiple: true, default: [] },
    vms: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const log = (line: object) => void process.stdout.write(`${JSON.stringify(line)}\n`);

function refuse(why: string): never {
  process.stderr.write(`blocksaga-agent: ${why}\n${HELP}\n`);
  process.exit(2);
}

function token(): string {
  const file = values['token-file'];
  if (file === undefined)
    refuse('--token-file FILE is missing: name one that is not there yet, and it is made');
  try {
    return tokenIn(file);
  } catch (error) {
    if (error instanceof BlocksagaError) refuse(error.message);
    throw error;
  }
}

function guestsOf(): ReadonlyMap<string, string> {
  const found = values.vms === undefined ? [] : readdirSync(values.vms).filter(name => name.endsWith('.qmp'));
  const guests = new Map(found.map(name => [name.slice(0, -'.qmp'.length), join(values.vms ?? '', name)]));
  for (const text of values.vm) {
    const [, name = '', socket = ''] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    if (name === '') refuse(`--vm ${text}: say NAME=SOCKET`);
    guests.set(name, socket);
  }
  return guests;
}

const port = Number(values.port);
if (values.help) {
  process.stdout.write(`${HELP}\n`);
} else if (!Number.isInteger(port) || port < 0 || port > 65_535) {
  refuse(`--port ${values.port} is no port`);
} else if (positionals[0] === 'agent') {
  const { journal, host } = values;
  if (journal === undefined) refuse('--journal FILE is missing');
  const agent = await startAgent({ host, journal, port, token: token(), guests: guestsOf(), log });
  log({ listening: agent.url });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => agent.close().then(() => process.exit(0)));
  }
} else if (positionals[0] === 'endpoint') {
  const server = createServer(restate.createEndpointHandler({ services: [guestObject(callWith(token()))] }));
  server.listen(port, '127.0.0.1', () => {
    const address = server.address();
    log({
      listening: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : port}`,
    });
  });
} else refuse('say "agent" or "endpoint"');
