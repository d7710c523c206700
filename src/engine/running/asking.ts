/**
 * How a running saga is asked for something, by its handle or from another process: made durable, told to its steps, then to
 * its machine. It decides nothing.
 */
import { BlocksagaError, type ErrorRecord } from '../../errors.ts';
import type { Asked, Journal, Lease } from '../../journal/journal.ts';
import type { Plan } from '../../plan/plan.ts';
import type { Monitor } from '../connection/monitor.ts';
import { heard, SET_SPEED, setSpeed } from '../durable/history.ts';
import { SIGNALS, type SignalName } from '../durable/signals.ts';
import type { Stages } from '../durable/stages.ts';
import { expectCurrent } from './current-snapshot.ts';
import { hasEnded } from './has-ended.ts';

interface AskingParts {
  readonly plan: Plan;
  readonly journal: Journal;
  readonly lease: Lease;
  readonly monitor: Monitor;
  readonly stages: Stages;
  /** What the saga has come to, when it has. */
  readonly end: () => { readonly outcome: string; readonly error: ErrorRecord | null } | undefined;
  readonly send: (signal: SignalName) => void;
}

export class Asking {
  readonly #parts: AskingParts;
  /** Whether the saga was told to go on or back: it does not wait then. */
  wasAsked: boolean;

  constructor(parts: AskingParts) {
    this.#parts = parts;
    this.wasAsked = parts.stages.wasAsked;
  }

  async setSpeed(bytesPerSecond: number): Promise<void> {
    this.#expectUnended();
    await this.#parts.stages.setSpeed(bytesPerSecond);
    await this.#parts.stages.note(setSpeed(bytesPerSecond));
  }

  /** Another process asks; what cannot be written here fails at the saga's next record, where it is told. */
  hear(asked: Asked): void {
    if (this.#parts.end() !== undefined) return;
    this.#heed(asked)
      .then(() => null, expectKnown)
      .then(error => this.#parts.stages.note(heard(asked.seq, error)))
      .catch(expectKnown);
  }

  async #heed({ signal, value }: Asked): Promise<void> {
    if (signal === SET_SPEED) return this.#parts.stages.setSpeed(Number(value));
    const known = SIGNALS.find(name => name === signal);
    if (known !== undefined) await this.#ask(known, () => Promise.resolve());
  }

  /** Durable when it resolves. Throws SAGA_STATE when the saga has ended. */
  async signal(signal: SignalName): Promise<void> {
    this.#expectUnended();
    const { journal, lease } = this.#parts;
    const record = { kind: 'signal', step: signal, body: null } as const;
    await this.#ask(signal, () => journal.append(lease, [record], { durable: true }));
  }

  /** `write` makes it durable, where it is not already. */
  async #ask(signal: SignalName, write: () => Promise<void>): Promise<void> {
    const records = this.#parts.journal.records(this.#parts.lease.saga);
    await expectCurrent({ id: this.#parts.lease.saga, plan: this.#parts.plan, records, signal }, () =>
      this.#parts.monitor.client(),
    );
    await this.#parts.stages.ask(signal, write());
    this.wasAsked = true;
    this.#parts.send(signal);
  }

  #expectUnended(): void {
    const end = this.#parts.end();
    if (end !== undefined) throw hasEnded(this.#parts.lease.saga, end.outcome, end.error?.message ?? null);
  }
}

/** A misbehaving world as a record; a broken assumption crashes. */
export function expectKnown(error: unknown): ErrorRecord {
  if (error instanceof BlocksagaError) return error.toJSON();
  throw error;
}
