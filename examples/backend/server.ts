/**
 * A small orchestration backend: `node server.ts JOURNAL SOCKET`. It takes requests over HTTP on a UNIX socket, tells of sagas
 * as server-sent events, resumes what a dead predecessor has left, and ends well on SIGTERM. Without any framework, so that
 * what is blocksaga's stands out.
 *
 *     curl --unix-socket SOCKET http://x/sagas/copy -d '{"id":"t1","qmp":"/run/vm.qmp","disks":[{"disk":"disk0","to":"/new/0.qcow2"}]}'
 *     curl --unix-socket SOCKET http://x/sagas/t1/events
 *     curl --unix-socket SOCKET -X POST http://x/sagas/t1/pivot
 *
 * In a project of yours the import reads `from 'blocksaga'`.
 */
import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  BlocksagaError,
  type CopyRequest,
  createEngine,
  type ErrorCode,
  openJournal,
  type Saga,
  type SagaStanding,
  type SnapshotRequest,
  type Submit,
} from '../../src/index.ts';

const [file = 'journal.db', socket = 'backend.sock'] = process.argv.slice(2);
const BODY_BYTES_MAX = 1024 * 1024;

const logger = {
  debug: () => undefined,
  info: (told: object, words: string) => log({ level: 'info', words, ...told }),
  warn: (told: object, words: string) => log({ level: 'warn', words, ...told }),
  error: (told: object, words: string) => log({ level: 'error', words, ...told }),
};
// Longer than any client of this backend tries again.
const journal = openJournal(file, { keep: { days: 90, count: 100_000 } });
const engine = createEngine({
  journal,
  logger,
  limits: { all: { copies: 32 }, perTarget: { copies: 4 } },
  // The VM's disks, as this backend's own records have them; being told twice does no harm.
  onCommit: async ({ vm, disks }) => log({ vm, disks: disks.map(disk => disk.file) }),
  onListenerError: (error, where) => log({ error: String(error), ...where }),
});

/** What a client is told of a refusal; whatever else is 422. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  REQUEST_INVALID: 400,
  SAGA_UNKNOWN: 404,
  ID_CONFLICT: 409,
  VM_BUSY: 409,
  SAGA_STATE: 409,
  CLOSED: 503,
  QMP_CONNECT: 503,
};

const server = createServer((request, response) => {
  answer(request, response).catch(error => {
    if (!(error instanceof BlocksagaError)) log({ error: String(error) });
    const record =
      error instanceof BlocksagaError ? error.toJSON() : { code: 'INTERNAL', message: 'see the log' };
    send(response, error instanceof BlocksagaError ? (STATUS[error.code] ?? 422) : 500, record);
  });
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://backend');
  const [, root, name = '', action] = pathname.split('/');
  const route = `${request.method} ${action ?? (name === '' ? 'list' : name)}`;
  if (root !== 'sagas') return send(response, 404, { message: 'there are only /sagas' });
  if (route === 'GET list') return send(response, 200, engine.sagas(queryOf(searchParams)));
  if (route === 'POST copy' || route === 'POST snapshot') {
    const body = await bodyOf(request);
    // The same id twice is the same saga: a client that had no answer just asks again.
    const saga = await (name === 'copy'
      ? engine.copy(body as CopyRequest & Submit)
      : engine.snapshot(body as SnapshotRequest & Submit));
    return send(response, 202, { id: saga.id, vm: saga.vm });
  }
  if (route === 'POST pivot' || route === 'POST abort') {
    const saga = await engine.resume(name, { signal: action === 'pivot' ? 'pivot' : 'abort' });
    return send(response, 200, await saga.result);
  }
  const saga = engine.saga(name);
  if (saga === undefined) throw new BlocksagaError('SAGA_UNKNOWN', `there is no saga ${name}`);
  if (route === 'GET events') return tell(saga, response);
  if (route === 'GET result') return send(response, 200, await saga.ended);
  send(response, 404, { message: `there is no ${route}` });
}

/** Notices as they come, and the result behind the last. A client that goes away changes nothing. */
async function tell(saga: Saga, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const event = (type: string, data: object) =>
    response.write(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
  for await (const notice of saga) {
    if (response.destroyed) return;
    event(notice.type, notice);
  }
  // Of a saga that was let go of, the next process tells: the client connects again.
  await saga.ended.then(
    result => event('result', result),
    () => undefined,
  );
  response.end();
}

/** What a process before this one has begun, and another one does not run. */
async function resumeAll(): Promise<void> {
  for (const state of ['open', 'needsRecovery'] as const) {
    let cursor: string | undefined;
    do {
      const page = engine.sagas({ state, ...(cursor === undefined ? {} : { cursor }) });
      for (const { id, operation } of page.sagas) await resumeOne(id, operation);
      cursor = page.next;
    } while (cursor !== undefined);
  }
}

async function resumeOne(id: string, operation: string): Promise<void> {
  try {
    // How it ends is told by the logger, and to those who ask; one that is let go of belongs to the next process.
    if (operation === 'group') (await engine.resumeGroup(id)).result.catch(() => undefined);
    else (await engine.resume(id)).ended.catch(() => undefined);
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    log({ saga: id, error: error.message });
  }
}

function queryOf(search: URLSearchParams) {
  const { vm, state, limit, cursor } = Object.fromEntries(search);
  return {
    ...(vm === undefined ? {} : { vm }),
    ...(state === undefined ? {} : { state: state as SagaStanding }),
    ...(limit === undefined ? {} : { limit: Number(limit) }),
    ...(cursor === undefined ? {} : { cursor }),
  };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > BODY_BYTES_MAX) throw new BlocksagaError('REQUEST_INVALID', 'the body is too long');
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new BlocksagaError('REQUEST_INVALID', 'the body is no JSON', { cause });
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  if (response.headersSent) return void response.end();
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}

function log(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

// Not `once`: a second one must not end it in the middle of this.
process.on('SIGTERM', async () => {
  await engine.close({ drain: 1_000 });
  await journal.close();
  process.exit(0);
});

// What a process that was killed has left there.
rmSync(socket, { force: true });
server.listen(socket, () => log({ listening: socket }));
await resumeAll();
