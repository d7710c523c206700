/**
 * Which of the fleet's invocations do not go on: those that Restate has paused, and those that fail again and again. Restate tells nobody
 * of them by itself, and their objects are not free for another. Asked of its admin port; it changes nothing.
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
/** Half of the ten seconds within which it is told. */
const LOOK_MS = 5_000;
const INVOCATIONS_MAX = 1_000;
const QUERY = `SELECT id, target, status, last_failure FROM sys_invocation
  WHERE status = 'paused' OR (status = 'backing-off' AND retry_count >= ${FAILURES}) LIMIT ${INVOCATIONS_MAX}`;

/** By the first of these admin ports that answers. */
export function stuckAt(admins: readonly string[]): AskStuck {
  return async () => {
    const failures: string[] = [];
    for (const admin of admins) {
      try {
        return await askOne(admin);
      } catch (error) {
        failures.push(`${admin}: ${error instanceof Error ? error.message : error}`);
      }
    }
    throw new Error(`what Restate has paused is not known: ${failures.join('; ')}`);
  };
}

async function askOne(admin: string): Promise<readonly Stuck[]> {
  const response = await fetch(new URL('query', `${admin.replace(/\/$/, '')}/`), {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ query: QUERY }),
    signal: AbortSignal.timeout(ASK_MS),
  });
  if (!response.ok) throw new Error(`status ${response.status}: ${await response.text()}`);
  const { rows } = z.object({ rows: z.array(stuck) }).parse(await response.json());
  return rows.map(({ id, target, status, last_failure: why }) => ({ id, target, status, why: why ?? null }));
}

/** Tells of each when it is seen first, and when it goes on; and once of an admin port that does not answer. */
export async function tellStuck(
  ask: AskStuck,
  log: (line: object) => void,
  signal: AbortSignal,
): Promise<void> {
  let known = new Map<string, Stuck>();
  let isSilent = false;
  while (!signal.aborted) {
    try {
      const now = new Map((await ask()).map(each => [each.id, each] as const));
      for (const [id, each] of now) if (!known.has(id)) log({ stuck: each });
      for (const [id, { target }] of known) if (!now.has(id)) log({ goesOn: { id, target } });
      known = now;
      isSilent = false;
    } catch (error) {
      if (!isSilent) log({ error: error instanceof Error ? error.message : String(error) });
      isSilent = true;
    }
    await sleep(LOOK_MS, undefined, { ref: false, signal }).catch(() => undefined);
  }
}
