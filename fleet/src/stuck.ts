/**
 * Which of the fleet's invocations are stuck: those that Restate has paused, and those that fail again and again. Restate reports neither
 * by itself, and their objects are not free for another. Asked of its admin port; it changes nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

const stuck = z.object({
  id: z.string(),
  /** `guest/web/copy`. */
  target: z.string(),
  status: z.string(),
  last_failure: z.string().nullish(),
});

export interface Stuck {
  readonly id: string;
  readonly target: string;
  readonly status: string;
  readonly why: string | null;
}

export type AskStuck = () => Promise<readonly Stuck[]>;

/** An attempt may fail because something was just killed; these are more than a minute of them. */
const FAILURES = 20;
const ASK_MS = 3_000;
/** What is paused right behind a look that takes its time is told within ten seconds: that one, the wait, and the next. */
const LOOK_MS = 4_000;
const INVOCATIONS_MAX = 1_000;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** The names under which the endpoint serves; a Restate may have others beside them. */
const SERVICES = ['fleet', 'guest', 'move', 'instant'];
/** Of one that fails by falling silent an attempt is under way nearly always: how often it was begun tells, not what it does now. */
export const QUERY = `SELECT id, target, status, last_failure FROM sys_invocation
  WHERE target_service_name IN (${SERVICES.map(name => `'${name}'`).join(', ')})
  AND (status = 'paused' OR (retry_count >= ${FAILURES} AND status <> 'completed'))
  ORDER BY id LIMIT ${INVOCATIONS_MAX}`;

/** By that of these admin ports that answers first: all are asked at once, as a dead one is silent. */
export function stuckAt(admins: readonly string[]): AskStuck {
  return async () => {
    const answered = new AbortController();
    try {
      return await Promise.any(admins.map(admin => askOne(admin, answered.signal)));
    } catch (error) {
      if (!(error instanceof AggregateError)) throw error;
      const failures = error.errors.map(
        (each, at) => `${admins[at]}: ${each instanceof Error ? each.message : each}`,
      );
      throw new Error(`what Restate has paused is not known: ${failures.join('; ')}`, { cause: error });
    } finally {
      answered.abort();
    }
  };
}

async function askOne(admin: string, answered: AbortSignal): Promise<readonly Stuck[]> {
  const response = await fetch(new URL('query', `${admin.replace(/\/$/, '')}/`), {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ query: QUERY }),
    signal: AbortSignal.any([answered, AbortSignal.timeout(ASK_MS)]),
  });
  const text = await textOf(response);
  if (!response.ok) throw new Error(`status ${response.status}: ${text.slice(0, 1_000)}`);
  const { rows } = z.object({ rows: z.array(stuck) }).parse(JSON.parse(text));
  return rows.map(({ id, target, status, last_failure: why }) => ({ id, target, status, why: why ?? null }));
}

async function textOf(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.byteLength;
    if (bytes > ANSWER_BYTES_MAX) throw new Error('the answer is larger than 16 MiB');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** Tells of each when it is seen first, and when it is stuck no more: it goes on, or has ended; and once of an admin port that does not answer. */
export async function tellStuck(
  ask: AskStuck,
  log: (line: object) => void,
  signal: AbortSignal,
  rest: (signal: AbortSignal) => Promise<unknown> = restFor,
): Promise<void> {
  let known = new Map<string, Stuck>();
  let isSilent = false;
  while (!signal.aborted) {
    try {
      const now = new Map((await ask()).map(each => [each.id, each] as const));
      for (const [id, each] of now) if (!known.has(id)) log({ stuck: each });
      for (const [id, { target }] of known) if (!now.has(id)) log({ stuckNoMore: { id, target } });
      if (now.size === INVOCATIONS_MAX && known.size < INVOCATIONS_MAX)
        log({ error: `only the first ${INVOCATIONS_MAX} of what is stuck are told` });
      known = now;
      isSilent = false;
    } catch (error) {
      if (!isSilent) log({ error: error instanceof Error ? error.message : String(error) });
      isSilent = true;
    }
    await rest(signal);
  }
}

function restFor(signal: AbortSignal): Promise<unknown> {
  return sleep(LOOK_MS, undefined, { ref: false, signal }).catch(() => undefined);
}
