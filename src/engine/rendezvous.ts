/**
 * Where the members of a group meet that run in one process: nothing but memory, so that no word between them costs more than a
 * turn of the event loop. Where the group has members on other hosts too, all of these are one member there, `above`: who has come
 * last here comes there for all. What the group has decided is not kept here; `decide` makes that durable.
 */
import type { Clock } from '../qmp/clock.ts';
import { type Barrier, groupIsBack } from '../steps/step/barrier.ts';

export class Rendezvous {
  readonly #size: number;
  /** How many of them are members of this host themselves. */
  readonly #here: number;
  readonly #clock: Clock;
  readonly #decide: () => Promise<'forward' | 'back'>;
  readonly #above: Above | undefined;
  readonly #prepared = new Meeting();
  readonly #converged = new Meeting();
  readonly #looked = new Meeting();
  readonly #taken = new Meeting();
  readonly #resumed = new Meeting();
  readonly #confirmed = new Meeting();
  /** Whose guests were seen paused when `go` had come. */
  readonly #paused = new Set<number>();
  /** Whether it may still come to a decision, is at it, where no member can leave any more, or never will. */
  #state: 'open' | 'deciding' | 'left' = 'open';
  readonly #left = new AbortController();
  #firstVoteMs: number | undefined;
  #goMs: number | undefined;
  /** When the first of them that have voted goes back by itself. */
  #untilMs = Number.POSITIVE_INFINITY;

  constructor(
    { here, elsewhere = 0 }: { readonly here: number; readonly elsewhere?: number },
    clock: Clock,
    decide: () => Promise<'forward' | 'back'>,
    above?: Above,
  ) {
    this.#size = here + elsewhere;
    this.#here = here;
    this.#clock = clock;
    this.#decide = decide;
    this.#above = above;
    above?.left.addEventListener('abort', () => this.#end(above.left.reason), { once: true });
  }

  /** For how long the first that voted waited for the last; null where not all did. */
  get waitedMs(): number | null {
    return this.#firstVoteMs === undefined || this.#goMs === undefined
      ? null
      : this.#goMs - this.#firstVoteMs;
  }

  member(index: number): Barrier {
    return {
      left: this.#left.signal,
      prepared: () => this.#meet(this.#prepared, index, above => above.prepared()),
      converged: () => this.#meet(this.#converged, index, above => above.converged()),
      looked: () => this.#meetHere(this.#looked, index),
      hasLooked: () => this.#looked.come.size === this.#here,
      taken: withinMs => this.#vote(index, withinMs),
      resumed: () => this.#meetHere(this.#resumed, index),
      sawPaused: () => void this.#paused.add(index),
      confirmed: () => this.#confirm(index),
      leave: why => this.leave(why),
    };
  }

  leave(why: string): void {
    if (this.#state !== 'open') return;
    this.#above?.leave(why);
    this.#end(groupIsBack(why));
  }

  #end(error: unknown): void {
    if (this.#state !== 'open') return;
    this.#state = 'left';
    for (const meeting of [this.#prepared, this.#converged, this.#looked, this.#taken, this.#confirmed])
      meeting.gate.reject(error);
    this.#resumed.gate.resolve();
    this.#left.abort(error);
  }

  #meet(meeting: Meeting, index: number, comeFor: (above: Above) => Promise<void>): Promise<void> {
    const isNew = !meeting.come.has(index);
    meeting.come.add(index);
    if (isNew && meeting.come.size === this.#size) {
      if (this.#above === undefined) meeting.gate.resolve();
      else comeFor(this.#above).then(meeting.gate.resolve, error => this.#end(error));
    }
    return meeting.gate.promise;
  }

  /** Of this host alone: a word to the others and back would be longer than what it saves. */
  #meetHere({ come, gate }: Meeting, index: number): Promise<void> {
    come.add(index);
    if (come.size === this.#here) gate.resolve();
    return gate.promise;
  }

  async #vote(index: number, withinMs: number): Promise<void> {
    const nowMs = this.#clock.now();
    this.#firstVoteMs ??= nowMs;
    this.#untilMs = Math.min(this.#untilMs, nowMs + withinMs);
    const cancel = this.#clock.after(withinMs, () =>
      this.leave(
        `the others were not all paused, with their new images complete, within ${withinMs.toFixed(0)} ms, and a guest may not wait longer for them`,
      ),
    );
    try {
      await this.#meet(this.#taken, index, above => above.taken(this.#untilMs - this.#clock.now()));
      this.#goMs ??= this.#clock.now();
    } finally {
      cancel();
    }
  }

  #confirm(index: number): Promise<void> {
    const { come, gate } = this.#confirmed;
    void this.#meetHere(this.#resumed, index); // one that was found resumed has not come there
    if (index < this.#here && !this.#paused.has(index))
      this.leave('one of its guests was not seen paused when all had their snapshots');
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

/** The group as a member of one on other hosts. */
type Above = Omit<Barrier, 'confirmed' | OfHost>;

/** What the members of one host tell each other alone. */
export type OfHost = 'looked' | 'hasLooked' | 'resumed' | 'sawPaused';

/** One thing that all members come to before any goes on. */
class Meeting {
  readonly come = new Set<number>();
  readonly gate = Promise.withResolvers<void>();

  constructor() {
    this.gate.promise.catch(() => undefined); // told to those who come; where none does, it is no unhandled rejection
  }
}
