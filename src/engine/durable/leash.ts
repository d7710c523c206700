/**
 * The journal as one running saga has it, which can be cut: from then on nothing is written for it by this process, whatever
 * a step that was under way comes to. A class: a process may have thousands.
 */
import { BlocksagaError } from '../../errors.ts';
import type { Asked, Journal, Lease, NewRecord, NewSaga, SagaFilter } from '../../journal/journal.ts';
import type { Json } from '../../qmp/transport.ts';
import type { Counted } from './counted.ts';

export class Leash implements Journal {
  readonly #inner: Journal;
  readonly #counted: Counted;
  #isCut = false;

  /** `counted` hears of all that is written by it. */
  constructor(inner: Journal, counted: Counted) {
    this.#inner = inner;
    this.#counted = counted;
  }

  cut(): void {
    this.#isCut = true;
  }

  /** The journal without the leash, for what comes behind the saga. */
  get inner(): Journal {
    return this.#inner;
  }

  begin(saga: NewSaga, within?: Parameters<Journal['begin']>[1]): Lease {
    return this.#inner.begin(saga, within);
  }

  takeOver(id: string, options?: Parameters<Journal['takeOver']>[1]): Lease {
    return this.#inner.takeOver(id, options);
  }

  confirm(lease: Lease): void {
    this.#expectHeld(lease);
    this.#inner.confirm(lease);
  }

  async append(
    lease: Lease,
    records: readonly NewRecord[],
    options: Parameters<Journal['append']>[2],
  ): Promise<void> {
    this.#expectHeld(lease);
    await this.#counted.during(records, options.durable, () => this.#inner.append(lease, records, options));
  }

  appendSync(
    lease: Lease,
    records: readonly NewRecord[],
    within?: Parameters<Journal['appendSync']>[2],
  ): void {
    this.#expectHeld(lease);
    this.#counted.duringSync(records, () => this.#inner.appendSync(lease, records, within));
  }

  async end(...[lease, state, result]: Parameters<Journal['end']>): Promise<void> {
    this.#expectHeld(lease);
    await this.#inner.end(lease, state, result);
  }

  ask(id: string, signal: string, value: Json, within?: Parameters<Journal['ask']>[3]): number {
    return this.#inner.ask(id, signal, value, within);
  }

  listen(id: string, afterSeq: number, heard: (asked: Asked) => void): () => void {
    return this.#inner.listen(id, afterSeq, heard);
  }

  saga(id: string) {
    return this.#inner.saga(id);
  }

  sagas(filter?: SagaFilter) {
    return this.#inner.sagas(filter);
  }

  records(id: string) {
    return this.#inner.records(id);
  }

  close(): Promise<void> | void {
    return this.#inner.close();
  }

  #expectHeld({ saga }: Lease): void {
    if (this.#isCut) throw detached(saga);
  }
}

/** What those are told who waited for a saga that this process has let go of. */
export function detached(saga: string): BlocksagaError {
  return new BlocksagaError(
    'CLOSED',
    `the engine was closed, and has let go of saga ${saga} where it stood: resume it, here or in another process`,
    { saga, effect: 'unknown' },
  );
}
