/** A fleet on one machine, for tests and the demo: Restate's server, the endpoint, an agent, real guests; each may be killed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tokenIn } from '../../src/agent/token-file.ts';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { type Answer, ask, freePorts, Part, post, restateServer } from './part.ts';

const FLEET = join(import.meta.dirname, '..');

export interface Fleet extends AsyncDisposable {
  readonly vms: ReadonlyMap<string, GuestVm>;
  readonly agent: Part;
  readonly endpoint: Part;
  readonly restate: Part;
  /** The agent of a second host, where the fleet has one, and the journal of that. */
  readonly second: { readonly agent: Part; readonly journal: string } | undefined;
  readonly agentUrl: string;
  readonly ingress: string;
  readonly journal: string;
  readonly token: string;
  /** What Restate keeps. */
  readonly restateFolder: string;
  /** A request to the agent, with the token. */
  askAgent(path: string, body?: object, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** Calls a handler of a guest and waits for what it comes to. */
  call(guest: string, handler: string, body?: object | string): Promise<Answer>;
  /** Submits it, and gives the id by which its result is waited for. */
  send(guest: string, handler: string, body: object): Promise<string>;
  /** Calls any handler, `object/key/handler` or `workflow/id/handler`, and waits for what it comes to. */
  ask(path: string, body?: object | string): Promise<Answer>;
  /** Begins a workflow unless there is one of this id, and waits for its result, also over the death of the server. */
  run(workflow: string, id: string, body: object): Promise<Answer>;
  attach(invocation: string): Promise<Answer>;
  /** As an operator does: "restate invocations cancel". */
  cancel(invocation: string): Promise<Answer>;
  /** As Restate does by itself when it has tried often enough. */
  pause(invocation: string): Promise<Answer>;
  resume(invocation: string): Promise<Answer>;
}

/** What all agents and the endpoint of a fleet listen with by TLS, show to each other, and ask each other for: files of PEM. */
export interface Secured {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** Guests of the host h1, and of h2 where there are any. */
export async function startFleet(
  names: readonly string[],
  others: readonly string[] = [],
  secured?: Secured,
): Promise<Fleet> {
  await using undo = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'blocksaga-fleet-'));
  undo.defer(() => rmSync(folder, { recursive: true, force: true }));
  const vms = new Map<string, GuestVm>();
  for (const name of [...names, ...others]) {
    const vm = await startGuestVm({ disks: 2, sizeBytes: 16 * 1024 * 1024, pacingUs: 2_000 });
    vms.set(name, vm);
    undo.defer(() => vm[Symbol.asyncDispose]());
  }
  const [ingressPort, adminPort, nodePort, agentPort, endpointPort, secondPort] = await freePorts(6);
  const [ingress, admin] = [`http://127.0.0.1:${ingressPort}`, `http://127.0.0.1:${adminPort}`];
  const scheme = secured === undefined ? 'http' : 'https';
  const agentUrl = `${scheme}://127.0.0.1:${agentPort}`;
  const byTls =
    secured === undefined
      ? []
      : [
          ...['--tls-cert', secured.certificate, '--tls-key', secured.key],
          ...['--agent-ca', secured.ca, '--agent-cert', secured.certificate, '--agent-key', secured.key],
        ];
  const clientCa = secured === undefined ? [] : ['--tls-client-ca', secured.ca];
  const journal = join(folder, 'journal.db');
  const restateFolder = join(folder, 'restate');
  const tokenFile = join(folder, 'token');
  const token = tokenIn(tokenFile);
  const askAgent: Fleet['askAgent'] = (path, body, headers = {}) =>
    fetch(`${agentUrl}${path}`, {
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
    });
  const restate = new Part(
    'restate',
    [
      restateServer(),
      ...['--node-name', 'n1', '--base-dir', restateFolder, '--listen-mode', 'tcp', '--no-logo'],
    ],
    async () => (await fetch(`${admin}/health`)).ok && (await fetch(`${ingress}/restate/health`)).ok,
    {
      RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingressPort}`,
      RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${adminPort}`,
      RESTATE_BIND_ADDRESS: `127.0.0.1:${nodePort}`,
      RESTATE_DISABLE_TELEMETRY: 'true',
      ...(secured && { SSL_CERT_FILE: secured.ca }),
      // What it keeps can be searched.
      RESTATE_ROCKSDB_DISABLE_WAL_COMPRESSION: 'true',
      RESTATE_ROCKSDB_DISABLE_L0_L1_COMPRESSION: 'true',
    },
  );
  const main = join(FLEET, 'src/main.ts');
  const blocksaga = join(FLEET, '../src/cli/main.ts');
  const secret = ['--token-file', tokenFile];
  const agentOf = (host: string, port: number | undefined, file: string, guests: readonly string[]) => {
    const part: Part = new Part(
      `agent of ${host}`,
      [
        ...[process.execPath, blocksaga, 'agent', ...secret, '--host', host, '--journal', file],
        ...['--listen', `127.0.0.1:${port}`, ...byTls, ...clientCa],
        ...guests.flatMap(name => ['--vm', `${name}=${vms.get(name)?.monitor}`]),
      ],
      // By TLS it says so itself, since it answers to certificates alone.
      async () =>
        secured === undefined
          ? (await fetch(`http://127.0.0.1:${port}/status`)).status === 401
          : part.lines.some(line => line.includes('listening')),
    );
    return part;
  };
  const agent = agentOf('h1', agentPort, journal, names);
  const secondJournal = join(folder, 'second.db');
  const second =
    others.length === 0
      ? undefined
      : { agent: agentOf('h2', secondPort, secondJournal, others), journal: secondJournal };
  const endpoint = new Part(
    'endpoint',
    [
      ...[process.execPath, main, ...secret, '--listen', `127.0.0.1:${endpointPort}`, '--admin', admin],
      ...byTls,
    ],
    async () => endpoint.lines.some(line => line.includes('listening')),
  );
  for (const part of [restate, agent, ...(second === undefined ? [] : [second.agent]), endpoint]) {
    undo.defer(() => part.end());
    await part.start();
  }
  const registered = await post(`${admin}/deployments`, {
    uri: `${scheme}://127.0.0.1:${endpointPort}`,
  });
  if (registered.status >= 300)
    throw new Error(`the endpoint is not registered: ${JSON.stringify(registered)}`);
  for (const url of second === undefined ? [agentUrl] : [agentUrl, `${scheme}://127.0.0.1:${secondPort}`]) {
    const joined = await post(`${ingress}/fleet/hosts/join`, url);
    if (joined.status >= 300) throw new Error(`the host has not joined: ${JSON.stringify(joined)}`);
  }
  const stack = undo.move();
  return {
    ...{ vms, agent, second, endpoint, restate, agentUrl, ingress, journal, token, restateFolder, askAgent },
    call: (guest, handler, body) => post(`${ingress}/guest/${guest}/${handler}`, body),
    async send(guest, handler, body) {
      const { body: told } = await post(`${ingress}/guest/${guest}/${handler}/send`, body);
      return String(told['invocationId']);
    },
    ask: (path, body) => post(`${ingress}/${path}`, body),
    async run(workflow, id, body) {
      const begun = await post(`${ingress}/${workflow}/${id}/run/send`, body);
      return begun.status >= 300 ? begun : ask(`${ingress}/restate/workflow/${workflow}/${id}/attach`);
    },
    attach: invocation => ask(`${ingress}/restate/invocation/${invocation}/attach`),
    cancel: invocation => ask(`${admin}/invocations/${invocation}/cancel`, { method: 'PATCH' }),
    pause: invocation => ask(`${admin}/invocations/${invocation}/pause`, { method: 'PATCH' }),
    resume: invocation => ask(`${admin}/invocations/${invocation}/resume`, { method: 'PATCH' }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export interface Echo extends AsyncDisposable {
  readonly url: string;
  /** The header Authorization of each request. */
  readonly heard: readonly (string | undefined)[];
}

/** A program on this machine that is no agent, and gives back what it is sent. */
export async function startEcho(): Promise<Echo> {
  const heard: (string | undefined)[] = [];
  const server = createHttpServer(({ headers: { authorization } }, response) => {
    heard.push(authorization);
    response.end(JSON.stringify({ result: { echo: authorization } }));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    ...{ url: `http://127.0.0.1:${port}`, heard },
    [Symbol.asyncDispose]: () => new Promise<void>(resolve => server.close(() => resolve())),
  };
}
