/**
 * How a guest's object asks the agent of its host. It sends the token in clear to this machine's loopback alone, elsewhere by TLS,
 * follows no redirection, and nothing that comes back has the token in it: what Restate keeps of a call is what is returned or thrown.
 */
import { request as requestInClear } from 'node:http';
import { request as requestByTls } from 'node:https';
import * as restate from '@restatedev/restate-sdk';
import { faultOfServer } from '../../src/agent/tls-fault.ts';

export type AgentCall = <T = object>(
  agent: string,
  method: string,
  path: string,
  body?: object,
) => Promise<T>;

export interface CallOptions {
  readonly token: string;
  /** PEM: who signs the certificates of agents, beside the authorities that Node knows; and what this endpoint shows of itself. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

const CALL_MS = 10_000;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]'];

/** The agent's address, in one spelling. Throws a terminal error where the token would leave this machine in clear. */
export function agentAddress(text: unknown): string {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined;
  const isPrivate =
    url?.protocol === 'https:' || (url?.protocol === 'http:' && LOOPBACK.includes(url.hostname));
  if (url !== undefined && isPrivate && url.href === `${url.origin}/`) return url.origin;
  const why = `an agent is bound as "http://127.0.0.1:PORT" (or localhost, [::1]) or "https://HOST:PORT": its token is sent to no other machine in clear`;
  throw new restate.TerminalError(why, { errorCode: 400 });
}

/** A refusal is final; an agent that does not answer, says that it may later, or has another token, is asked again. */
export function callWith({ token, tls }: CallOptions): AgentCall {
  return async <T>(agent: string, method: string, path: string, body?: object): Promise<T> => {
    const { status, text } = await exchange(new URL(path, agentAddress(agent)), method, body, {
      token,
      ...(tls && { tls }),
    });
    // Whatever listens there may give back what it was sent.
    const told = JSON.parse(text.replaceAll(token, 'TOKEN')) as { readonly message?: string };
    if (status >= 200 && status < 300) return told as T;
    const why = `${method} ${path}: ${told.message ?? `status ${status}`}`;
    // Of 401 a saga under way knows nothing: the guest is not free for another because a token was changed.
    if (status >= 500 || status === 401 || status < 400) throw new Error(why);
    throw new restate.TerminalError(why, { errorCode: status });
  };
}

function exchange(
  url: URL,
  method: string,
  body: object | undefined,
  { token, tls = {} }: CallOptions,
): Promise<{ readonly status: number; readonly text: string }> {
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const options = {
    method,
    signal: AbortSignal.timeout(CALL_MS),
    headers: {
      authorization: `Bearer ${token}`,
      ...(sent === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(sent) }),
    },
  };
  return new Promise((resolve, reject) => {
    const asked =
      url.protocol === 'https:' ? requestByTls(url, { ...options, ...tls }) : requestInClear(url, options);
    const refused = (error: Error) => {
      const fault = url.protocol === 'https:' && !asked.reusedSocket ? faultOfServer(error) : undefined;
      const why = `no TLS with the agent at ${url.origin}: ${fault?.words} [${fault?.code}]`;
      reject(fault === undefined ? error : new Error(why, { cause: error }));
    };
    asked.once('error', refused).once('response', response => {
      let text = '';
      response
        .setEncoding('utf8')
        .on('data', (part: string) => {
          text += part;
          if (text.length > ANSWER_BYTES_MAX)
            asked.destroy(new Error(`${url.pathname} answers more than 16 MiB`));
        })
        .once('error', reject)
        .once('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.end(sent);
  });
}
