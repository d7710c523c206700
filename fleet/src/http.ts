/** The few things that an HTTP service on loopback must see to. Without any framework. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BlocksagaError } from '../../src/index.ts';

const BODY_BYTES_MAX = 1024 * 1024;
const LOCAL = /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?$/;

/** A page in a browser on this machine must not speak here under a name of its own. Throws REQUEST_INVALID. */
export function expectLocal({ headers, method }: IncomingMessage): void {
  if (!LOCAL.test(headers.host ?? '')) {
    throw new BlocksagaError('REQUEST_INVALID', `"${headers.host}" is no name of this machine's loopback`);
  }
  const type = headers['content-type'] ?? '';
  if (method === 'POST' && !type.startsWith('application/json')) {
    throw new BlocksagaError('REQUEST_INVALID', 'a POST has the content type application/json');
  }
}

/** Throws REQUEST_INVALID. */
export async function bodyOf(request: IncomingMessage): Promise<unknown> {
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

export function send(response: ServerResponse, status: number, body: object): void {
  if (response.headersSent) return void response.end();
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}
