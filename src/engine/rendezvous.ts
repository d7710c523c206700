/**
 * Where the members of a group meet that run in one process: nothing but memory, so that no word between them costs more than a
 * turn of the event loop. What the group has decided is not kept here; `decide` makes that durable.
 */
import type { Clock } from '../qmp/clock.ts';
import { type Barrier, groupIsBack } from '../steps/step/barrier.ts';

export class Rendezvous {
  readonly #size: number;
  readonly #clock: Clock;
  readonly #decide: () => Promise<'forward' | 'back'>;
  readonly #prepared = new Meeting();
  readonly #taken = new Meeting();
  readonly #confirmed = new Meeting();
  /** Whether it may still come to a decision, is at it, where no member can leave any more, or never will. */
  #state: 'open' | 'deciding' | 'left' = 'open';
  #firstVoteMs: number | undefined;
  #goMs: number | undefined;

  constructor(size: number, clock: Clock, decide: () => Promise<'forward' | 'back'>) {
    this.#size = size;
    this.#clock = clock;
    this.#decide = decide;
  }

  /** For how long the first that voted waited for the last; null where not all did. */
  get waitedMs(): number | null {
    return this.#firstVoteMs === undefined || this.#goMs === undefined
      ? null
      : this.#goMs - this.#firstVoteMs;
  }

  member(index: number): Barrier {
    return {
      prepared: () => this.#meet(this.#prepared, index),
      taken: withinMs => this.#vote(index, withinMs),
      confirmed: () => this.#confirm(index),
      leave: why => this.leave(why),
    };
  }

  leave(why: string): void {
    if (this.#state !== 'open') return;
    this.#state = 'left';
    const error = groupIsBack(why);
    for (const meeting of [this.#prepared, this.#taken, this.#confirmed]) meeting.gate.reject(error);
  }

  #meet(meeting: Meeting, index: number): Promise<void> {
    meeting.come.add(index);
    if (meeting.come.size === this.#size) meeting.gate.resolve();
    return meeting.gate.promise;
  }

  async #vote(index: number, withinMs: number): Promise<void> {
    this.#firstVoteMs ??= this.#clock.now();
    const cancel = this.#clock.after(withinMs, () =>
      this.leave(
        `the others were not all paused on their overlays within ${withinMs.toFixed(0)} ms, and a guest may not wait longer for them`,
      ),
    );
    try {
      await this.#meet(this.#taken, index);
      this.#goMs ??= this.#clock.now();
    } finally {
      cancel();
    }
  }

  #confirm(index: number): Promise<void> {
    const { come, gate } = this.#confirmed;
    come.add(index);
    if (come.size === this.#size && this.#state === 'open') {
      this.#state = 'deciding';
      this.#decide().then(
        verdict =>
          verdict === 'forward'
            ? gate.resolve()
            : gate.reject(groupIsBack('another process has taken it over and has decided so')),
        gate.reject,
      );
    }
    return gate.promise;
  }
}

/** One thing that all members come to before any goes on. */
class Meeting {
  readonly come = new Set<number>();
  readonly gate = Promise.withResolvers<void>();

  constructor() {
    this.gate.promise.catch(() => undefined); // told to those who come; where none does, it is no unhandled rejection
  }
}
