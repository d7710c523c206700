/**
 * Who asks the fleet, by any node of its Restate, until it is answered. As a program it asks once, and can be killed:
 *
 *     caller.ts INGRESSES PATH ID BODY
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Told {
  readonly status: number;
  readonly body: { readonly [field: string]: unknown };
}

/** What one node may take; a stopped one takes for ever. */
const TRY_MS = 15_000;
/** Whatever has died, an answer comes within this. */
const ANSWER_MS = 240_000;
const BETWEEN_MS = 100;

export class Caller {
  readonly #ingresses: readonly string[];
  #turn = 0;

  constructor(ingresses: readonly string[]) {
    this.#ingresses = ingresses;
  }

  /** Asks a handler, by each node in turn; a refusal is an answer, the trouble of a node is none. */
  async ask(path: string, body?: unknown, key?: string): Promise<Told> {
    let why: unknown;
    for (const untilMs = Date.now() + ANSWER_MS; Date.now() < untilMs; await sleep(BETWEEN_MS)) {
      try {
        const told = await this.#once(path, body, key);
        if (told !== undefined) return told;
        why = 'a node could not tell';
      } catch (error) {
        why = error;
      }
    }
    throw new Error(`${path} was not answered within ${ANSWER_MS / 1000} s: ${why}`);
  }

  /** A handler of an object under an idempotency key, a workflow under its id: asked again it is the same. */
  async run(path: string, id: string, body: unknown): Promise<Told> {
    const isWorkflow = path.endsWith('/run');
    const begun = await this.ask(`${path}/send`, body, isWorkflow ? undefined : id);
    if (begun.status >= 300) return begun;
    const [workflow = '', key = ''] = path.split('/');
    const address = isWorkflow
      ? `restate/workflow/${workflow}/${key}/attach`
      : `restate/invocation/${begun.body['invocationId']}/attach`;
    return this.ask(address);
  }

  async #once(path: string, body: unknown, key: string | undefined): Promise<Told | undefined> {
    const ingress = this.#ingresses[this.#turn % this.#ingresses.length];
    this.#turn += 1;
    const isRead = path.startsWith('restate/');
    const response = await fetch(`${ingress}/${path}`, {
      method: isRead ? 'GET' : 'POST',
      signal: AbortSignal.timeout(TRY_MS),
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const told: Told = { status: response.status, body: text === '' ? {} : JSON.parse(text) };
    // A node that has just been started again does not know the handlers yet, and says so itself.
    const isUnready = response.status === 404 && told.body['source'] === 'ingress';
    if (isUnready) return undefined;
    const isOfHandler = response.status < 500 || /ask again with (the|another) id/.test(text);
    return isOfHandler ? told : undefined;
  }
}

if (import.meta.main) {
  const [ingresses = '[]', path = '', id = '', body = '{}'] = process.argv.slice(2);
  const told = await new Caller(JSON.parse(ingresses)).run(path, id, JSON.parse(body));
  process.stdout.write(JSON.stringify(told));
}
