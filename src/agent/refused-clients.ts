/** Tells of clients with which there is no TLS, as of strangers who may come as often as they like: each once a minute, and few of them. */
import type { Clock } from '../qmp/clock.ts';
import type { TlsFault } from './tls-fault.ts';

export interface RefusedClient extends TlsFault {
  readonly client: string;
  /** So often more within the minute before. */
  readonly again?: number;
}

const MINUTE_MS = 60_000;
/** Told within one minute; of others the number alone. */
const CLIENTS_MAX = 32;

export class RefusedClients {
  readonly #tell: (refused: RefusedClient) => void;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #told = new Map<string, { readonly refused: RefusedClient; again: number }>();
  #others = 0;
  #sinceMs = Number.NEGATIVE_INFINITY;

  constructor(tell: (refused: RefusedClient) => void, clock: Pick<Clock, 'now'>) {
    this.#tell = tell;
    this.#clock = clock;
  }

  came(refused: RefusedClient): void {
    if (this.#clock.now() - this.#sinceMs >= MINUTE_MS) this.#beginMinute();
    const known = this.#told.get(refused.client);
    if (known !== undefined) known.again += 1;
    else if (this.#told.size >= CLIENTS_MAX) this.#others += 1;
    else {
      this.#told.set(refused.client, { refused, again: 0 });
      this.#tell(refused);
    }
  }

  /** Tells what has come since the last lines. */
  #beginMinute(): void {
    for (const { refused, again } of this.#told.values()) if (again > 0) this.#tell({ ...refused, again });
    if (this.#others > 0) {
      const words = 'no TLS with others either, who are not told one by one';
      this.#tell({ client: 'others', code: '', words, again: this.#others });
    }
    this.#told.clear();
    this.#others = 0;
    this.#sinceMs = this.#clock.now();
  }
}
