/**
 * What the journal in memory holds: the sagas and claims. Makes no text, and knows nothing of queues and listeners.
 */
import { invariant } from '../errors.ts';
import { sagaToken } from '../plan/names.ts';
import { RELEASED } from './holder.ts';
import type {
  JournalRecord,
  Keep,
  Lease,
  NewRecord,
  NewSaga,
  Processes,
  SagaFilter,
  SagaRow,
  SagaState,
} from './journal.ts';
import { DAY_MS, FORGET_MAX } from './keep.ts';
import { leaseIsLost, sagaExists, sagaHasEnded, sagaIsUnknown, vmIsHeld } from './refusals.ts';
import { type Counted, doubtOf, type Standing, standingNoted, standingOf } from './standing.ts';

/** What was durable at one moment, as plain copies; several journals may begin from it. */
export interface MemoryJournalState {
  /** Counts the crashes: a holder from before the last one is dead. */
  readonly incarnation: number;
  readonly sagas: readonly { readonly row: SagaRow; readonly records: readonly JournalRecord[] }[];
  readonly claims: readonly (readonly [vm: string, claim: Claim])[];
  /** How often it has been written. */
  readonly generation?: number;
  /** Sagas that had not ended in an older copy which was put back. */
  readonly doubted?: readonly (readonly [saga: string, counted: Counted])[];
}

/** What stays beside a journal in memory when that is put back from a copy; undefined while nothing does. */
export interface MemoryBeside {
  written: number | undefined;
}

const LINE = 'memory';

interface Claim {
  readonly token: number;
  /** Undefined while no saga holds the VM. */
  readonly saga: string | undefined;
}

interface StoredSaga {
  row: SagaRow;
  readonly records: JournalRecord[];
}

export interface Entry {
  readonly lease: Lease;
  readonly records: readonly NewRecord[];
  readonly atMs: number;
  readonly end?: Pick<SagaRow, 'state' | 'result'>;
  readonly isReleased?: boolean;
}

/** The sagas and claims; each method does all that it says or throws before it has done anything. */
export class MemoryStore {
  readonly sagas: Map<string, StoredSaga>;
  readonly #claims: Map<string, Claim>;
  readonly #processes: Processes;
  readonly #beside: MemoryBeside | undefined;
  readonly #doubted: Map<string, Counted>;
  #generation: number;

  constructor(state: MemoryJournalState | undefined, processes: Processes, beside: MemoryBeside | undefined) {
    const sagas = state?.sagas ?? [];
    this.sagas = new Map(sagas.map(({ row, records }) => [row.id, { row, records: [...records] }]));
    this.#claims = new Map(state?.claims ?? []);
    this.#processes = processes;
    this.#beside = beside;
    this.#doubted = new Map(state?.doubted ?? []);
    this.#generation = state?.generation ?? 0;
  }

  standing(saga: string | undefined): Standing {
    const doubted = saga === undefined ? undefined : this.#doubted.get(saga);
    if (doubted !== undefined) return standingNoted(doubted);
    if (this.#beside === undefined) return { is: 'newest' };
    const { written } = this.#beside;
    const why = 'nothing is beside it';
    return standingOf(LINE, this.#generation, written === undefined ? { why } : { line: LINE, written });
  }

  /** An older copy is so for good; one of which nothing told may turn out to be one. */
  #isOlder(saga: string): boolean {
    const { generation = 0, written = 0 } = this.#doubted.get(saga) ?? {};
    return written > generation;
  }

  accept(saga: string): void {
    this.#count();
    this.#doubted.delete(saga);
  }

  /** As the journal on disk counts its commits. */
  #count(): void {
    const standing = this.standing(undefined);
    const doubt = doubtOf(standing, this.#generation);
    if (doubt !== undefined)
      for (const row of this.list({}))
        if (isUnended(row) && !this.#isOlder(row.id)) this.#doubted.set(row.id, doubt);
    if (standing.is === 'older') this.#generation = standing.written;
    this.#generation += 1;
    if (this.#beside !== undefined) this.#beside.written = this.#generation;
  }

  begin(saga: NewSaga, atMs: number): Lease {
    if (this.sagas.has(saga.id)) throw sagaExists(saga.id);
    const holder = this.#claims.get(saga.vm)?.saga;
    if (holder !== undefined) throw this.#isHeld(holder, atMs);
    this.#count();
    const { id, vm, operation, planVersion, address, request, plan } = saga;
    const row: SagaRow = {
      ...{ id, vm, operation, planVersion, address, request, plan },
      ...{ state: 'open', result: null, createdAtMs: atMs, endedAtMs: null, holder: this.#processes.self },
    };
    this.sagas.set(id, { row, records: [] });
    return this.#claim(id, vm);
  }

  takeOver(id: string, force: boolean, atMs: number, note?: NewRecord): Lease {
    const saga = this.sagas.get(id);
    if (saga === undefined) throw sagaIsUnknown(id);
    const { state, holder, vm } = saga.row;
    if (state === 'committed' || state === 'rolledBack') throw sagaHasEnded(id, state);
    if (state === 'open' && !force && this.#processes.isAlive(holder) !== false) throw this.#isHeld(id, atMs);
    this.#count();
    saga.row = { ...saga.row, state: 'open', result: null, endedAtMs: null, holder: this.#processes.self };
    if (note !== undefined) saga.records.push({ seq: saga.records.length + 1, ...note, atMs });
    return this.#claim(id, vm);
  }

  write({ lease, records, atMs, end, isReleased }: Entry): Error | undefined {
    const refusal = this.refusal(lease);
    const saga = this.sagas.get(lease.saga);
    if (refusal !== undefined || saga === undefined) return refusal;
    this.#count();
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
    this.#count();
    const seq = saga.records.length + 1;
    saga.records.push({ seq, kind, step, body, atMs });
    return seq;
  }

  forget({ days, count }: Keep, nowMs: number): number {
    const ended = this.list({}).filter(({ state }) => state === 'committed' || state === 'rolledBack');
    ended.sort((one, other) => (other.endedAtMs ?? 0) - (one.endedAtMs ?? 0));
    const isOld = ({ endedAtMs }: SagaRow) =>
      days !== undefined && (endedAtMs ?? nowMs) < nowMs - days * DAY_MS;
    const gone = ended
      .filter((row, index) => index >= (count ?? ended.length) || isOld(row))
      .filter(row => !this.#isNeeded(row));
    for (const { id } of gone.slice(-FORGET_MAX)) this.sagas.delete(id);
    return Math.min(gone.length, FORGET_MAX);
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
    const counted = { generation: this.#generation, doubted: [...this.#doubted] };
    return { incarnation, sagas, claims: [...this.#claims], ...counted };
  }

  /** A group's row holds what its members may still ask for. */
  #isNeeded({ operation, plan }: SagaRow): boolean {
    if (operation !== 'group' || typeof plan !== 'object' || plan === null || !('members' in plan))
      return false;
    const members = Array.isArray(plan.members) ? plan.members.map(String) : [];
    return members.some(id => isUnended(this.sagas.get(id)?.row));
  }

  #claim(saga: string, vm: string): Lease {
    const token = (this.#claims.get(vm)?.token ?? 0) + 1;
    this.#claims.set(vm, { token, saga });
    return { saga, vm, token };
  }

  /** Newest first. Of one VM at most one has not ended: the claim names it. */
  list(filter: SagaFilter): readonly SagaRow[] {
    const { vm, state, operation, address, token, sinceMs = 0, before, limit } = filter;
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
          (token === undefined || sagaToken(row.id) === token) &&
          (filter.hasLeftovers === undefined || hasLeftovers(row)) &&
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

function isUnended(row: Pick<SagaRow, 'state'> | undefined): boolean {
  return row?.state === 'open' || row?.state === 'needsRecovery';
}

/** A result that cannot be read may name some. */
function hasLeftovers({ state, result }: SagaRow): boolean {
  if (state !== 'rolledBack') return false;
  const named = typeof result === 'object' && result !== null && 'leftovers' in result && result.leftovers;
  return !Array.isArray(named) || named.length > 0;
}

function matches<T extends string | SagaState>(wanted: T | undefined, value: T): boolean {
  return wanted === undefined || wanted === value;
}
