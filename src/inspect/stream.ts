/** The page's live line (server-sent events): what has changed since it was last told. Asks the journal once a second. */
import type { ServerResponse } from 'node:http';
import { BlocksagaError } from '../errors.ts';
import type { Clock } from '../qmp/clock.ts';

/** How often the journal is looked at while a page is open. */
const LOOK_MS = 700;
/** More pages than these are told no news. */
const LISTENERS_MAX = 16;

/** What is told under a name, as text; it is sent where it differs from what was sent before. */
export type News = ReadonlyMap<string, () => unknown>;

export class Streams {
  readonly #clock: Clock;
  readonly #open = new Map<ServerResponse, { readonly news: News; readonly told: Map<string, string> }>();
  #stop: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** False where too many listen already. */
  add(response: ServerResponse, news: News): boolean {
    if (this.#open.size >= LISTENERS_MAX) return false;
    this.#open.set(response, { news, told: new Map() });
    response.on('close', () => this.#open.delete(response));
    this.#tell(response);
    this.#stop ??= this.#clock.after(LOOK_MS, () => this.#look());
    return true;
  }

  close(): void {
    this.#stop?.();
    for (const response of this.#open.keys()) response.end();
    this.#open.clear();
  }

  #look(): void {
    this.#stop = undefined;
    for (const response of this.#open.keys()) this.#tell(response);
    if (this.#open.size > 0) this.#stop = this.#clock.after(LOOK_MS, () => this.#look());
  }

  #tell(response: ServerResponse): void {
    const { news, told } = this.#open.get(response) ?? {};
    for (const [name, now] of news ?? []) {
      const text = JSON.stringify(answerOf(now));
      if (told?.get(name) === text) continue;
      told?.set(name, text);
      response.write(`event: ${name}\ndata: ${text}\n\n`);
    }
  }
}

/** The value, or the refusal in its place. */
function answerOf(ask: () => unknown): unknown {
  try {
    return ask();
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    return { refused: error.toJSON() };
  }
}
