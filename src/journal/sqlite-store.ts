/**
 * The statements of the journal: claims, sagas and records in one SQLite file, every change inside a transaction that
 * takes the write lock first, so that claims of several processes are decided one after the other. Knows nothing of
 * queues or of when to write.
 */

import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { invariant } from '../errors.ts';
import { sagaToken } from '../plan/names.ts';
import { encodeBody } from './body.ts';
import { Generation } from './generation.ts';
import { RELEASED } from './holder.ts';
import type {
  JournalRecord,
  Keep,
  Lease,
  NewRecord,
  NewSaga,
  Processes,
  RecordKind,
  SagaFilter,
  SagaRow,
  SagaState,
} from './journal.ts';
import { forgettable } from './keep.ts';
import { isUnseen, mayRun } from './lease.ts';
import { leaseIsLost, sagaExists, sagaHasEnded, sagaIsUnknown, vmIsHeld } from './refusals.ts';
import { guarded } from './sqlite-errors.ts';
import { type Row, recordOf, sagaOf } from './sqlite-rows.ts';
import { inTransaction } from './transaction.ts';

/** What one call of the port wants written, bodies already text. */
export interface Entry {
  readonly lease: Lease;
  readonly records: readonly {
    readonly kind: RecordKind;
    readonly step: string;
    readonly body: string;
    readonly atMs: number;
  }[];
  readonly end?: { readonly state: SagaState; readonly result: string; readonly atMs: number };
  /** Its lease is renewed: how far it is. */
  /** It is given up, for others to take over. */
  readonly isReleased?: boolean;
  readonly renewal?: { readonly progress: string; readonly atMs: number };
}

const SQL = {
  claim: 'SELECT token, saga FROM claim WHERE vm = ?',
  setClaim:
    'INSERT INTO claim VALUES (?, ?, ?) ON CONFLICT (vm) DO UPDATE SET token = excluded.token, saga = excluded.saga',
  freeClaim: 'UPDATE claim SET saga = NULL WHERE vm = ?',
  standing: `SELECT claim.token, saga.state, (SELECT max(seq) FROM record WHERE record.saga = saga.id) AS seq
    FROM claim JOIN saga ON saga.id = ? WHERE claim.vm = ?`,
  addRecord: 'INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)',
  addSaga: `INSERT INTO saga (id, vm, operation, plan_version, address, request, plan, state, created_at_ms,
    renewed_at_ms, holder_pid, holder_boot_id, holder_started_at, holder_namespace, token)
    VALUES (?, ?, ?, ?, ?, ?, ?, 'open', ?, ?, ?, ?, ?, ?, ?)`,
  reopenSaga: `UPDATE saga SET state = 'open', result = NULL, ended_at_ms = NULL, progress = NULL, renewed_at_ms = ?,
    holder_pid = ?, holder_boot_id = ?, holder_started_at = ?, holder_namespace = ? WHERE id = ?`,
  releaseSaga: `UPDATE saga SET renewed_at_ms = NULL, progress = NULL, holder_pid = ?, holder_boot_id = ?,
    holder_started_at = ?, holder_namespace = NULL WHERE id = ?`,
  renewSaga: 'UPDATE saga SET renewed_at_ms = ?, progress = ? WHERE id = ?',
  endSaga: 'UPDATE saga SET state = ?, result = ?, ended_at_ms = ? WHERE id = ?',
  saga: 'SELECT * FROM saga WHERE id = ?',
  signalsAfter: `SELECT saga, seq, kind, step, body, at_ms FROM record
    WHERE saga = ? AND seq > ? AND kind = 'signal' ORDER BY seq`,
  forgetRecords: 'DELETE FROM record WHERE saga = (SELECT id FROM saga WHERE number = ?)',
  forgetSaga: 'DELETE FROM saga WHERE number = ?',
  lastSeq: 'SELECT max(seq) AS seq FROM record WHERE saga = ?',
  records: 'SELECT saga, seq, kind, step, body, at_ms FROM record WHERE saga = ? ORDER BY seq',
} as const;

/** What may be asked of a list, and how; the newest come first by `number`, which only grows. */
const CONDITIONS = [
  ['vm', 'vm = ?'],
  ['state', 'state = ?'],
  ['operation', 'operation = ?'],
  ['address', 'address = ?'],
  ['token', 'token = ?'],
  ['sinceMs', 'created_at_ms >= ?'],
  ['before', 'number < (SELECT number FROM saga WHERE id = ?)'],
] as const satisfies readonly (readonly [keyof SagaFilter, string])[];

/** As its index says it (schema.ts). */
const HAS_LEFTOVERS = `state = 'rolledBack'
  AND CASE WHEN json_valid(result) THEN json_array_length(result, '$.leftovers') ELSE 1 END > 0`;

/** The journal's file, open. What SQLite refuses is thrown as `JOURNAL`. */
export class SqliteStore {
  readonly #db: DatabaseSync;
  readonly #file: string;
  readonly #processes: Processes;
  /** Whether the file is the copy of it that was written last. */
  readonly generation: Generation;
  readonly #statements: Readonly<Record<keyof typeof SQL, StatementSync>>;
  /** By what they ask for. */
  readonly #lists = new Map<string, StatementSync>();

  constructor(db: DatabaseSync, file: string, processes: Processes) {
    this.#db = db;
    this.#file = file;
    this.#processes = processes;
    const prepared = Object.entries(SQL).map(([name, sql]) => [name, db.prepare(sql)]);
    this.#statements = Object.fromEntries(prepared);
    this.generation = new Generation(db, file);
  }

  /** Takes what an older copy says of a saga for the last of it. */
  accept(saga: string): void {
    this.#transaction('write', () => this.generation.accept(saga));
  }

  begin(saga: NewSaga, atMs: number): Lease {
    const [request, plan] = [encodeBody(saga.request), encodeBody(saga.plan)];
    return this.#transaction('write', () => {
      if (this.#statements.saga.get(saga.id) !== undefined) throw sagaExists(saga.id);
      const claim = this.#statements.claim.get(saga.vm);
      if (typeof claim?.['saga'] === 'string') throw this.#isHeld(claim['saga'], atMs);
      const { id, vm, operation, planVersion, address } = saga;
      this.#statements.addSaga.run(
        ...[id, vm, operation, planVersion, address, request, plan, atMs, atMs, ...this.#self, sagaToken(id)],
      );
      return this.#claim(id, vm, claim);
    });
  }

  takeOver(id: string, force: boolean, atMs: number, note?: NewRecord): Lease {
    const body = note && encodeBody(note.body);
    return this.#transaction('write', () => {
      const saga = this.saga(id);
      if (saga === undefined) throw sagaIsUnknown(id);
      if (saga.state === 'committed' || saga.state === 'rolledBack') throw sagaHasEnded(id, saga.state);
      if (saga.state === 'open' && !force && mayRun(saga, this.#processes, atMs))
        throw this.#isHeld(id, atMs);
      const claim = this.#statements.claim.get(saga.vm);
      invariant(claim?.['saga'] === id, `saga ${id} is ${saga.state} and does not hold its VM`);
      this.#statements.reopenSaga.run(atMs, ...this.#self, id);
      if (note !== undefined && body !== undefined)
        this.#statements.addRecord.run(id, this.#nextSeq(id), note.kind, note.step, body, atMs);
      const isFromUnseen = saga.state === 'open' && isUnseen(saga, this.#processes);
      return { ...this.#claim(id, saga.vm, claim), ...(isFromUnseen ? { isFromUnseen } : {}) };
    });
  }

  /** Writes all entries in one durable transaction; the answer has, entry by entry, why one was refused. */
  write(entries: readonly Entry[]): readonly (Error | undefined)[] {
    return this.#transaction('write', () => entries.map(entry => this.#writeOne(entry)));
  }

  /** Throws why the lease is no longer the one to write with. */
  confirm(lease: Lease): void {
    const standing = this.#read(() => this.#statements.standing.get(lease.saga, lease.vm));
    const refusal = refusalOf(lease, standing);
    if (refusal !== undefined) throw refusal;
  }

  saga(id: string): SagaRow | undefined {
    const row = this.#read(() => this.#statements.saga.get(id));
    return row === undefined ? undefined : sagaOf(row);
  }

  /** Newest first. */
  sagas(filter: SagaFilter): readonly SagaRow[] {
    const conditions = CONDITIONS.filter(([member]) => filter[member] !== undefined);
    const sql = [
      ...conditions.map(([, condition]) => condition),
      ...(filter.hasLeftovers === undefined ? [] : [HAS_LEFTOVERS]),
    ].join(' AND ');
    const values = conditions.flatMap(([member]) => filter[member] ?? []);
    return this.#read(() => {
      let list = this.#lists.get(sql);
      if (list === undefined) {
        list = this.#db.prepare(
          `SELECT * FROM saga ${filter.hasLeftovers === undefined ? '' : 'INDEXED BY saga_with_leftovers'}
            ${sql === '' ? '' : `WHERE ${sql}`} ORDER BY number DESC LIMIT ?`,
        );
        this.#lists.set(sql, list);
      }
      return list.all(...values, filter.limit ?? -1).map(sagaOf);
    });
  }

  records(id: string): readonly JournalRecord[] {
    return this.#read(() => this.#statements.records.all(id).map(recordOf));
  }

  /** The signal records behind a seq. */
  signalsAfter(id: string, seq: number): readonly JournalRecord[] {
    return this.#read(() => this.#statements.signalsAfter.all(id, seq).map(recordOf));
  }

  /** Adds a record to an open saga, with no lease; returns its seq. */
  ask(id: string, { kind, step, body }: NewRecord, atMs: number): number {
    const text = encodeBody(body);
    return this.#transaction('write', () => {
      const saga = this.saga(id);
      if (saga === undefined) throw sagaIsUnknown(id);
      if (saga.state !== 'open') throw sagaHasEnded(id, saga.state);
      const seq = this.#nextSeq(id);
      this.#statements.addRecord.run(id, seq, kind, step, text, atMs);
      return seq;
    });
  }

  /** Forgets some of what the policy lets go of, in one transaction; returns how many. */
  forget(policy: Keep, nowMs: number): number {
    return this.#transaction('prune', () => {
      const numbers = forgettable(this.#db, policy, nowMs);
      for (const number of numbers) {
        this.#statements.forgetRecords.run(number);
        this.#statements.forgetSaga.run(number);
      }
      return numbers.length;
    });
  }

  /** Moves what was written from the write-ahead log into the file, as far as no reader is in the way. */
  checkpoint(): void {
    guarded(this.#file, 'checkpoint', () => this.#db.exec('PRAGMA wal_checkpoint(PASSIVE)'));
  }

  close(): void {
    guarded(this.#file, 'close', () => this.#db.close());
    this.generation.sync();
  }

  #writeOne({ lease, records, end, renewal, isReleased }: Entry): Error | undefined {
    const standing = this.#statements.standing.get(lease.saga, lease.vm);
    const refusal = refusalOf(lease, standing);
    if (refusal !== undefined) return refusal;
    let seq = Number(standing?.['seq'] ?? 0);
    for (const { kind, step, body, atMs } of records) {
      seq += 1;
      this.#statements.addRecord.run(lease.saga, seq, kind, step, body, atMs);
    }
    if (isReleased) {
      const { pid, bootId, startedAt } = RELEASED;
      this.#statements.releaseSaga.run(pid, bootId, startedAt, lease.saga);
    }
    if (renewal !== undefined) this.#statements.renewSaga.run(renewal.atMs, renewal.progress, lease.saga);
    if (end !== undefined) {
      this.#statements.endSaga.run(end.state, end.result, end.atMs, lease.saga);
      if (end.state !== 'needsRecovery') this.#statements.freeClaim.run(lease.vm);
    }
    return undefined;
  }

  #nextSeq(id: string): number {
    return Number(this.#statements.lastSeq.get(id)?.['seq'] ?? 0) + 1;
  }

  #claim(saga: string, vm: string, last: Row | undefined): Lease {
    const token = Number(last?.['token'] ?? 0) + 1;
    this.#statements.setClaim.run(vm, token, saga);
    return { saga, vm, token };
  }

  get #self(): readonly (string | number | null)[] {
    const { pid, bootId, startedAt, namespace } = this.#processes.self;
    return [pid, bootId, startedAt, namespace ?? null];
  }

  #isHeld(id: string, nowMs: number): Error {
    const saga = this.saga(id);
    invariant(saga !== undefined, `the claim of a VM names saga ${id}, which is not there`);
    return vmIsHeld(saga, this.#processes, nowMs);
  }

  #transaction<T>(what: string, work: () => T): T {
    const counted = () => {
      this.generation.count();
      return work();
    };
    const done = guarded(this.#file, what, () => inTransaction(this.#db, counted));
    this.generation.note();
    return done;
  }

  #read<T>(work: () => T): T {
    return guarded(this.#file, 'read', work);
  }
}

/** Why a lease is no longer the one to write with, if so. */
function refusalOf(lease: Lease, standing: Row | undefined): Error | undefined {
  if (standing?.['token'] !== lease.token) {
    return leaseIsLost(lease, standing === undefined ? undefined : Number(standing['token']));
  }
  if (standing['state'] !== 'open') return sagaHasEnded(lease.saga, standing['state'] as SagaState);
  return undefined;
}
