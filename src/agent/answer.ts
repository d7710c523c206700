/** What an agent answers to which request: addresses and methods on one side, its work on the other. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { BlocksagaError } from '../errors.ts';
import { type AgentWork, isOperation, isSignal, OPERATIONS } from './agent-work.ts';
import { bodyOf, expectJson, send } from './http.ts';
import { isVerb } from './wire.ts';

/** Throws what the work throws, and REQUEST_INVALID for what is no request of an agent. */
export async function answerOf(
  work: AgentWork,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  expectJson(request);
  const { method = '' } = request;
  const [root = '', name = '', action = '', last = '', verb = '', ...more] = partsOf(request.url ?? '/');
  const isAsked = method === 'GET';
  if (more.length > 0 || (!isAsked && method !== 'POST')) return nothing(request, response);
  if (root === 'groups' && action === 'parts' && isVerb(verb) && !isAsked) {
    const body = await bodyOf(request);
    return send(response, 200, await work.part(name, last, verb, body, goneWith(request)));
  }
  if (verb !== '') return nothing(request, response);
  const told = (body: object, status = 200) => send(response, status, body);
  if (isAsked) {
    if (root === 'status' && name === '') return told(await work.status());
    if (root === 'doctor' && action === '') return told({ findings: await work.findings(name) });
    if (root === 'guests' && name === '') return told({ guests: await work.guests() });
    if (root === 'guests' && action === '') return told(await work.guest(name));
    if (root === 'sagas' && name === '') return told(work.sagas());
    if (root === 'sagas' && action === '') return told(work.standing(name));
    if (root === 'sagas' && action === 'follow' && last === '') return follow(work, name, response);
    return nothing(request, response);
  }
  if (root === 'groups' && action === '') return told(await work.group(name, await bodyOf(request)), 202);
  if (root === 'sagas' && last === '') {
    if (isSignal(action)) return told(await work.ask(name, action), 202);
    if (action === 'setSpeed') return told(await work.setSpeed(name, await bodyOf(request)));
  }
  if (root === 'guests') {
    if (isOperation(action) && last === '')
      return told(await work.submit(name, action, await bodyOf(request)), 202);
    if (action === 'plan' && isOperation(last))
      return told(await work.plan(name, last, await bodyOf(request)));
  }
  nothing(request, response);
}

function partsOf(url: string): readonly string[] {
  const { pathname } = new URL(url, 'http://agent');
  try {
    return pathname.split('/').slice(1).map(decodeURIComponent);
  } catch (cause) {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `${pathname} is no address: it has a % that stands for nothing`,
      {
        cause,
      },
    );
  }
}

const goneOf = new WeakMap<Socket, AbortSignal>();

/** Aborts when the connection ends on which it was asked, also between two requests. */
function goneWith({ socket }: IncomingMessage): AbortSignal {
  const known = goneOf.get(socket);
  if (known !== undefined) return known;
  const gone = new AbortController();
  socket.once('close', () => gone.abort());
  goneOf.set(socket, gone.signal);
  return gone.signal;
}

function nothing({ method, url }: IncomingMessage, response: ServerResponse): void {
  const message = `there is no ${method} ${url}; GET /status, /doctor, /guests, /sagas, POST /guests/GUEST/OPERATION (${OPERATIONS.join(', ')})`;
  send(response, 404, { code: 'REQUEST_INVALID', message });
}

/** Notices as they come, one JSON object a line, and the result behind the last. */
async function follow(work: AgentWork, id: string, response: ServerResponse): Promise<void> {
  const saga = work.saga(id);
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
