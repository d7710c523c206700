/**
 * How one agent asks that of another host, over connections that stay open: what is asked in the pause of guests goes over one that
 * has carried an answer before. It sends the token in clear to this machine's loopback alone, elsewhere by TLS, and follows no
 * redirection.
 */
import { BlocksagaError } from '../errors.ts';
import { errorTold } from './junction-wire.ts';
import { faultOfServer, isFinal } from './tls-fault.ts';
import type { Wire } from './wire.ts';

export interface PeerOptions {
  readonly token: string;
  /** PEM: who signs the certificates of agents, beside the authorities that Node knows; and what this agent shows of itself. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

const ANSWER_CHARACTERS_MAX = 64 * 1024;
const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]'];

/** An agent's address, in one spelling. Throws REQUEST_INVALID where the token would leave this machine in clear. */
export function peerAddress(text: unknown): string {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined;
  const isPrivate =
    url?.protocol === 'https:' || (url?.protocol === 'http:' && LOOPBACK.includes(url.hostname));
  if (url !== undefined && isPrivate && url.href === `${url.origin}/`) return url.origin;
  const why = `${String(text)} is no address of an agent: say "https://HOST:PORT", or "http://127.0.0.1:PORT" on this machine, as the token is sent to no other in clear`;
  throw new BlocksagaError('REQUEST_INVALID', why);
}

/** The messages of one host's part of a group to the agent that leads it. */
export function wireTo(
  { agent, group, host }: { readonly agent: string; readonly group: string; readonly host: string },
  { token, tls = {} }: PeerOptions,
): Wire {
  const address = peerAddress(agent);
  const isTls = address.startsWith('https:');
  // Loaded when an agent is asked: that of `import` would be a fifth of the start of each command.
  const [inClear, byTls] = [process.getBuiltinModule('node:http'), process.getBuiltinModule('node:https')];
  const open = isTls ? new byTls.Agent({ keepAlive: true, ...tls }) : new inClear.Agent({ keepAlive: true });
  const ask = isTls ? byTls.request : inClear.request;
  return async (verb, body, { withinMs, signal }) => {
    const path = ['groups', group, 'parts', host, verb].map(encodeURIComponent).join('/');
    const sent = JSON.stringify(body);
    const timeout = AbortSignal.timeout(Math.ceil(withinMs));
    let wasHeard = false;
    const { status, text } = await new Promise<{ readonly status: number; readonly text: string }>(
      (resolve, reject) => {
        const asked = ask(new URL(path, `${address}/`), {
          ...{ method: 'POST', agent: open },
          signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
          headers: {
            authorization: `Bearer ${token}`,
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(sent),
          },
        });
        asked.once('error', reject).once('response', response => {
          wasHeard = true;
          let heard = '';
          response
            .setEncoding('utf8')
            .on('data', (part: string) => {
              heard += part;
              if (heard.length > ANSWER_CHARACTERS_MAX)
                asked.destroy(new Error(`${address} answers more than ${ANSWER_CHARACTERS_MAX} characters`));
            })
            .once('error', reject)
            .once('end', () => resolve({ status: response.statusCode ?? 0, text: heard }));
        });
        asked.once('socket', () => {
          wasHeard ||= asked.reusedSocket;
        });
        asked.end(sent);
      },
    ).catch(cause => {
      const fault =
        isTls && !wasHeard && !timeout.aborted && !signal?.aborted ? faultOfServer(cause) : undefined;
      if (fault !== undefined)
        throw unheard(
          `no TLS with the agent at ${address} for group ${group}: ${fault.words} [${fault.code}]`,
          { cause, retryable: !isFinal(fault) },
        );
      const why = timeout.aborted ? `no answer within ${withinMs.toFixed(0)} ms` : String(cause);
      throw unheard(`the agent at ${address} was not heard on "${verb}" of group ${group}: ${why}`, {
        cause,
      });
    });
    // Whatever listens there may give back what it was sent.
    const told = parsed(text.replaceAll(token, 'TOKEN'));
    if (status >= 200 && status < 300 && told !== undefined) return told;
    if (status >= 400 && status < 500 && status !== 401 && status !== 403) throw errorTold(told);
    const words = errorTold(told).message;
    throw unheard(`the agent at ${address} answers "${verb}" of group ${group} with ${status}: ${words}`);
  };
}

/** GROUP, worth another try as long as nothing was begun, unless told otherwise. */
function unheard(why: string, { cause, retryable = true }: Unheard = {}): BlocksagaError {
  return new BlocksagaError('GROUP', why, { retryable, cause });
}

interface Unheard {
  readonly cause?: unknown;
  readonly retryable?: boolean;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
