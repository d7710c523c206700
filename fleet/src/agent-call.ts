/**
 * How a guest's object asks the agent of its host. It sends the token to this machine's loopback alone, and nothing that comes back
 * has the token in it: what Restate keeps of a call is what is returned or thrown here.
 */
import * as restate from '@restatedev/restate-sdk';

export type AgentCall = <T = object>(
  agent: string,
  method: string,
  path: string,
  body?: object,
) => Promise<T>;

const CALL_MS = 10_000;
const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]'];

/** The agent's address, in one spelling. Throws a terminal error where it is not one of this machine's loopback. */
export function agentAddress(text: unknown): string {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' && LOOPBACK.includes(url.hostname) && url.href === `${url.origin}/`)
    return url.origin;
  const why = `an agent is bound as "http://127.0.0.1:PORT" (or localhost, [::1]): its token is sent to no other machine`;
  throw new restate.TerminalError(why, { errorCode: 400 });
}

/** A refusal is final; an agent that does not answer, says that it may later, or has another token, is asked again. */
export function callWith(token: string): AgentCall {
  return async <T>(agent: string, method: string, path: string, body?: object): Promise<T> => {
    const response = await fetch(new URL(path, agentAddress(agent)), {
      method,
      redirect: 'error',
      signal: AbortSignal.timeout(CALL_MS),
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    // Whatever listens there may give back what it was sent.
    const text = (await response.text()).replaceAll(token, 'TOKEN');
    const told = JSON.parse(text) as { readonly message?: string };
    if (response.ok) return told as T;
    const why = `${method} ${path}: ${told.message ?? response.statusText}`;
    // Of 401 a saga under way knows nothing: the guest is not free for another because a token was changed.
    if (response.status >= 500 || response.status === 401) throw new Error(why);
    throw new restate.TerminalError(why, { errorCode: response.status });
  };
}
