/**
 * A small orchestration backend on Fastify: `node server.ts JOURNAL SOCKET`. It takes requests over HTTP on a UNIX socket, tells
 * of sagas as server-sent events, resumes what a dead predecessor has left, and ends well on SIGTERM. Who may open the socket
 * may do all of it. `--import ./tracing.js` in front of `server.ts` sends its spans and metrics to where that file says.
 *
 *     curl --unix-socket SOCKET http://x/sagas/copy --json '{"id":"t1","qmp":"/run/vm.qmp","disks":[{"disk":"disk0","to":"/new/0.qcow2"}]}'
 *     curl --unix-socket SOCKET http://x/sagas/t1/events
 *     curl --unix-socket SOCKET http://x/sagas/t1/pivot -X POST
 *
 * `GET /openapi.json` has the requests. In a project of yours the import reads `from 'blocksaga'`.
 */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { Readable } from 'node:stream';
import { setInterval } from 'node:timers/promises';
import * as openTelemetry from '@opentelemetry/api';
import { fastify, LogController } from 'fastify';
import {
  BlocksagaError,
  createEngine,
  type Definition,
  type ErrorCode,
  type OfflineOptions,
  openJournal,
  type RequestSchema,
  recoverOffline,
  requestSchemas,
  type Saga,
  type SagaNotice,
  type SagaQuery,
  type SagaStanding,
  type SagaSummary,
  type SnapshotRequest,
  type Submit,
} from '../../src/index.ts';

const [file = 'journal.db', socket = 'backend.sock'] = process.argv.slice(2);

/** A request is checked, and not changed. */
const AS_IT_IS = { coerceTypes: false, removeAdditional: false, useDefaults: false, strict: false } as const;
const logController = new LogController({ disableRequestLogging: true });
const app = fastify({ logger: true, logController, ajv: { customOptions: AS_IT_IS } });
/** Sagas are kept for longer than any client repeats a request. */
const journal = openJournal(file, { keep: { days: 90, count: 100_000 } });
const engine = createEngine({
  journal,
  openTelemetry,
  logger: app.log,
  limits: { all: { copies: 32 }, perHost: { copies: 8 }, perTarget: { copies: 4, bandwidth: 400_000_000 } },
  onCommit: keepDisks,
  onListenerError: (error, where) => app.log.error({ err: error, ...where }, 'a listener failed'),
});

/** The VM's disks, as this backend's own records have them; being told twice does no harm. */
async function keepDisks({ vm, disks }: Definition): Promise<void> {
  app.log.info({ vm, disks: disks.map(disk => disk.file) }, 'its disks');
}

// Requests. Fastify checks what JSON Schema can say, and the engine the rest.

const GUEST = {
  qmp: { type: 'string', minLength: 1, description: "The path of its QEMU's monitor." },
  host: { type: 'string', description: 'The host that it runs on, for limits; this one unless told.' },
};
/** What is not decided by then is rolled back; by this process, and not by the next one. */
const WITHIN = { type: 'string', pattern: '^[1-9][0-9]{0,8}$', description: 'milliseconds' };
const paths: Record<string, object> = {};

/** With where the guest is, and without what no client may name: programs to be run here. */
function schemaOf(request: RequestSchema<object>) {
  const { $schema, properties, required, ...rest } = request.jsonSchema();
  const { onCommit, ...fields } = properties as Readonly<Record<string, object>>;
  return { ...rest, properties: { ...GUEST, ...fields }, required: ['qmp', ...(required as string[])] };
}

type Asked = Submit & Pick<SnapshotRequest, 'metadata'>;
type Full = <R extends Asked>(request: R) => R;

/** The same id twice is the same saga: a client that has had no answer asks again. */
function accepts<B>(url: string, body: object, begin: (asked: B, full: Full) => Promise<object>): void {
  const parameters = [{ in: 'header', name: 'x-within-ms', schema: WITHIN }];
  const requestBody = { required: true, content: { 'application/json': { schema: body } } };
  paths[url] = { post: { parameters, requestBody, responses: { 202: { description: 'begun, or known' } } } };
  const headers = { type: 'object', properties: { 'x-within-ms': WITHIN } };
  app.post(url, { schema: { body, headers } }, async ({ body, headers }, reply) => {
    const { traceparent, 'x-within-ms': withinMs } = headers;
    const signal = withinMs === undefined ? {} : { signal: AbortSignal.timeout(Number(withinMs)) };
    // The saga's spans link to the client's trace, in later processes too.
    const trace = typeof traceparent === 'string' ? { traceparent } : {};
    const full: Full = request => ({ ...request, ...signal, metadata: { ...request.metadata, ...trace } });
    return reply.code(202).send(await begin(body as B, full));
  });
}

function submits<R extends Asked>(name: keyof typeof requestSchemas, submit: (request: R) => Promise<Saga>) {
  accepts<R>(`/sagas/${name}`, schemaOf(requestSchemas[name]), async (request, full) => {
    const { id, vm } = await submit(full(request));
    return { id, vm };
  });
}

submits('snapshot', engine.snapshot.bind(engine));
submits('copy', engine.copy.bind(engine));
submits('pull', engine.pull.bind(engine));
submits('commit', engine.commit.bind(engine));
submits('revert', engine.revert.bind(engine));

const GROUP = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    members: { type: 'array', items: schemaOf(requestSchemas.snapshot) },
  },
  required: ['id', 'members'],
};
accepts<{ id: string; members: (SnapshotRequest & Submit)[] }>('/groups', GROUP, async (asked, full) => {
  const { id, members } = await engine.group(asked.members.map(full), { id: asked.id });
  return { id, members: members.map(member => member.id) };
});

app.get('/openapi.json', () => ({ openapi: '3.1.0', info: { title: 'blocksaga', version: '1' }, paths }));

// Sagas, and groups of them.

interface Of {
  Params: { id: string };
}
type Query = { [name in keyof SagaQuery]?: string } & Pick<SagaQuery, 'state'>;

const numberIn = (text: string | undefined) => (text === undefined ? text : Number(text));
const resultOf = async <R>(begun: Promise<{ readonly result: Promise<R> }>) => (await begun).result;

app.get<{ Querystring: Query }>('/sagas', ({ query: { limit, since, ...query } }) =>
  engine.sagas({ ...query, limit: numberIn(limit), since: numberIn(since) }),
);
app.get<Of>('/sagas/:id', ({ params }) => {
  const { id, vm, operation, metadata, plan } = sagaOf(params.id);
  return { id, vm, operation, metadata, plan };
});
app.get<Of>('/sagas/:id/result', ({ params }) => sagaOf(params.id).ended);
app.get<Of>('/sagas/:id/ready', ({ params }) => sagaOf(params.id).until('ready'));
app.post<Of>('/sagas/:id/resume', ({ params }) => resultOf(engine.resume(params.id)));
for (const signal of ['pivot', 'abort', 'keepCopies', 'keepSnapshot'] as const)
  app.post<Of>(`/sagas/:id/${signal}`, ({ params }) => resultOf(engine.resume(params.id, { signal })));
app.get<Of>('/groups/:id/result', ({ params }) => resultOf(engine.resumeGroup(params.id)));
app.post<Of>('/groups/:id/abort', async ({ params }) => (await engine.resumeGroup(params.id)).abort());

/** The images to boot from, when the guest's QEMU is gone. `"qemu":"dead"` promises that it is, and stays so. */
const OFFLINE = {
  type: ['object', 'null'],
  properties: { qemu: { const: 'dead' }, back: { type: 'boolean' } },
  additionalProperties: false,
};
app.post<Of & { Body: OfflineOptions | null }>(
  '/sagas/:id/recover',
  { schema: { body: OFFLINE } },
  ({ params, body }) => recoverOffline(journal, params.id, { ...body, publisher: keepDisks }),
);

function sagaOf(id: string): Saga {
  const saga = engine.saga(id);
  if (saga === undefined) throw new BlocksagaError('SAGA_UNKNOWN', `there is no saga ${id}`, { saga: id });
  return saga;
}

// Events.

/** Of this process: the one behind it tells all states again, marked as `replayed`. */
const run = randomUUID();

/** Notices as they come, and the result behind the last. A client that goes away changes nothing. */
app.get<Of>('/sagas/:id/events', ({ params, headers }, reply) => {
  const saga = sagaOf(params.id);
  const notices = saga[Symbol.asyncIterator]();
  reply.raw.once('close', () => notices.return?.());
  const [of, seen] = String(headers['last-event-id']).split(' ');
  const events = eventsOf(saga, notices, of === run ? Number(seen) : 0);
  return reply.type('text/event-stream').header('cache-control', 'no-store').send(Readable.from(events));
});

async function* eventsOf(saga: Saga, notices: AsyncIterator<SagaNotice>, seen: number) {
  yield 'retry: 1000\n\n';
  let at = 0;
  for (let next = await notices.next(); !next.done; next = await notices.next()) {
    const { type } = next.value;
    if (type === 'event') at += 1;
    if (at > seen) yield `id: ${run} ${at}\nevent: ${type}\ndata: ${JSON.stringify(next.value)}\n\n`;
  }
  // Of a saga that was let go of, the next process tells: the client connects again.
  const result = await saga.ended.catch(() => undefined);
  if (result !== undefined) yield `event: result\ndata: ${JSON.stringify(result)}\n\n`;
}

// What a client is told of a refusal; whatever else is 422.

const STATUS: Partial<Record<ErrorCode, number>> = {
  ...{ REQUEST_INVALID: 400, SAGA_UNKNOWN: 404, ID_CONFLICT: 409, VM_BUSY: 409, SAGA_STATE: 409 },
  ...{ DISK_BUSY: 409, CLOSED: 503, QMP_CONNECT: 503 },
};

app.setErrorHandler((error, _, reply) => {
  if (error instanceof BlocksagaError) return reply.code(STATUS[error.code] ?? 422).send(error.toJSON());
  // Fastify's own have a status, and are the client's.
  if (error instanceof Error && 'statusCode' in error && Number(error.statusCode) < 500)
    return reply.send(error);
  app.log.error({ err: error }, 'a fault of this backend');
  return reply.code(500).send({ code: 'INTERNAL', message: 'see the log' });
});

// Begin and end.

/** What a process has begun that is dead: this one's predecessor, or another one on the same journal. */
async function resumeAll(state: SagaStanding): Promise<void> {
  let cursor: string | undefined;
  do {
    const { sagas, next } = engine.sagas({ state, cursor });
    await Promise.all(sagas.map(resumeOne));
    cursor = next;
  } while (cursor !== undefined);
}

/** How it ends is told by the logger, and to those who ask; one that is let go of belongs to the next process. */
async function resumeOne({ id, operation }: SagaSummary): Promise<void> {
  try {
    if (operation === 'group') await engine.resumeGroup(id);
    else await engine.resume(id);
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    // VM_BUSY: another process that lives runs it.
    app.log[error.code === 'VM_BUSY' ? 'debug' : 'warn']({ err: error, saga: id }, 'not resumed');
  }
}

// Not `once`: a second one must not end it in the middle of this.
process.on('SIGTERM', async () => {
  await engine.close({ drain: 1_000 });
  // By now all streams have ended but those of clients that do not read.
  setTimeout(() => app.server.closeAllConnections(), 2_000).unref();
  await app.close();
  await journal.close();
  process.exit(0);
});

// What a process that was killed has left there.
rmSync(socket, { force: true });
await app.listen({ path: socket });
await resumeAll('open');
await resumeAll('needsRecovery');
for await (const _ of setInterval(30_000)) await resumeAll('open');
