/**
 * The journal in memory, for simulators and fuzzing: the contract of the one on disk without its cost. A crash is to
 * throw the journal away and to begin anew from a `snapshot`. Makes no text, sets no timer, keeps bodies as given.
 */

import { invariant } from '../errors.ts';
import { systemClock } from '../qmp/clock.ts';
import { askedIn, askedRecord } from './asked.ts';
import { checkBody } from './body.ts';
import { RELEASED } from './holder.ts';
import { GivenLeases } from './in-use.ts';
import type {
  Asked,
  Journal,
  JournalOptions,
  JournalRecord,
  Lease,
  NewRecord,
  NewSaga,
  Processes,
  SagaFilter,
  SagaRow,
  SagaState,
} from './journal.ts';
import {
  journalIsClosed,
  leaseIsLost,
  sagaExists,
  sagaHasEnded,
  sagaIsUnknown,
  vmIsHeld,
} from './refusals.ts';

/** What was durable at one moment, as plain copies; several journals may begin from it. */
export interface MemoryJournalState {
  /** Counts the crashes: a holder from before the last one is dead. */
  readonly incarnation: number;
  readonly sagas: readonly { readonly row: SagaRow; readonly records: readonly JournalRecord[] }[];
  readonly claims: readonly (readonly [vm: string, claim: Claim])[];
}

/** A journal in memory, which can also say what would be left after a crash. */
export interface MemoryJournal extends Journal {
  /** What is durable now; what is only queued is not in it. */
  snapshot(): MemoryJournalState;
}

interface Claim {
  readonly token: number;
  /** Undefined while no saga holds the VM. */
  readonly saga: string | undefined;
}

interface StoredSaga {
  row: SagaRow;
  readonly records: JournalRecord[];
}

interface Entry {
  readonly lease: Lease;
  readonly records: readonly NewRecord[];
  readonly atMs: number;
  readonly end?: Pick<SagaRow, 'state' | 'result'>;
  readonly isReleased?: boolean;
}

/** From here on, what was queued counts as written without waiting for a durable append. */
const QUEUE_MAX_ENTRIES = 5_000;

/**
 * A journal in memory: empty, or with what a `snapshot` kept, all of whose holders are dead then. Throws and rejects as
 * {@link Journal} says.
 *
 * @example
 * ```ts
 * const before = memoryJournal();
 * before.begin({ id: 's1', vm: 'web', operation: 'copy', planVersion: 1, address: 'sim', request: {}, plan: {} });
 * const after = memoryJournal(before.snapshot());
 * console.log(after.takeOver('s1').token); // 2
 * ```
 */
export function memoryJournal(state?: MemoryJournalState, options: JournalOptions = {}): MemoryJournal {
  const incarnation = (state?.incarnation ?? 0) + 1;
  const { clock = systemClock, processes = processesOf(incarnation) } = options;
  const store = new MemoryStore(state, processes);
  let queue: Entry[] = [];
  let isClosed = false;
  const leases = new GivenLeases();
  const listeners = new Set<{ readonly id: string; readonly heard: (asked: Asked) => void }>();

  const refuseClosed = (): void => {
    if (isClosed) throw journalIsClosed();
  };
  const entryOf = (lease: Lease, records: readonly NewRecord[]): Entry => {
    refuseClosed();
    for (const { body } of records) checkBody(body);
    return { lease, records, atMs: clock.epochMs() };
  };
  const flush = (): void => {
    const entries = queue;
    queue = [];
    // A refused one is of a writer that has lost its VM, and is not waited for.
    for (const entry of entries) store.write(entry);
  };
  const writeNow = (entry: Entry): void => {
    flush();
    const refusal = store.write(entry);
    if (refusal !== undefined) throw refusal;
  };

  return {
    begin(saga) {
      refuseClosed();
      checkBody(saga.request);
      checkBody(saga.plan);
      return leases.given(store.begin(saga, clock.epochMs()));
    },
    takeOver(id, { force = false } = {}) {
      refuseClosed();
      return leases.given(store.takeOver(id, force, clock.epochMs()));
    },
    confirm(lease) {
      refuseClosed();
      const refusal = store.refusal(lease);
      if (refusal !== undefined) throw refusal;
    },
    async append(lease, records, { durable }) {
      const entry = entryOf(lease, records);
      if (durable) return writeNow(entry);
      queue.push(entry);
      if (queue.length >= QUEUE_MAX_ENTRIES) flush();
    },
    appendSync: (lease, records) => writeNow(entryOf(lease, records)),
    async end(lease, endState, result) {
      checkBody(result);
      writeNow({ ...entryOf(lease, []), end: { state: endState, result } });
      leases.ended(lease);
    },
    ask(id, signal, value) {
      refuseClosed();
      checkBody(value);
      flush();
      const seq = store.ask(id, askedRecord(signal, value), clock.epochMs());
      for (const listener of [...listeners]) if (listener.id === id) listener.heard({ seq, signal, value });
      return seq;
    },
    listen(id, afterSeq, heard) {
      refuseClosed();
      const listener = { id, heard };
      listeners.add(listener);
      for (const record of store.sagas.get(id)?.records.slice(afterSeq) ?? []) {
        const asked = askedIn(record);
        if (asked !== undefined) heard(asked);
      }
      return () => void listeners.delete(listener);
    },
    saga(id) {
      refuseClosed();
      return store.sagas.get(id)?.row;
    },
    sagas(filter = {}) {
      refuseClosed();
      return store.list(filter);
    },
    records(id) {
      refuseClosed();
      return [...(store.sagas.get(id)?.records ?? [])];
    },
    async release(lease) {
      writeNow({ ...entryOf(lease, []), isReleased: true });
      leases.ended(lease);
    },
    close() {
      leases.expectUnused();
      if (!isClosed) flush();
      isClosed = true;
    },
    snapshot: () => store.snapshot(incarnation),
  };
}

/** The sagas and claims; each method does all that it says or throws before it has done anything. */
class MemoryStore {
  readonly sagas: Map<string, StoredSaga>;
  readonly #claims: Map<string, Claim>;
  readonly #processes: Processes;

  constructor(state: MemoryJournalState | undefined, processes: Processes) {
    const sagas = state?.sagas ?? [];
    this.sagas = new Map(sagas.map(({ row, records }) => [row.id, { row, records: [...records] }]));
    this.#claims = new Map(state?.claims ?? []);
    this.#processes = processes;
  }

  begin(saga: NewSaga, atMs: number): Lease {
    if (this.sagas.has(saga.id)) throw sagaExists(saga.id);
    const holder = this.#claims.get(saga.vm)?.saga;
    if (holder !== undefined) throw this.#isHeld(holder, atMs);
    const { id, vm, operation, planVersion, address, request, plan } = saga;
    const row: SagaRow = {
      ...{ id, vm, operation, planVersion, address, request, plan },
      ...{ state: 'open', result: null, createdAtMs: atMs, endedAtMs: null, holder: this.#processes.self },
    };
    this.sagas.set(id, { row, records: [] });
    return this.#claim(id, vm);
  }

  takeOver(id: string, force: boolean, atMs: number): Lease {
    const saga = this.sagas.get(id);
    if (saga === undefined) throw sagaIsUnknown(id);
    const { state, holder, vm } = saga.row;
    if (state === 'committed' || state === 'rolledBack') throw sagaHasEnded(id, state);
    if (state === 'open' && !force && this.#processes.isAlive(holder) !== false) throw this.#isHeld(id, atMs);
    saga.row = { ...saga.row, state: 'open', result: null, endedAtMs: null, holder: this.#processes.self };
    return this.#claim(id, vm);
  }

  write({ lease, records, atMs, end, isReleased }: Entry): Error | undefined {
    const refusal = this.refusal(lease);
    const saga = this.sagas.get(lease.saga);
    if (refusal !== undefined || saga === undefined) return refusal;
    for (const { kind, step, body } of records) {
      saga.records.push({ seq: saga.records.length + 1, kind, step, body, atMs });
    }
    if (isReleased) saga.row = { ...saga.row, holder: RELEASED };
    if (end !== undefined) {
      saga.row = { ...saga.row, ...end, endedAtMs: atMs };
      if (end.state !== 'needsRecovery') this.#claims.set(lease.vm, { token: lease.token, saga: undefined });
    }
    return undefined;
  }

  ask(id: string, { kind, step, body }: NewRecord, atMs: number): number {
    const saga = this.sagas.get(id);
    if (saga === undefined) throw sagaIsUnknown(id);
    if (saga.row.state !== 'open') throw sagaHasEnded(id, saga.row.state);
    const seq = saga.records.length + 1;
    saga.records.push({ seq, kind, step, body, atMs });
    return seq;
  }

  /** Why the lease is no longer the one to write with, if so. */
  refusal(lease: Lease): Error | undefined {
    const token = this.#claims.get(lease.vm)?.token;
    const row = this.sagas.get(lease.saga)?.row;
    if (token !== lease.token || row === undefined) return leaseIsLost(lease, token);
    return row.state === 'open' ? undefined : sagaHasEnded(lease.saga, row.state);
  }

  snapshot(incarnation: number): MemoryJournalState {
    const sagas = [...this.sagas.values()].map(({ row, records }) => ({ row, records: [...records] }));
    return { incarnation, sagas, claims: [...this.#claims] };
  }

  #claim(saga: string, vm: string): Lease {
    const token = (this.#claims.get(vm)?.token ?? 0) + 1;
    this.#claims.set(vm, { token, saga });
    return { saga, vm, token };
  }

  /** Newest first. Of one VM at most one has not ended: the claim names it. */
  list(filter: SagaFilter): readonly SagaRow[] {
    const { vm, state, operation, address, sinceMs = 0, before, limit } = filter;
    const claimed = vm === undefined ? undefined : this.#claims.get(vm)?.saga;
    const isUnended = state === 'open' || state === 'needsRecovery';
    const only = claimed === undefined ? undefined : this.sagas.get(claimed);
    const all = vm !== undefined && isUnended ? (only === undefined ? [] : [only]) : [...this.sagas.values()];
    const rows = all.map(({ row }) => row).reverse();
    const newest = before === undefined ? 0 : rows.findIndex(({ id }) => id === before) + 1;
    if (before !== undefined && newest === 0) return [];
    return rows
      .slice(newest)
      .filter(
        row =>
          matches(vm, row.vm) &&
          matches(state, row.state) &&
          matches(operation, row.operation) &&
          matches(address, row.address) &&
          row.createdAtMs >= sinceMs,
      )
      .slice(0, limit);
  }

  #isHeld(id: string, nowMs: number): Error {
    const saga = this.sagas.get(id);
    invariant(saga !== undefined, `the claim of a VM names saga ${id}, which is not there`);
    return vmIsHeld(saga.row, this.#processes, nowMs);
  }
}

/** In memory a process is the time between two crashes of the journal. */
function processesOf(incarnation: number): Processes {
  const self = { pid: process.pid, bootId: 'memory', startedAt: String(incarnation) };
  return { self, isAlive: holder => holder.startedAt === self.startedAt };
}

function matches<T extends string | SagaState>(wanted: T | undefined, value: T): boolean {
  return wanted === undefined || wanted === value;
}
