/**
 * How long this process has held the guest paused, as the answers on its monitor say: from each `stop` that found the guest
 * running until it runs again. No wait for jobs outlasts what is left of the permitted pause, whichever step it is of: the
 * guest is resumed then, and the rest is done beside it. Nor does a wait for a reply that is lost. It sends nothing and
 * decides nothing.
 */
import type { Reply } from '../../qmp/client.ts';
import type { Clock } from '../../qmp/clock.ts';
import type { CallOptions, Command } from '../../qmp/commands.ts';
import type { UntilOptions } from '../../qmp/until.ts';

/** A failure in a shorter pause still has this long to be undone in it, in milliseconds. */
export const LEAST_MS = 200;
const POLL_MS = 20;
/** After how long without a reply QEMU is asked whether that is lost: where the guest runs; and at least, in any pause. */
const SOUNDING_MS = 2_000;
const SOUNDING_LEAST_MS = 50;
/** Run states that no `cont` leads out of, only a reset: such a guest is not held by a saga. */
const NEEDS_RESET: ReadonlySet<unknown> = new Set(['shutdown', 'guest-panicked', 'internal-error']);
const TELLS_OF_GUEST: ReadonlySet<string> = new Set(['query-status', 'stop', 'cont']);

export class PauseBound {
  readonly #clock: Clock;
  readonly #permittedMs: number;
  #sinceMs: number | undefined;
  /** Whether the guest ran when it was last looked at. */
  #ran = true;
  /** Whether a `stop` is on its way: what goes out behind it is in the pause that this begins. */
  #isStopping = false;

  constructor(clock: Clock, maxBlackoutMs: number) {
    this.#clock = clock;
    this.#permittedMs = Math.max(maxBlackoutMs, LEAST_MS);
  }

  /** What is left of the pause, in milliseconds; undefined where this process does not hold the guest. */
  get leftMs(): number | undefined {
    if (this.#sinceMs === undefined) return undefined;
    return Math.max(0, this.#sinceMs + this.#permittedMs - this.#clock.now());
  }

  get isOver(): boolean {
    return this.leftMs === 0;
  }

  /** The guest is paused by this saga since then, or since an earlier process of it. */
  began(sinceMs = this.#clock.now()): void {
    this.#sinceMs ??= sinceMs;
    this.#ran = false;
  }

  /** Commands that are being sent now; what it returns is to hear of their replies. Undefined for those that tell it nothing. */
  sending(commands: readonly Pick<Command, 'execute'>[]): ((replies: readonly Reply[]) => void) | undefined {
    if (!commands.some(({ execute }) => TELLS_OF_GUEST.has(execute))) return undefined;
    const sentMs = this.#clock.now();
    const stops = commands.some(({ execute }) => execute === 'stop');
    if (stops) this.#isStopping = true;
    return replies => {
      if (stops) this.#isStopping = false;
      for (const [at, { execute }] of commands.entries()) {
        const reply = replies[at];
        if (reply !== undefined) this.#heardOne(execute, reply, sentMs);
      }
    };
  }

  /**
   * The same options with the time after which QEMU is asked whether a reply is lost: in the pause, and for what begins it,
   * half of what is left of it, so that the other half is there for what follows from the answer.
   */
  sounding(commands: readonly Pick<Command, 'execute'>[], options: CallOptions | undefined): CallOptions {
    const begins = this.#isStopping || commands.some(({ execute }) => execute === 'stop');
    const leftMs = this.leftMs ?? (begins ? this.#permittedMs : undefined);
    const soundAfterMs = leftMs === undefined ? SOUNDING_MS : Math.max(SOUNDING_LEAST_MS, leftMs / 2);
    return { ...options, soundAfterMs };
  }

  #heardOne(execute: string, reply: Reply, sentMs: number): void {
    // What was not answered may have been done.
    if (execute === 'stop' && this.#ran && (reply.ok || reply.error.effect === 'unknown')) this.began(sentMs);
    if (!reply.ok) return;
    const { value } = reply;
    if (execute === 'query-status') this.#ran = isRunning(value);
    if (execute === 'cont') this.#ran = true;
    if (this.#ran || (execute === 'query-status' && needsReset(value))) this.#sinceMs = undefined;
  }

  /** The same wait, for no longer than what is left of the pause. */
  bounded(options: UntilOptions): UntilOptions {
    const { leftMs } = this;
    if (leftMs === undefined) return options;
    const { deadlineMs, pollMs = POLL_MS } = options;
    return {
      ...options,
      deadlineMs: Math.min(deadlineMs, leftMs),
      pollMs: Math.min(pollMs, POLL_MS),
      byWallClock: true,
    };
  }
}

function isRunning(status: unknown): boolean {
  return typeof status === 'object' && status !== null && 'running' in status && status.running === true;
}

function needsReset(status: unknown): boolean {
  return (
    typeof status === 'object' && status !== null && 'status' in status && NEEDS_RESET.has(status.status)
  );
}
