/**
 * Looks at QEMU's block jobs again and again, on a monitor that is the page's own. It only asks; where QEMU does not answer, it
 * says so and tries again.
 */
import { BlocksagaError } from '../errors.ts';
import { openQmpClient, type QmpClient } from '../qmp/client.ts';
import type { Clock } from '../qmp/clock.ts';
import type { Connect } from '../qmp/transport.ts';
import type { JobsSeen } from './jobs-seen.ts';

const LOOK_MS = 700;
const AGAIN_MS = 3_000;

export class JobSight {
  readonly #connect: Connect;
  readonly #clock: Clock;
  #client: QmpClient | undefined;
  #seen: JobsSeen = { jobs: [], trouble: null, atMs: 0 };
  #isClosed = false;
  #cancel: () => void = () => {};

  constructor(connect: Connect, clock: Clock) {
    this.#connect = connect;
    this.#clock = clock;
    this.#look();
  }

  now(): JobsSeen {
    return this.#seen;
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
    this.#client?.close();
  }

  #look(): void {
    this.#ask().then(
      () => this.#again(LOOK_MS),
      error => {
        this.#client?.close();
        this.#client = undefined;
        const why = error instanceof BlocksagaError ? error.message : String(error);
        this.#seen = { jobs: [], trouble: why, atMs: this.#clock.epochMs() };
        this.#again(AGAIN_MS);
      },
    );
  }

  async #ask(): Promise<void> {
    this.#client ??= await openQmpClient(this.#connect, { clock: this.#clock });
    const jobs = await this.#client.execute('query-block-jobs');
    this.#seen = {
      jobs: jobs.map(({ device, offset, len, status, ready }) => ({
        job: device,
        status: ready ? 'ready' : (status ?? 'running'),
        currentBytes: Number(offset),
        totalBytes: Number(len),
      })),
      trouble: null,
      atMs: this.#clock.epochMs(),
    };
  }

  #again(afterMs: number): void {
    if (!this.#isClosed) this.#cancel = this.#clock.after(afterMs, () => this.#look());
    else this.#client?.close();
  }
}
