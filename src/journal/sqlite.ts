/**
 * The journal in a SQLite file (write-ahead log, `synchronous=FULL`): one queue of what is to be written,
 * one store that writes it. Only joins the two; it has no SQL and no state of its own.
 */

import { BlocksagaError, definedOnly } from '../errors.ts';
import { systemClock } from '../qmp/clock.ts';
import { askedIn, askedRecord } from './asked.ts';
import { encodeBody } from './body.ts';
import { expectFilter } from './filter.ts';
import { systemProcesses } from './holder.ts';
import { GivenLeases } from './in-use.ts';
import type { Asked, Journal, JournalOptions, JournalRecord, Lease, NewRecord, Within } from './journal.ts';
import { expectKeep } from './keep.ts';
import { journalIsClosed } from './refusals.ts';
import { openFile } from './sqlite-file.ts';
import { type Entry, SqliteStore } from './sqlite-store.ts';
import { BLOCKING_MS, blocking, whenFree } from './waiting.ts';
import { WriteQueue } from './write-queue.ts';

/** How often a running saga looks for what others ask of it, in milliseconds. */
const ASKED_POLL_MS = 500;

/**
 * Opens the journal in `file`, or makes it (with its directories, for the owner only). Several processes may use one
 * file at once. Throws `JOURNAL`, with what to do, when the file cannot be opened, is damaged, is of a newer program or
 * is something else; such a file is left as it is.
 *
 * @example
 * ```ts
 * const journal = openJournal(join(tmpdir(), 'journal.db'));
 * console.log(journal.sagas({ state: 'open' }).length); // 0
 * await journal.close();
 * ```
 */
export function openJournal(file: string, options: JournalOptions = {}): Journal {
  const { clock = systemClock, processes = systemProcesses(), keep } = options;
  if (keep !== undefined) expectKeep(keep);
  const store = new SqliteStore(openFile(file, clock), file, processes);
  const queue = new WriteQueue(store, clock);
  const leases = new GivenLeases();

  const entryOf = (lease: Lease, records: readonly NewRecord[], end?: Entry['end']): Entry => {
    const atMs = clock.epochMs();
    const encoded = records.map(({ kind, step, body }) => ({ kind, step, body: encodeBody(body), atMs }));
    return { lease, records: encoded, ...definedOnly({ end }) };
  };
  const open = (): SqliteStore => {
    if (queue.isClosed) throw journalIsClosed();
    return store;
  };

  /** Readers wait only for a process that opens the file after a crash, or closes it as the last. */
  const read = <T>(work: () => T): T => blocking(BLOCKING_MS, work);
  const write = <T>({ withinMs = BLOCKING_MS }: Within = {}, work: () => T): T => blocking(withinMs, work);

  /** Another process cannot wake this one: the file is looked at again and again, one indexed query each time. */
  const poll = (id: string, afterSeq: number, heard: (asked: Asked) => void): (() => void) => {
    open();
    let seq = afterSeq;
    let cancel = () => {};
    const look = () => {
      if (queue.isClosed) return;
      cancel = clock.after(ASKED_POLL_MS, look);
      for (const record of signalsBehind(store, id, seq)) {
        seq = record.seq;
        const asked = askedIn(record);
        if (asked !== undefined) heard(asked);
      }
    };
    cancel = clock.after(ASKED_POLL_MS, look);
    return () => cancel();
  };

  return {
    begin(saga, within) {
      const lease = leases.given(write(within, () => open().begin(saga, clock.epochMs())));
      store.generation.syncLater();
      return lease;
    },
    takeOver: (id, { force = false, note, ...within } = {}) =>
      leases.given(write(within, () => open().takeOver(id, force, clock.epochMs(), note))),
    confirm: lease => read(() => open().confirm(lease)),
    async append(lease, records, { durable, withinMs }) {
      open();
      const entry = entryOf(lease, records);
      if (durable) await queue.written(entry, withinMs);
      else queue.add(entry);
    },
    appendSync(lease, records, { withinMs } = {}) {
      open();
      queue.writeNow(entryOf(lease, records), withinMs);
    },
    async end(lease, state, result) {
      open();
      await queue.written(entryOf(lease, [], { state, result: encodeBody(result), atMs: clock.epochMs() }));
      leases.ended(lease);
      store.generation.syncLater();
    },
    ask: (id, signal, value, within) =>
      write(within, () => open().ask(id, askedRecord(signal, value), clock.epochMs())),
    listen: (id, afterSeq, heard) => poll(id, afterSeq, heard),
    saga: id => read(() => open().saga(id)),
    sagas(filter = {}) {
      expectFilter(filter);
      return read(() => open().sagas(filter));
    },
    async renew(renewals) {
      open();
      const atMs = clock.epochMs();
      const entries = renewals.map(({ lease, progress }) => ({
        lease,
        records: [],
        renewal: { progress: encodeBody(progress), atMs },
      }));
      await Promise.all(entries.map(entry => queue.written(entry).catch(ignoreLost)));
    },
    records: id => read(() => open().records(id)),
    async release(lease) {
      open();
      await queue.written({ lease, records: [], isReleased: true });
      leases.ended(lease);
    },
    ...(keep === undefined
      ? {}
      : {
          forget: () => whenFree(clock, within => write(within, () => open().forget(keep, clock.epochMs()))),
        }),
    standing: saga => read(() => open().generation.standing(saga)),
    accept: saga => write(undefined, () => open().accept(saga)),
    close: () => {
      leases.expectUnused();
      queue.close();
    },
  };
}

/** A lease that is lost is the saga's own to find. */
function ignoreLost(error: unknown): void {
  if (!(error instanceof BlocksagaError) || error.code === 'JOURNAL') throw error;
}

function signalsBehind(store: SqliteStore, id: string, seq: number): readonly JournalRecord[] {
  try {
    return store.signalsAfter(id, seq);
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    return []; // the process that runs the saga notices at its own next record
  }
}
