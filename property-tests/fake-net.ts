/**
 * The way between the agents of two hosts as it may be: slow, with messages or answers that are lost, that come twice, and
 * connections that break, also because a process dies. What a message is and what is answered is the agents' own code.
 */

import { errorTold } from '../src/agent/junction-wire.ts';
import type { LedGroups } from '../src/agent/led-groups.ts';
import type { Wire } from '../src/agent/wire.ts';
import type { PartOfGroup } from '../src/engine/durable/group-across.ts';
import { BlocksagaError } from '../src/errors.ts';
import type { Clock } from '../src/qmp/clock.ts';

/** What befalls the n-th message, counted from 1. */
export interface WireFault {
  readonly nth: number;
  readonly kind: 'loseRequest' | 'loseAnswer' | 'twice' | 'late' | 'cut';
  /** Of `late` and `twice`: so much later; of `cut`: when its connection breaks. */
  readonly ms: number;
}

/** A process at one end of a message. */
export interface WireEnd {
  readonly clock: Clock;
  readonly died: Promise<void>;
  isAlive(): boolean;
}

export interface LeadingEnd extends WireEnd {
  readonly led: LedGroups;
}

const LATENCY_MS = 1;

export class FakeNet {
  readonly #clock: Clock;
  readonly #faults: readonly WireFault[];
  /** Messages so far. */
  sent = 0;

  constructor(clock: Clock, faults: readonly WireFault[]) {
    this.#clock = clock;
    this.#faults = faults;
  }

  wire(
    from: WireEnd,
    leader: () => LeadingEnd | undefined,
    { group, host }: Omit<PartOfGroup, 'attempt'>,
  ): Wire {
    return (verb, body, { withinMs, signal }) =>
      new Promise((resolve, reject) => {
        if (!from.isAlive()) return;
        this.sent += 1;
        const fault = this.#faults.find(({ nth }) => nth === this.sent);
        const isLost = fault?.kind === 'loseRequest' || fault?.kind === 'loseAnswer';
        const gone = new AbortController();
        const breakOff = () => {
          if (!isLost) this.#clock.after(LATENCY_MS, () => gone.abort());
        };
        let isSettled = false;
        const fail = (why: string) => {
          if (isSettled) return;
          isSettled = true;
          breakOff();
          if (from.isAlive()) reject(new BlocksagaError('GROUP', `${verb}: ${why}`, { retryable: true }));
        };
        from.clock.after(withinMs, () => fail('no answer'));
        signal?.addEventListener('abort', () => fail('given up'), { once: true });
        void from.died.then(breakOff);
        if (fault?.kind === 'cut') this.#clock.after(fault.ms, () => fail('the connection was cut'));
        if (fault?.kind === 'loseRequest') return;
        const text = JSON.stringify(body);
        const deliver = () => {
          const to = leader();
          if (to === undefined || !to.isAlive()) return fail('nothing listens there');
          void to.died.then(() => fail('the connection was reset'));
          const back = (settle: () => void) => {
            if (!to.isAlive() || fault?.kind === 'loseAnswer') return;
            this.#clock.after(LATENCY_MS, () => {
              if (!from.isAlive()) return;
              isSettled = true;
              settle();
            });
          };
          to.led.answer(group, host, verb, JSON.parse(text), gone.signal).then(
            told => back(() => resolve(JSON.parse(JSON.stringify(told)))),
            error => {
              if (!(error instanceof BlocksagaError)) return reject(error);
              back(() => reject(errorTold(JSON.parse(JSON.stringify(error.toJSON())))));
            },
          );
        };
        this.#clock.after(LATENCY_MS + (fault?.kind === 'late' ? fault.ms : 0), deliver);
        if (fault?.kind === 'twice') this.#clock.after(LATENCY_MS + fault.ms, deliver);
      });
  }
}
