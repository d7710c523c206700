/**
 * The server of the page: on this machine only, behind a secret in its address. It hands out the page's files, what the journal
 * knows, and passes on what the buttons ask. It starts no saga, and resumes one only by what it was given for that.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { randomSecret } from '../engine/connection/ids.ts';
import { BlocksagaError, invariant } from '../errors.ts';
import { svgOf } from '../railway/draw.ts';
import { sceneAt } from '../railway/scene.ts';
import { accessOf, HEADERS } from './access.ts';
import type { ChartLog } from './chart-log.ts';
import { ChartRoutes, STATELY_HEADERS, STATELY_PAGE, STATELY_SCRIPT, STATELY_STYLE } from './chart-routes.ts';
import { type PageFile, pageFiles } from './files.ts';
import { type AskFleet, FleetSight } from './fleet-sight.ts';
import { savedPage } from './saved.ts';
import type { ShownJournal, ShownWith } from './shown-journal.ts';
import { Sources } from './sources.ts';
import { Streams } from './stream.ts';

/** The journal that is shown, and what goes with it. */
export interface InspectOptions extends ShownJournal, ShownWith {
  /** Journals that are shown in the same list; each has a name then. */
  readonly beside?: readonly ShownJournal[];
  /** 0, or left out, for one that is free. */
  readonly port?: number;
  /** The laboratory: what is asked of it, and what it gives, is for the page to know. */
  readonly lab?: Lab;
  /** The hosts of a fleet, as they are now. */
  readonly fleet?: AskFleet;
  /** Whether there is a page that hands inspection events on to Stately's, which a browser loads from the internet. */
  readonly stately?: boolean;
  /** The files of the page; those of this package unless given. */
  readonly files?: ReadonlyMap<string, PageFile>;
}

export interface Lab {
  /** What can be chosen, and, where a run was given, what is chosen at first. */
  readonly offers: unknown;
  run(choice: unknown): Promise<unknown>;
  /** Begins a run that is watched while it runs, or moves one on. */
  live(asked: unknown): Promise<unknown>;
}

export interface InspectServer {
  /** With the secret: a client that has it may look at all sagas, and ask them. */
  readonly address: string;
  /** Where XState inspectors may send to (`createWebSocketInspector({ url })`): the page draws their charts. */
  readonly inspectorUrl: string;
  /** What they have sent, and what a program of ours adds by itself. */
  readonly charts: ChartLog;
  close(): Promise<void>;
}

/** The most that a button says. */
const BODY_BYTES_MAX = 4096;

/** Throws REQUEST_INVALID where the page has not been made, or nothing can listen there. */
export async function serveInspect(options: InspectOptions): Promise<InspectServer> {
  const { clock } = options;
  const files = options.files ?? pageFiles();
  const sources = new Sources([options, ...(options.beside ?? [])], options);
  const streams = new Streams(clock);
  const charts = new ChartRoutes();
  const fleet = options.fleet && new FleetSight(options.fleet, clock);
  const secret = randomSecret();
  let port = options.port ?? 0;

  // Loaded when a page is served: that of `import` would be a fifth of the start of each command.
  const server = process.getBuiltinModule('node:http').createServer((request, response) => {
    answer(request, response).catch(error => {
      // The page is told; a bug of ours here must not end a program that shows others.
      const refusal = error instanceof BlocksagaError ? error : new BlocksagaError('INTERNAL', String(error));
      send(
        response,
        refusal.code === 'SAGA_UNKNOWN' ? 404 : 409,
        'application/json',
        JSON.stringify({ refused: refusal.toJSON() }),
      );
    });
  });
  server.on('upgrade', (request, socket, head) => {
    const access = accessOf(request, { port, secret });
    if ('status' in access || access.path !== 'xstate') socket.end(REFUSED);
    else charts.receive(request, socket, head);
  });
  server.maxConnections = 64;
  server.listen(port, '127.0.0.1');
  await Promise.race([
    once(server, 'listening'),
    once(server, 'error').then(([error]) => Promise.reject(noPort(error, port))),
  ]);
  const bound = server.address();
  invariant(typeof bound === 'object' && bound !== null, 'it listens on a port');
  port = bound.port;
  return {
    address: `http://127.0.0.1:${port}/${secret}/`,
    inspectorUrl: `ws://127.0.0.1:${port}/${secret}/xstate`,
    charts: charts.log,
    async close() {
      streams.close();
      fleet?.close();
      charts.close();
      sources.close();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const access = accessOf(request, { port, secret });
    if ('status' in access) return send(response, access.status, 'text/plain', access.why);
    const [what = '', id = ''] = access.path.split('/').map(decodeURIComponent);
    const of = access.query.get('of');
    if (request.method === 'POST') {
      if (what === 'lab' && options.lab !== undefined) {
        const asked = parsed(await textOf(request));
        const told = await (id === 'live' ? options.lab.live(asked) : options.lab.run(asked));
        return send(response, 200, 'application/json', JSON.stringify(told));
      }
      if (what === 'resume') {
        const { signal } = await bodyOf(request);
        await sources.of(of, id).resume(id, signal);
        return send(response, 200, 'application/json', JSON.stringify({ resumed: id }));
      }
      if (what !== 'ask') return send(response, 404, 'text/plain', 'nothing here');
      const { signal, value } = await bodyOf(request);
      await sources.of(of, id).ask(id, signal, value);
      return send(response, 200, 'application/json', JSON.stringify({ asked: signal }));
    }
    const file = files.get(what === '' ? 'page.html' : what);
    if (file !== undefined) return send(response, 200, file.type, file.text);
    if (what === 'lab')
      return send(response, 200, 'application/json', JSON.stringify(options.lab?.offers ?? null));
    if (what === 'news') return news(response, access.query);
    if (what === 'wire') {
      const from = Math.max(0, Math.trunc(Number(access.query.get('from') ?? 0)) || 0);
      return send(response, 200, 'application/json', JSON.stringify(sources.of(of, id).wire(id, from)));
    }
    if (what === 'doctor') {
      const found = await Promise.all(sources.all.map(source => source.findings()));
      return send(response, 200, 'application/json', JSON.stringify(found.flat()));
    }
    if (what === 'charts') return charts.tell(response);
    if (options.stately && what in STATELY) return stately(response, what);
    if (what === 'saga')
      return send(response, 200, 'application/json', JSON.stringify(sources.of(of, id).story(id)));
    if (what === 'picture')
      return save(response, `${id}.svg`, 'image/svg+xml', svgOf(sceneAt(sources.of(of, id).story(id))));
    if (what === 'saved') {
      const source = sources.of(of, id);
      const page = savedPage(files, source.story(id), source.wholeWire(id));
      return save(response, `${id}.html`, 'text/html; charset=utf-8', page);
    }
    return send(response, 404, 'text/plain', 'nothing here');
  }

  function stately(response: ServerResponse, what: string): void {
    const [type = '', text = ''] = STATELY[what] ?? [];
    response.writeHead(200, { ...STATELY_HEADERS, 'content-type': type });
    response.end(text);
  }

  function news(response: ServerResponse, query: URLSearchParams): void {
    const saga = query.get('saga');
    const of = query.get('of');
    const older = Number(query.get('older') ?? 0);
    const told = new Map<string, () => unknown>([
      ['list', () => sources.list(older)],
      ['more', () => sources.hasMore(older)],
      ['troubles', () => sources.troubles()],
    ]);
    if (fleet !== undefined) told.set('fleet', () => fleet.now());
    if (saga !== null) {
      told.set('story', () => sources.of(of, saga).story(saga));
      told.set('jobs', () => sources.of(of, saga).jobs() ?? null);
    }
    response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream' });
    if (!streams.add(response, told)) response.end();
  }
}

const REFUSED = 'HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n';

const STATELY: Readonly<Record<string, readonly [type: string, text: string]>> = {
  stately: ['text/html; charset=utf-8', STATELY_PAGE],
  'stately.js': ['text/javascript; charset=utf-8', STATELY_SCRIPT],
  'stately.css': ['text/css; charset=utf-8', STATELY_STYLE],
};

function send(response: ServerResponse, status: number, type: string, text: string): void {
  if (response.headersSent) {
    response.end();
    return;
  }
  response.writeHead(status, { ...HEADERS, 'content-type': type });
  response.end(text);
}

/** For the disk, not to be opened here. */
function save(response: ServerResponse, name: string, type: string, text: string): void {
  const plain = name.replaceAll(/[^\w.-]/g, '_');
  response.setHeader('content-disposition', `attachment; filename="blocksaga-${plain}"`);
  send(response, 200, type, text);
}

async function bodyOf(
  request: IncomingMessage,
): Promise<{ readonly signal: string; readonly value: unknown }> {
  const body = parsed(await textOf(request));
  if (typeof body !== 'object' || body === null || !('signal' in body) || typeof body.signal !== 'string') {
    throw new BlocksagaError('REQUEST_INVALID', 'no signal in what was asked');
  }
  return { signal: body.signal, value: 'value' in body ? body.value : null };
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > BODY_BYTES_MAX) throw new BlocksagaError('REQUEST_INVALID', 'too much was asked');
  }
  return text;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new BlocksagaError('REQUEST_INVALID', 'what was asked is no JSON', { cause: error });
  }
}

function noPort(error: unknown, port: number): BlocksagaError {
  return new BlocksagaError('REQUEST_INVALID', `nothing can listen at 127.0.0.1:${port}: ${String(error)}`, {
    cause: error,
  });
}
