/** The few things that an agent's HTTP must see to: who may ask, how long a body may be, how an answer looks. Without any framework. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BlocksagaError } from '../errors.ts';
import { isSame } from '../inspect/local-only.ts';
import type { Listening } from './listen.ts';

const BODY_BYTES_MAX = 1024 * 1024;

/** Why a request is refused before anything of it is read or done. */
export interface Refusal {
  readonly status: 401 | 403;
  readonly code: 'UNAUTHORIZED' | 'FORBIDDEN';
  readonly message: string;
}

/** Who has the token asks, under a name of this server, and not from a page in a browser. */
export function refusalOf(
  { headers }: IncomingMessage,
  token: string,
  { isOwnName, ownNames }: Pick<Listening, 'isOwnName' | 'ownNames'>,
): Refusal | undefined {
  if (!isOwnName(headers.host ?? ''))
    return forbidden(`the header Host names none of this server's names: ask the agent under ${ownNames}`);
  if (headers.origin !== undefined)
    return forbidden(
      'a request with the header Origin comes from a page in a browser, which asks nothing here',
    );
  const [, given] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? [];
  if (given !== undefined && isSame(given, token)) return undefined;
  const message = 'send the header "Authorization: Bearer TOKEN", with the token in the file of --token-file';
  return { status: 401, code: 'UNAUTHORIZED', message };
}

function forbidden(message: string): Refusal {
  return { status: 403, code: 'FORBIDDEN', message };
}

/** What is not read goes with its connection. */
export function refuse(response: ServerResponse, { status, code, message }: Refusal): void {
  response.setHeader('connection', 'close');
  if (status === 401) response.setHeader('www-authenticate', 'Bearer realm="blocksaga-agent"');
  send(response, status, { code, message });
}

/** Throws REQUEST_INVALID. */
export function expectJson({ headers, method }: IncomingMessage): void {
  if (method === 'POST' && !(headers['content-type'] ?? '').startsWith('application/json'))
    throw new BlocksagaError('REQUEST_INVALID', 'a POST has the content type application/json');
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
