/**
 * Keeps a saga's connection to QEMU: opens it, and opens it again when it broke. It never repeats a command; its sender
 * decides what an unknown outcome means.
 */
import { BlocksagaError } from '../../errors.ts';
import { openGuestClient } from '../../guest/storage-daemon.ts';
import type { QmpClient, QmpEvent } from '../../qmp/client.ts';
import type { Clock } from '../../qmp/clock.ts';
import type { Connect } from '../../qmp/transport.ts';
import { HeldGuest } from './held-guest.ts';
import { type HearWire, overheard } from './wire.ts';

export class Monitor {
  readonly #connect: Connect;
  readonly #clock: Clock;
  /** What has become of the guest by what was sent here. */
  readonly held = new HeldGuest();
  #client: Promise<QmpClient> | undefined;
  #hear: HearWire | undefined;
  #listener: ((event: QmpEvent) => void) | undefined;
  #lost: (() => void) | undefined;
  #closed = false;

  constructor(connect: Connect, clock: Clock) {
    this.#connect = connect;
    this.#clock = clock;
  }

  /** A live client; throws QMP_CONNECT when QEMU cannot be reached now. */
  async client(): Promise<QmpClient> {
    if (this.#closed)
      throw new BlocksagaError('QMP_CONNECT', 'this saga has left its QEMU', { retryable: false });
    const known = this.#client;
    const client = await known?.catch(() => undefined);
    if (client?.isOpen) return client;
    // Two callers may have found it closed: a second connection would wait for the first one's end, at a monitor that serves one.
    const opened = this.#client === known || this.#client === undefined ? this.#open() : this.#client;
    this.#client = opened;
    return opened;
  }

  async #open(): Promise<QmpClient> {
    const fresh = await openGuestClient(this.#watched(), { clock: this.#clock });
    fresh.subscribe(event => this.#listener?.(event));
    void fresh.closed.then(() => this.#closed || this.#lost?.());
    if (this.#closed) fresh.close();
    return fresh;
  }

  /** Hears the events of this and every later connection. */
  listen(listener: (event: QmpEvent) => void): void {
    this.#listener = listener;
  }

  /** Hears every message of this and every later connection. */
  overhear(hear: HearWire): void {
    this.#hear = hear;
  }

  /** Calls back when a connection has ended that this side did not end. */
  onLost(lost: () => void): void {
    this.#lost = lost;
  }

  /** Another one, to the same QEMU, for a saga that is begun again in the middle of its pause. */
  again(): Monitor {
    const again = new Monitor(this.#connect, this.#clock);
    again.held.wasPaused();
    return again;
  }

  #watched(): Connect {
    return overheard(this.held.watch(this.#connect), (to, message) => this.#hear?.(to, message));
  }

  close(): void {
    this.#closed = true;
    this.#client?.then(
      client => client.close(),
      () => undefined,
    );
  }
}
