/**
 * Time that passes only when nothing else can happen. One clock may drive many simulators at once. Everything that waits
 * (replies, block jobs, the engine's own deadlines) is in one queue, ordered by time and then by age.
 */

import { nextTick } from 'node:process';
import { setImmediate } from 'node:timers/promises';
import { invariant } from '../../errors.ts';
import { afterIfAlive, type Clock } from '../../qmp/clock.ts';

/** A `Clock` whose time stops until it is run; a warning of the process tells of what waits for one that nothing runs. */
export interface VirtualClock extends Clock {
  /**
   * Lets time pass until the promise settles, and gives its value or throws its error. Throws when nothing is left that
   * could ever settle it, or after `eventsMax` events (10 million unless told).
   */
  run<T>(promise: Promise<T>, eventsMax?: number): Promise<T>;
  /** Lets `ms` of virtual time pass. */
  advance(ms: number): Promise<void>;
  /** Waiting callbacks. */
  readonly pending: number;
  /** As `after` without a delay, for what is awaited by nothing: time that does not move before it is no mistake. */
  unawaited(callback: () => void): void;
}

interface Timer {
  readonly at: number;
  readonly order: number;
  callback: (() => void) | undefined;
}

/** Virtual epoch: 2026-01-01T00:00:00Z, so that records carry dates that people can read. */
const EPOCH_MS = 1_767_225_600_000;
/** So many cancelled timers may wait for their time. */
const CANCELLED_MIN = 8;
/** A jump longer than this asks the event loop first whether anything else is runnable. */
const SHORT_JUMP_MS = 1;
/** What waits for so long in real time with nothing that drives this one is told of, in milliseconds. */
const UNDRIVEN_MS = 1_000;
/** Turns of the event loop without any virtual event before a wait counts as endless. */
const IDLE_TURNS_MAX = 2_000;

export interface VirtualClockOptions {
  /**
   * Everything that time waits for is promises: no files, no sockets, no other timers. Saves asking the event loop at
   * each jump, which costs more than most of what a simulated QEMU does. Such a clock is driven to its end, and is not watched.
   */
  readonly promisesOnly?: boolean;
  /** Asked before anything happens at a moment: time does not move on before what it gives has settled. For those who watch. */
  readonly pace?: (atMs: number) => Promise<void> | undefined;
}

/** @example const clock = createVirtualClock(); await clock.run(sleep(clock, 60_000)); // returns at once */
export function createVirtualClock(options: VirtualClockOptions = {}): VirtualClock {
  return new QueueClock(options.promisesOnly ?? false, options.pace);
}

class QueueClock implements VirtualClock {
  readonly #promisesOnly: boolean;
  readonly #pace: VirtualClockOptions['pace'];
  #heap: Timer[] = [];
  #nowMs = 0;
  #order = 0;
  #cancelled = 0;
  #drivers = 0;
  /** How many runs and advances there were. */
  #drives = 0;
  #isWatched = false;
  /** How many of the waiting callbacks are awaited by nothing. */
  #unawaited = 0;

  constructor(promisesOnly: boolean, pace: VirtualClockOptions['pace']) {
    this.#promisesOnly = promisesOnly;
    this.#pace = pace;
  }

  now(): number {
    return this.#nowMs;
  }

  epochMs(): number {
    return EPOCH_MS + this.#nowMs;
  }

  get pending(): number {
    return this.#heap.length - this.#cancelled;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { at: this.#nowMs + Math.max(0, delayMs), order: this.#order++, callback };
    push(this.#heap, timer);
    this.#expectDriver();
    return () => {
      if (timer.callback === undefined) return;
      timer.callback = undefined;
      this.#cancelled += 1;
      if (this.#cancelled > CANCELLED_MIN && this.#cancelled * 2 > this.#heap.length) this.#forgetCancelled();
    };
  }

  unawaited(callback: () => void): void {
    this.#unawaited += 1;
    this.after(0, () => {
      this.#unawaited -= 1;
      callback();
    });
  }

  run<T>(promise: Promise<T>, eventsMax = 10_000_000): Promise<T> {
    return this.#driving(() => this.#run(promise, eventsMax));
  }

  advance(ms: number): Promise<void> {
    return this.#driving(() => this.#advance(ms));
  }

  async #driving<T>(drive: () => Promise<T>): Promise<T> {
    this.#drivers += 1;
    this.#drives += 1;
    try {
      return await drive();
    } finally {
      this.#drivers -= 1;
      this.#expectDriver();
    }
  }

  get #isAwaited(): boolean {
    return this.pending > this.#unawaited;
  }

  /** Warns, once in a process, if a real second from now something still waits, and nothing has driven this clock since. */
  #expectDriver(): void {
    if (this.#drivers > 0 || this.#isWatched || this.#promisesOnly || !this.#isAwaited) return;
    this.#isWatched = true;
    const drives = this.#drives;
    afterIfAlive(UNDRIVEN_MS, () => {
      this.#isWatched = drives === this.#drives && this.#isAwaited;
      if (this.#isWatched) warnUndriven(this.#nowMs);
      else this.#expectDriver();
    });
  }

  async #run<T>(promise: Promise<T>, eventsMax: number): Promise<T> {
    let settled = false;
    const settle = () => {
      settled = true;
    };
    promise.then(settle, settle);
    let idleTurns = 0;
    for (let events = 0; events < eventsMax; ) {
      await promisesToRest();
      if (settled) return promise;
      const next = this.#dropCancelled();
      if (next === undefined || (!this.#promisesOnly && next.at - this.#nowMs > SHORT_JUMP_MS)) {
        await setImmediate();
        if (settled) return promise;
        if (next === undefined || this.#dropCancelled() !== next) {
          idleTurns += 1;
          if (idleTurns > IDLE_TURNS_MAX) {
            throw new Error(
              `nothing is left to happen at ${this.#nowMs} ms of virtual time, and the wait has not ended`,
            );
          }
          continue;
        }
      }
      idleTurns = 0;
      events += 1;
      if (this.#pace !== undefined) await this.#pace(next.at);
      this.#fireNext();
    }
    throw new Error(`still not settled after ${eventsMax} events, at ${this.#nowMs} ms of virtual time`);
  }

  async #advance(ms: number): Promise<void> {
    const until = this.#nowMs + ms;
    for (;;) {
      await (this.#promisesOnly ? promisesToRest() : setImmediate());
      const next = this.#dropCancelled();
      if (next === undefined || next.at > until) break;
      if (this.#pace !== undefined) await this.#pace(next.at);
      this.#fireNext();
    }
    this.#nowMs = Math.max(this.#nowMs, until);
  }

  #fireNext(): void {
    const timer = pop(this.#heap);
    invariant(timer, 'fireNext is called with a timer waiting');
    if (timer.callback === undefined) {
      this.#cancelled -= 1;
      return;
    }
    this.#nowMs = Math.max(this.#nowMs, timer.at);
    const callback = timer.callback;
    timer.callback = undefined;
    callback();
  }

  /** Most timers are deadlines, and are cancelled long before their time. What is sorted is a heap. */
  #forgetCancelled(): void {
    this.#heap = this.#heap.filter(timer => timer.callback !== undefined).sort(byTime);
    this.#cancelled = 0;
  }

  #dropCancelled(): Timer | undefined {
    const heap = this.#heap;
    while (heap[0] !== undefined && heap[0].callback === undefined) {
      pop(heap);
      this.#cancelled -= 1;
    }
    return heap[0];
  }
}

/** As Node's own warnings of this kind: a suite that gives up simulators on purpose is not to be filled with it. */
let hasWarned = false;

function warnUndriven(nowMs: number): void {
  if (hasWarned || typeof process === 'undefined') return; // a browser has no warnings
  hasWarned = true;
  process.emitWarning(
    `the simulator's virtual time stands at ${Math.round(nowMs)} ms, and something waits for it: wrap what you await in sim.run(promise), ` +
      'let time pass with sim.advance(ms), or give the simulator the realTimeClock, which needs neither',
    { type: 'BlocksagaWarning', code: 'BLOCKSAGA_VIRTUAL_TIME' },
  );
}

/** Node runs the next tick when every promise that can settle by itself has. */
function promisesToRest(): Promise<void> {
  return new Promise(resolve => nextTick(resolve));
}

function before(a: Timer, b: Timer): boolean {
  return byTime(a, b) < 0;
}

function byTime(a: Timer, b: Timer): number {
  return a.at - b.at || a.order - b.order;
}

function push(heap: Timer[], timer: Timer): void {
  let index = heap.length;
  heap.push(timer);
  while (index > 0) {
    const parent = (index - 1) >> 1;
    const above = heap[parent] as Timer;
    if (!before(timer, above)) break;
    heap[index] = above;
    index = parent;
  }
  heap[index] = timer;
}

function pop(heap: Timer[]): Timer | undefined {
  const top = heap[0];
  const last = heap.pop();
  if (top === undefined || last === undefined || heap.length === 0) return top;
  let index = 0;
  for (;;) {
    let child = 2 * index + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1] as Timer, heap[child] as Timer)) child += 1;
    const below = heap[child] as Timer;
    if (!before(below, last)) break;
    heap[index] = below;
    index = child;
  }
  heap[index] = last;
  return top;
}
