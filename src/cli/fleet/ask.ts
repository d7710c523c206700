/** Asks a fleet by the ingress of its Restate: an HTTP client, and no part of Restate's SDK. Bounded, and what comes is checked. */
import { z } from 'zod';
import { BlocksagaError } from '../../errors.ts';

const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/** `object/key/handler`. */
type Handler = readonly [service: string, key: string, handler: string];

/** Tells all hosts, each with what its agent tells of it. */
export const HOSTS_ASKED: Handler = ['fleet', 'hosts', 'hosts'];
/** Tells what Restate has paused, or tries in vain. */
export const STUCK_ASKED: Handler = ['fleet', 'hosts', 'stuck'];

export interface Fleet {
  /** The result of a handler. Throws REQUEST_INVALID for what it refuses, and for a Restate that does not answer or says something else. */
  ask<T>(handler: Handler, body: unknown, shape: z.ZodType<T>, signal?: AbortSignal): Promise<T>;
  /** The result of a workflow, which is begun unless there is one of this id. Throws as `ask` does. */
  run<T>(workflow: string, id: string, body: unknown, shape: z.ZodType<T>): Promise<T>;
}

/** `option` is what it was said by. */
export function fleetAt(
  ingress: string,
  { signal: leaving, option = '--ingress' }: { readonly signal?: AbortSignal; readonly option?: string } = {},
): Fleet {
  if (!URL.canParse(ingress) || !/^https?:$/.test(new URL(ingress).protocol))
    throw refused(
      `${option} ${ingress}: say the address of Restate's ingress, such as http://127.0.0.1:8080`,
    );
  const address = (parts: readonly string[]) =>
    new URL(parts.map(encodeURIComponent).join('/'), `${ingress.replace(/\/$/, '')}/`);
  const ask = async <T>(
    url: URL,
    method: string,
    body: unknown,
    shape: z.ZodType<T>,
    signal = leaving,
  ): Promise<T> => {
    const { ok, text } = await exchange(url, { method, body, signal, option });
    const told = jsonIn(text, url);
    if (!ok) throw refused(messageIn(told) ?? `${url} refused, without a word`);
    const read = shape.safeParse(told);
    if (read.success) return read.data;
    throw refused(`${url} answered something else: ${z.prettifyError(read.error).replaceAll('\n', ' ')}`);
  };
  return {
    ask: (handler, body, shape, signal) => ask(address(handler), 'POST', body, shape, signal),
    async run(workflow, id, body, shape) {
      await ask(address([workflow, id, 'run', 'send']), 'POST', body, z.unknown());
      return ask(address(['restate', 'workflow', workflow, id, 'attach']), 'GET', undefined, shape);
    },
  };
}

interface Exchange {
  readonly method: string;
  readonly body: unknown;
  readonly signal: AbortSignal | undefined;
  readonly option: string;
}

async function exchange(url: URL, { method, body, signal, option }: Exchange) {
  try {
    const response = await fetch(url, {
      method,
      redirect: 'error',
      ...(signal === undefined ? {} : { signal }),
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    let text = '';
    const decoder = new TextDecoder();
    for await (const part of response.body ?? []) {
      text += decoder.decode(part, { stream: true });
      if (text.length > ANSWER_BYTES_MAX) throw new Error('the answer is larger than 64 MiB');
    }
    return { ok: response.ok, text };
  } catch (cause) {
    if (signal?.aborted) throw cause;
    const why = cause instanceof Error && cause.cause !== undefined ? String(cause.cause) : String(cause);
    throw refused(
      `the fleet does not answer at ${url.origin}: ${why}; ${option} says where Restate's ingress is`,
      cause,
    );
  }
}

function jsonIn(text: string, url: URL): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw refused(`${url} answered no JSON`, cause);
  }
}

function messageIn(told: unknown): string | undefined {
  const read = z.object({ message: z.string() }).safeParse(told);
  return read.success ? read.data.message : undefined;
}

function refused(why: string, cause?: unknown): BlocksagaError {
  return new BlocksagaError('REQUEST_INVALID', why, cause === undefined ? {} : { cause });
}
