/** The live runs of a laboratory: a few at a time, by number. What is asked of them is checked; what they are is theirs. */
import { z } from 'zod';
import { BlocksagaError } from '../errors.ts';
import type { Clock } from '../qmp/clock.ts';
import { readChoice, scenarioOf } from './choice.ts';
import type { LiveTold } from './lab-types.ts';
import { LiveRun } from './live-run.ts';

/** One more, and the oldest is let go of. */
const RUNS_MAX = 4;

const asked = z.union([
  z.strictObject({ begin: z.unknown(), untilMs: z.number().min(0).max(1e9) }),
  z.strictObject({
    run: z.int(),
    act: z.discriminatedUnion('how', [
      z.strictObject({ how: z.enum(['look', 'pause', 'command', 'state', 'free']) }),
      z.strictObject({ how: z.literal('slow'), factor: z.number().min(0.01).max(10_000) }),
    ]),
  }),
]);

export class LiveRuns {
  readonly #clock: Clock;
  readonly #runs = new Map<number, LiveRun>();
  #number = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Begins one, up to a moment of virtual time, or does something with one. Throws REQUEST_INVALID. */
  async ask(given: unknown): Promise<LiveTold> {
    const read = asked.safeParse(given);
    if (!read.success) {
      throw new BlocksagaError(
        'REQUEST_INVALID',
        `the laboratory cannot do this: ${z.prettifyError(read.error)}`,
      );
    }
    if ('begin' in read.data) {
      const run = new LiveRun(scenarioOf(readChoice(read.data.begin)), this.#clock);
      this.#number += 1;
      const number = this.#number;
      this.#runs.set(number, run);
      this.#letGoOfOldest();
      return { run: number, view: await run.act({ how: 'until', atMs: read.data.untilMs }) };
    }
    const { run: number, act } = read.data;
    const run = this.#runs.get(number);
    if (run === undefined) {
      throw new BlocksagaError('REQUEST_INVALID', 'that run is not held any more: begin it again');
    }
    return { run: number, view: await run.act(act) };
  }

  close(): void {
    for (const run of this.#runs.values()) run.letGo();
    this.#runs.clear();
  }

  #letGoOfOldest(): void {
    const [oldest] = this.#runs;
    if (this.#runs.size <= RUNS_MAX || oldest === undefined) return;
    oldest[1].letGo();
    this.#runs.delete(oldest[0]);
  }
}
