/**
 * The journal in memory, for simulators and fuzzing: the contract of the one on disk without its cost. A crash is to
 * throw the journal away and to begin anew from a `snapshot`. Makes no text, sets no timer, keeps bodies as given.
 */

import { systemClock } from '../qmp/clock.ts';
import { askedIn, askedRecord } from './asked.ts';
import { checkBody } from './body.ts';
import { expectFilter } from './filter.ts';
import { GivenLeases } from './in-use.ts';
import type {
  Asked,
  Journal,
  JournalOptions,
  JournalRecord,
  Lease,
  NewRecord,
  Processes,
} from './journal.ts';
import { expectKeep } from './keep.ts';
import { type Entry, type MemoryBeside, type MemoryJournalState, MemoryStore } from './memory-store.ts';
import { journalIsClosed } from './refusals.ts';

export type { MemoryBeside, MemoryJournalState } from './memory-store.ts';

/** A journal in memory, which can also say what would be left after a crash. */
export interface MemoryJournal extends Journal {
  /** What is durable now; what is only queued is not in it. */
  snapshot(): MemoryJournalState;
  /** What a saga has handed over: what is durable, and what is only queued behind that. */
  handedOver(id: string): readonly JournalRecord[];
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
export function memoryJournal(
  state?: MemoryJournalState,
  options: JournalOptions & { readonly beside?: MemoryBeside } = {},
): MemoryJournal {
  const incarnation = (state?.incarnation ?? 0) + 1;
  const { clock = systemClock, processes = processesOf(incarnation), keep } = options;
  if (keep !== undefined) expectKeep(keep);
  const store = new MemoryStore(state, processes, options.beside);
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
    takeOver(id, { force = false, note } = {}) {
      refuseClosed();
      return leases.given(store.takeOver(id, force, clock.epochMs(), note));
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
      expectFilter(filter);
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
    ...(keep === undefined
      ? {}
      : {
          async forget() {
            refuseClosed();
            return store.forget(keep, clock.epochMs());
          },
        }),
    close() {
      leases.expectUnused();
      if (!isClosed) flush();
      isClosed = true;
    },
    standing(saga) {
      refuseClosed();
      return store.standing(saga);
    },
    accept(saga) {
      refuseClosed();
      store.accept(saga);
    },
    snapshot: () => store.snapshot(incarnation),
    handedOver(id) {
      const written = store.sagas.get(id)?.records ?? [];
      const queued = queue.filter(({ lease }) => lease.saga === id);
      const waiting = queued.flatMap(({ records, atMs }) => records.map(record => ({ ...record, atMs })));
      return [...written, ...waiting.map((record, at) => ({ ...record, seq: written.length + at + 1 }))];
    },
  };
}

/** In memory a process is the time between two crashes of the journal. */
function processesOf(incarnation: number): Processes {
  const self = { pid: process.pid, bootId: 'memory', startedAt: String(incarnation) };
  return { self, isAlive: holder => holder.startedAt === self.startedAt };
}
