/** Asks a fleet for its hosts while a page looks at it, and no more often than it can answer. It changes nothing there. */
import type { Clock } from '../qmp/clock.ts';
import type { FleetAnswer, FleetTold } from './fleet-told.ts';

/** Each look asks every agent. */
const LOOK_MS = 3_000;
/** What was told before is no longer shown as what is. */
const SILENT_MS = 2 * LOOK_MS;
/** A fleet tries an agent that is silent three times, for ten seconds each: what is asked for longer has been lost. */
const ASK_MS = 45_000;

const SILENT = `The fleet has not answered for more than ${SILENT_MS / 1000} s`;
const LOST = `The fleet has not answered within ${ASK_MS / 1000} s, and is asked again`;

export type AskFleet = (signal: AbortSignal) => Promise<FleetAnswer>;

export class FleetSight {
  readonly #ask: AskFleet;
  readonly #clock: Pick<Clock, 'now' | 'after'>;
  #told: FleetTold = { hosts: null, stuck: null, trouble: null };
  #askedMs = Number.NEGATIVE_INFINITY;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #asking: AbortController | undefined;

  constructor(ask: AskFleet, clock: Pick<Clock, 'now' | 'after'>) {
    this.#ask = ask;
    this.#clock = clock;
  }

  /** What was told last; asks again where that is old. What was told to a page that has been closed since is not told to the next. */
  now(): FleetTold {
    const nowMs = this.#clock.now();
    if (nowMs - this.#lookedMs > SILENT_MS) this.#told = { hosts: null, stuck: null, trouble: null };
    this.#lookedMs = nowMs;
    if (this.#asking === undefined && nowMs - this.#askedMs >= LOOK_MS) void this.#look();
    const isSilent = this.#asking !== undefined && nowMs - this.#askedMs > SILENT_MS;
    return isSilent ? { ...this.#told, trouble: SILENT } : this.#told;
  }

  close(): void {
    this.#asking?.abort();
  }

  async #look(): Promise<void> {
    const asking = new AbortController();
    this.#asking = asking;
    this.#askedMs = this.#clock.now();
    const cancel = this.#clock.after(ASK_MS, () => asking.abort());
    try {
      this.#told = { ...(await this.#ask(asking.signal)), trouble: null };
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#told = { ...this.#told, trouble: asking.signal.aborted ? LOST : why };
    } finally {
      cancel();
      this.#asking = undefined;
    }
  }
}
