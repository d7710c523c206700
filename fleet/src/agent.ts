/**
 * The agent of one host: an engine with the host's journal, its guests by name, and what who has the token can ask of them over
 * HTTP on loopback. It resumes at start what a dead predecessor has left, and lets go of all in order at its end. It knows nothing
 * of Restate, and nothing of other hosts.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { GROUP, membersIn } from '../../src/engine/durable/group-register.ts';
import {
  BlocksagaError,
  createEngine,
  type Engine,
  type ErrorCode,
  type Journal,
  openJournal,
  type SagaRow,
} from '../../src/index.ts';
import { findingsOf } from './findings.ts';
import { bodyOf, expectJson, refusalOf, refuse, send } from './http.ts';

export interface AgentOptions {
  readonly host: string;
  readonly journal: string;
  /** The address of each guest's monitor, by the name that the fleet knows it by. */
  readonly guests: ReadonlyMap<string, string>;
  readonly port: number;
  /** What each request must have; at least 128 bits that cannot be guessed. */
  readonly token: string;
  readonly log: (line: object) => void;
}

export interface Agent {
  readonly url: string;
  /** Takes no more, waits for what is nearly done, and lets go of the rest for the next process. */
  close(): Promise<void>;
}

const DRAIN_MS = 2_000;
const LOOPBACK = '127.0.0.1';
const OPERATIONS = ['snapshot', 'copy', 'pull', 'commit', 'revert'] as const;
type Operation = (typeof OPERATIONS)[number];
type GroupRequest = Parameters<Engine['group']>[0];

/** What a client is told of a refusal; whatever else is 422. Of these 503 alone is worth another try. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  REQUEST_INVALID: 400,
  SAGA_UNKNOWN: 404,
  ID_CONFLICT: 409,
  VM_BUSY: 409,
  SAGA_STATE: 409,
  CLOSED: 503,
  QMP_CONNECT: 503,
};

export async function startAgent(options: AgentOptions): Promise<Agent> {
  const journal = openJournal(options.journal);
  const engine = createEngine({ journal, onListenerError: error => options.log({ error: String(error) }) });
  const work = new AgentWork(engine, journal, options);
  const server = createServer((request, response) => {
    work.answer(request, response).catch(error => tellError(error, response, options.log));
  });
  await listen(server, options.port);
  await work.resumeAll();
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  return {
    url: `http://${LOOPBACK}:${port}`,
    async close() {
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      await engine.close({ drain: DRAIN_MS });
      server.closeAllConnections();
      await closed;
      await journal.close();
    },
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, LOOPBACK, resolve);
  });
}

function tellError(error: unknown, response: ServerResponse, log: (line: object) => void): void {
  if (error instanceof BlocksagaError) {
    send(response, STATUS[error.code] ?? 422, error.toJSON());
    return;
  }
  log({ error: String(error) });
  send(response, 500, { code: 'INTERNAL', message: 'a bug of the agent: see its log' });
}

class AgentWork {
  readonly #engine: Engine;
  readonly #journal: Journal;
  readonly #options: AgentOptions;

  constructor(engine: Engine, journal: Journal, options: AgentOptions) {
    this.#engine = engine;
    this.#journal = journal;
    this.#options = options;
  }

  /** What a process before this one has begun, and no other one runs. Groups first: their members follow their decision. */
  async resumeAll(): Promise<void> {
    const open = (['open', 'needsRecovery'] as const).flatMap(state => this.#journal.sagas({ state }));
    const isGroup = ({ operation }: SagaRow) => operation === GROUP;
    for (const row of [...open.filter(isGroup), ...open.filter(row => !isGroup(row))]) {
      try {
        if (isGroup(row)) await this.#engine.resumeGroup(row.id);
        else this.#watch(row.id, (await this.#engine.resume(row.id)).ended);
      } catch (error) {
        if (!(error instanceof BlocksagaError)) throw error;
        this.#options.log({ saga: row.id, error: error.message });
      }
    }
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refusal = refusalOf(request, this.#options.token);
    if (refusal !== undefined) return refuse(response, refusal);
    expectJson(request);
    const { pathname } = new URL(request.url ?? '/', 'http://agent');
    const [, root = '', name = '', action = ''] = pathname.split('/').map(decodeURIComponent);
    const route = `${request.method} ${root}${action === '' ? '' : `/${action}`}`;
    switch (route) {
      case 'GET status':
        return send(response, 200, this.#status());
      case 'GET doctor':
        return send(response, 200, { findings: await this.#findings(name) });
      case 'GET sagas':
        return send(response, 200, name === '' ? this.#engine.sagas() : this.#standing(name));
      case 'GET sagas/follow':
        return this.#follow(name, response);
      case 'POST sagas/abort':
      case 'POST sagas/pivot':
        return send(response, 202, await this.#ask(name, action === 'pivot' ? 'pivot' : 'abort'));
      case 'POST groups':
        return send(response, 202, await this.#group(name, await bodyOf(request)));
    }
    const operation = OPERATIONS.find(each => route === `POST guests/${each}`);
    if (operation !== undefined)
      return send(response, 202, await this.#submit(name, operation, await bodyOf(request)));
    send(response, 404, { code: 'REQUEST_INVALID', message: `there is no ${route}` });
  }

  #status() {
    const { host, guests } = this.#options;
    const open = this.#journal.sagas({ state: 'open' });
    const recover = this.#journal.sagas({ state: 'needsRecovery' });
    return {
      host,
      guests: [...guests].map(([vm, qmp]) => ({ vm, qmp })),
      sagas: [...open, ...recover].map(({ id, vm, operation, state }) => ({ id, vm, operation, state })),
    };
  }

  #findings(vm: string): Promise<readonly object[]> {
    return findingsOf(this.#journal, vm === '' ? undefined : this.#monitorOf(vm));
  }

  /** The same id twice is the same saga: a client that had no answer just asks again. */
  async #submit(vm: string, operation: Operation, body: unknown): Promise<object> {
    const request = { ...objectIn(body), vm, qmp: this.#monitorOf(vm) };
    // The engine checks the shape, and names each field that is wrong.
    const saga = await this.#engine[operation](request as never);
    this.#watch(saga.id, saga.ended);
    return { id: saga.id };
  }

  async #group(id: string, body: unknown): Promise<object> {
    const { members } = objectIn(body) as { readonly members?: unknown };
    if (!Array.isArray(members)) throw new BlocksagaError('REQUEST_INVALID', 'a group has "members", a list');
    const requests = members.map(member => {
      const request = objectIn(member) as { readonly vm?: unknown };
      return { ...request, qmp: this.#monitorOf(String(request.vm)) };
    });
    const group = await this.#engine.group(requests as object as GroupRequest, { id });
    this.#watch(id, group.result);
    return { id };
  }

  async #ask(id: string, signal: 'abort' | 'pivot'): Promise<object> {
    if (this.#journal.saga(id)?.operation === GROUP) {
      const group = await this.#engine.resumeGroup(id);
      this.#watch(id, group.abort());
    } else this.#watch(id, (await this.#engine.resume(id, { signal })).ended);
    return { id, asked: signal };
  }

  /** As the journal has it; `result` is null until it has ended. */
  #standing(id: string): object {
    const row = this.#journal.saga(id);
    if (row === undefined)
      throw new BlocksagaError('SAGA_UNKNOWN', `there is no saga ${id} on this host`, { saga: id });
    const { vm, operation, state, result } = row;
    const members = this.#membersOf(row);
    const isOver = [row, ...members].every(each => each.state !== 'open');
    return {
      ...{ id, vm, operation, state, result: isOver ? result : null },
      ...(operation === GROUP
        ? { members: members.map(member => ({ id: member.id, state: member.state })) }
        : {}),
    };
  }

  /** Of a group: a member may still clean up when the group has decided. */
  #membersOf(row: SagaRow): readonly SagaRow[] {
    return row.operation === GROUP ? membersIn(row).flatMap(id => this.#journal.saga(id) ?? []) : [];
  }

  /** Notices as they come, one JSON object a line, and the result behind the last. */
  async #follow(id: string, response: ServerResponse): Promise<void> {
    const saga = this.#engine.saga(id);
    if (saga === undefined)
      throw new BlocksagaError('SAGA_UNKNOWN', `there is no saga ${id} on this host`, { saga: id });
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
    for await (const notice of saga) {
      if (response.destroyed) return;
      response.write(`${JSON.stringify(notice)}\n`);
    }
    // Of a saga that was let go of, the next process tells: the client connects again.
    await saga.ended.then(
      result => response.write(`${JSON.stringify({ type: 'result', ...result })}\n`),
      () => undefined,
    );
    response.end();
  }

  #monitorOf(vm: string): string {
    const qmp = this.#options.guests.get(vm);
    if (qmp !== undefined) return qmp;
    const known = [...this.#options.guests.keys()].join(', ');
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `host ${this.#options.host} has no guest "${vm}": it has ${known}`,
    );
  }

  #watch(
    id: string,
    ended: Promise<{ readonly outcome: string; readonly error: { readonly message: string } | null }>,
  ): void {
    ended.then(
      ({ outcome, error }) => this.#options.log({ saga: id, outcome, error: error?.message ?? null }),
      error => this.#options.log({ saga: id, error: String(error) }),
    );
  }
}

function objectIn(body: unknown): object {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body;
  throw new BlocksagaError('REQUEST_INVALID', 'the body is no JSON object');
}
