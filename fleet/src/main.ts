#!/usr/bin/env node
/**
 * `blocksaga-fleet`: the endpoint by which Restate reaches the guests of a fleet, its hosts and its moves. Only reads options.
 *
 *     blocksaga-fleet --token-file /etc/blocksaga/token --listen 127.0.0.1:9080
 */
import { readFileSync } from 'node:fs';
import { createSecureServer, createServer, type Http2Server } from 'node:http2';
import { parseArgs } from 'node:util';
import * as restate from '@restatedev/restate-sdk';
import { tokenIn } from '../../src/agent/token-file.ts';
import { BlocksagaError } from '../../src/index.ts';
import { callWith } from './agent-call.ts';
import { fleetObject } from './fleet-object.ts';
import { guestObject } from './guest-object.ts';
import { instantWorkflow } from './instant-workflow.ts';
import { moveWorkflow } from './moves/move-workflow.ts';
import { stuckAt, tellStuck } from './stuck.ts';

const HELP = `Usage:
  blocksaga-fleet --token-file FILE [--listen HOST:PORT] [--admin URL]... [--identity-key KEY]... [--tls-cert FILE --tls-key FILE]
                  [--agent-ca FILE] [--agent-cert FILE --agent-key FILE]

Serves the objects "fleet" and "guest" and the workflows "move" and "instant" to Restate: register it with
"restate deployments register http://HOST:PORT". What it listens on is 127.0.0.1:9080 unless told.

--token-file has what it sends to every agent ("Authorization: Bearer TOKEN"); it is made, for its owner alone, where it is not there.
--admin is Restate's admin port, http://127.0.0.1:9070 unless told, one for each node of a cluster: what Restate has paused is asked there,
of all at once, every four seconds, and told here and by "blocksaga fleet hosts".
--identity-key is a public key of the Restate cluster (publickeyv1_...): requests that are not signed by it are refused. On an address
other than loopback it is needed, and so are --tls-cert and --tls-key.
--agent-ca signs the certificates of agents; --agent-cert and --agent-key are shown to agents that ask for one.`;

const { values } = parseArgs({
  options: {
    'token-file': { type: 'string' },
    listen: { type: 'string', default: '127.0.0.1:9080' },
    admin: { type: 'string', multiple: true, default: ['http://127.0.0.1:9070'] },
    'identity-key': { type: 'string', multiple: true, default: [] },
    'tls-cert': { type: 'string' },
    'tls-key': { type: 'string' },
    'agent-ca': { type: 'string' },
    'agent-cert': { type: 'string' },
    'agent-key': { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const log = (line: object) => void process.stdout.write(`${JSON.stringify(line)}\n`);

const askStuck = stuckAt(values.admin);

function refuse(why: string): never {
  process.stderr.write(`blocksaga-fleet: ${why}\n${HELP}\n`);
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

type FileOption = 'tls-cert' | 'tls-key' | 'agent-ca' | 'agent-cert' | 'agent-key';

function pem(option: FileOption): string | undefined {
  const file = values[option];
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return refuse(`--${option} ${file}: ${error}`);
  }
}

function serve(): Http2Server {
  const [ca, cert, key] = [pem('agent-ca'), pem('agent-cert'), pem('agent-key')];
  const tls = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
  const call = callWith({ token: token(), tls });
  const handler = restate.createEndpointHandler({
    services: [fleetObject(call, askStuck), guestObject(call), moveWorkflow(call), instantWorkflow(call)],
    ...(values['identity-key'].length > 0 && { identityKeys: values['identity-key'] }),
  });
  const [own, ownKey] = [pem('tls-cert'), pem('tls-key')];
  if (own === undefined || ownKey === undefined) return createServer(handler);
  return createSecureServer({ cert: own, key: ownKey }, handler);
}

const [, host = '', digits = ''] = /^(.+):(\d{1,5})$/.exec(values.listen) ?? [];
const isTls = values['tls-cert'] !== undefined && values['tls-key'] !== undefined;
if (values.help) {
  process.stdout.write(`${HELP}\n`);
} else if (host === '' || Number(digits) > 65_535) {
  refuse(`--listen ${values.listen}: say HOST:PORT`);
} else if (
  !['127.0.0.1', 'localhost', '[::1]'].includes(host) &&
  !(isTls && values['identity-key'].length > 0)
) {
  refuse(`on ${host} it is reached from other machines: give --identity-key, --tls-cert and --tls-key`);
} else if (values.admin.some(url => !URL.canParse(url))) {
  refuse(`--admin ${values.admin.join(', ')}: say the address of Restate's admin port`);
} else {
  const server = serve();
  server.once('error', error => refuse(`cannot listen on ${values.listen}: ${error.message}`));
  server.listen(Number(digits), host.replace(/^\[(.*)\]$/, '$1'), () => {
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : digits;
    log({ listening: `${isTls ? 'https' : 'http'}://${host}:${port}` });
    // It ends with this process.
    void tellStuck(askStuck, log, new AbortController().signal);
  });
}
