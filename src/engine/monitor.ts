/**
 * Keeps a saga's connection to QEMU: opens it, and opens it again when it broke. It never repeats a command; whoever
 * sent one decides what its unknown outcome means.
 */
import { openQmpClient, type QmpClient, type QmpEvent } from '../qmp/client.ts';
import type { Clock } from '../qmp/clock.ts';
import type { Connect } from '../qmp/transport.ts';

export class Monitor {
  readonly #connect: Connect;
  readonly #clock: Clock;
  #client: Promise<QmpClient> | undefined;
  #listener: ((event: QmpEvent) => void) | undefined;
  #closed = false;

  constructor(connect: Connect, clock: Clock) {
    this.#connect = connect;
    this.#clock = clock;
  }

  /** A live client; throws QMP_CONNECT when QEMU cannot be reached now. */
  async client(): Promise<QmpClient> {
    const client = this.#client === undefined ? undefined : await this.#client.catch(() => undefined);
    if (client?.isOpen) return client;
    this.#client = openQmpClient(this.#connect, { clock: this.#clock });
    const fresh = await this.#client;
    fresh.subscribe(event => this.#listener?.(event));
    if (this.#closed) fresh.close();
    return fresh;
  }

  /** Hears the events of this and every later connection. */
  listen(listener: (event: QmpEvent) => void): void {
    this.#listener = listener;
  }

  close(): void {
    this.#closed = true;
    this.#client?.then(
      client => client.close(),
      () => undefined,
    );
  }
}
