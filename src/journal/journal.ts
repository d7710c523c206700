/**
 * The port of the journal: what the engine must know again after its process died. An adapter stores sagas and their
 * records and says who may write to a VM; it never looks into a body and never decides what a saga does next.
 */

import type { Clock } from '../qmp/clock.ts';
import type { Json } from '../qmp/transport.ts';
import type { Standing } from './standing.ts';

/** What a record says: a step is about to act, has ended, the saga only rolls forward now, or a signal was sent. */
export type RecordKind = 'intent' | 'outcome' | 'decision' | 'signal';

/** A record as the writer gives it. `body` is kept as given: do not change it afterwards. */
export interface NewRecord {
  readonly kind: RecordKind;
  readonly step: string;
  readonly body: Json;
}

/** A record as it was stored; `seq` counts 1, 2, 3, ... within its saga. */
export interface JournalRecord extends NewRecord {
  readonly seq: number;
  /** Milliseconds since the epoch at which it was handed over. */
  readonly atMs: number;
}

/** What a process without the lease has asked of a saga. */
export interface Asked {
  readonly seq: number;
  readonly signal: string;
  readonly value: Json;
}

/** `open` until it ends; a saga in `needsRecovery` is `open` again once it is taken over. */
export type SagaState = 'open' | 'committed' | 'rolledBack' | 'needsRecovery';

/** Tells one process from every other that ever ran on this machine: ids of processes are used again, these three are not. */
export interface Holder {
  readonly pid: number;
  /** Which boot of the machine it belongs to. */
  readonly bootId: string;
  /** When it started, in the system's own unit; only ever compared. */
  readonly startedAt: string;
  /** The namespace in which `pid` is its id, where the system has such: processes of another one cannot be seen. */
  readonly namespace?: string;
}

/** What a saga is begun with. */
export interface NewSaga {
  readonly id: string;
  readonly vm: string;
  readonly operation: string;
  readonly planVersion: number;
  /** The monitor's address, so that `resume` need not be told. */
  readonly address: string;
  readonly request: Json;
  readonly plan: Json;
}

/** A saga as it is stored. */
export interface SagaRow extends NewSaga {
  readonly state: SagaState;
  /** What `end` was given; null while the saga is open. */
  readonly result: Json | null;
  readonly createdAtMs: number;
  readonly endedAtMs: number | null;
  /** The process that began the saga, or took it over last. */
  readonly holder: Holder;
  /** When its holder last said that it is at work, in milliseconds since the epoch; null where it never does. */
  readonly renewedAtMs?: number | null;
  /** What its holder said then of how far it is. */
  readonly progress?: Json;
  /** What of it cannot be read, in words; that is null then. */
  readonly damage?: string;
}

/** The right to write for one saga. It is lost for good when another process takes the VM's lease. */
export interface Lease {
  readonly saga: string;
  readonly vm: string;
  /** The fencing token: grows with every lease of this VM and is never given twice. */
  readonly token: number;
  /** Taken from a holder that was not seen to be dead: it may not have noticed yet. */
  readonly isFromUnseen?: boolean;
}

/** One saga of those whose lease is renewed, and how far it is. */
export interface Renewal {
  readonly lease: Lease;
  readonly progress: Json;
}

/** Which sagas are asked for; all that are given must hold. */
export interface SagaFilter {
  readonly vm?: string;
  readonly state?: SagaState;
  readonly operation?: string;
  readonly address?: string;
  /** What stands for the saga in its names in QEMU (`bs-TOKEN-...`). */
  readonly token?: string;
  /** Rolled back, and its result names something that was left behind, or cannot be read. */
  readonly hasLeftovers?: true;
  /** Begun at or after it, in milliseconds since the epoch. */
  readonly sinceMs?: number;
  /** At most so many. */
  readonly limit?: number;
  /** Only those that were begun before the saga of this id. */
  readonly before?: string;
}

/** Which process this is, and whether another one still runs; `holder.ts` has the real one, tests bring their own. */
export interface Processes {
  readonly self: Holder;
  /** Undefined where it cannot be seen from here: its lease tells then. */
  isAlive(holder: Holder): boolean | undefined;
}

/**
 * Which sagas that committed or were rolled back are kept; the others are forgotten with their records, a few at a time, by the
 * engines that use the journal. One that has not ended, or needs recovery, always stays. A forgotten id may be used again: keep
 * sagas for longer than a request may be repeated.
 */
export interface Keep {
  /** Those that ended within so many days. */
  readonly days?: number;
  /** The newest so many. With `days` too, a saga must be both to be kept. */
  readonly count?: number;
}

/** What every adapter takes. */
export interface JournalOptions {
  /** All are kept unless told. */
  readonly keep?: Keep;
  readonly clock?: Clock;
  readonly processes?: Processes;
}

/** For how long a file that another process has locked is waited for. */
export interface Within {
  /** Milliseconds; in the pause of a guest what is left of it. */
  readonly withinMs?: number;
}

interface TakeOverOptions extends Within {
  readonly force?: boolean;
  readonly note?: NewRecord;
}

/** How records are to be written; a locked file is waited for for minutes unless told, without holding up this process. */
interface AppendOptions extends Within {
  readonly durable: boolean;
}

/**
 * Sagas and their records, durable. Every method that reaches the store throws (or rejects with) `JOURNAL` when it
 * cannot be read or written; `saga`, `sagas` and `records` show what has been written, not what waits to be.
 *
 * @example
 * ```ts
 * const journal = memoryJournal();
 * const lease = journal.begin({
 *   id: 's1', vm: 'web', operation: 'copy', planVersion: 1, address: '/run/web.qmp', request: {}, plan: {},
 * });
 * await journal.append(lease, [{ kind: 'intent', step: 'startMirrors', body: {} }], { durable: true });
 * await journal.end(lease, 'committed', { disks: [] });
 * console.log(journal.saga('s1')?.state, journal.records('s1').length); // committed 1
 * ```
 */
export interface Journal {
  /**
   * Writes the saga's row and gives the VM's lease, durable. Throws `VM_BUSY` when another saga holds the VM (`blockedBy`
   * names it, the message says whether its process lives, and what to do), `ID_CONFLICT` when the id exists.
   */
  begin(saga: NewSaga, options?: Within): Lease;
  /**
   * Takes over an open saga whose holder is dead, or one that needs recovery, under a new token; it is open then. A holder
   * that cannot be seen from here (another host, another container) counts as living until its lease has run out. With
   * `force` also from a holder that is alive: the caller waits until the old one must have noticed. Throws
   * `VM_BUSY` when the holder lives (`retryable` where its lease may run out), `SAGA_STATE` when the saga has ended,
   * `SAGA_UNKNOWN` when there is none. `note` is a record that is written in the same commit: pictures tell by it that the saga
   * has got another process, and nothing else goes by it.
   */
  takeOver(id: string, options?: TakeOverOptions): Lease;
  /**
   * Asks, without writing, whether the lease still is the one to write with. Throws `VM_BUSY` when another process has
   * taken the VM's lease since, `SAGA_STATE` when the saga has ended.
   */
  confirm(lease: Lease): void;
  /**
   * Appends. With `durable` it resolves when the records will survive a power cut; without, as soon as they are queued:
   * they ride with the next durable write, or with `close`. All that waits at the same time is one transaction.
   * Rejects with `JOURNAL` when it cannot be written (a body above 1 MiB too), with `VM_BUSY` when the lease's token is
   * no longer the current one, with `SAGA_STATE` when the saga has ended; nothing of it is written then. Order within a
   * saga is kept.
   */
  append(lease: Lease, records: readonly NewRecord[], options: AppendOptions): Promise<void>;
  /**
   * Like a durable `append`, but on return; whatever was queued before is in the same transaction. For the decision. While
   * another process has the file locked it is tried for `withinMs` (2000 unless told), and blocks this process meanwhile, as
   * do all methods that write before they return.
   */
  appendSync(lease: Lease, records: readonly NewRecord[], options?: Within): void;
  /**
   * Writes the final state and result, durable. `committed` and `rolledBack` free the VM; `needsRecovery` keeps its
   * lease until the saga is taken over. Rejects as `append` does.
   */
  end(lease: Lease, state: Exclude<SagaState, 'open'>, result: Json): Promise<void>;
  /**
   * Asks something of a saga that another process may run: a signal record, durable on return, for which no lease is needed.
   * Returns its seq. Throws SAGA_UNKNOWN, SAGA_STATE when the saga has ended.
   */
  ask(id: string, signal: string, value: Json, options?: Within): number;
  /**
   * Calls back, within a second, for each thing that is asked of a saga by `ask` behind a seq; returns what ends that.
   * An unreadable journal is silent here: the process that runs the saga notices at its own next record.
   */
  listen(id: string, afterSeq: number, heard: (asked: Asked) => void): () => void;
  /** The saga of this id, or undefined. */
  saga(id: string): SagaRow | undefined;
  /** The sagas that match, newest first. It reads those, and no others. */
  sagas(filter?: SagaFilter): readonly SagaRow[];
  /**
   * Renews the leases of sagas that this process runs, and keeps how far they are, in one transaction. A lease that is lost is left
   * alone: its saga finds out by its next record. Rejects with `JOURNAL`. A journal that only one process uses has no need
   * of it; in one that is shared by processes that cannot see one another, a lease that is not renewed runs out.
   */
  renew?(renewals: readonly Renewal[]): Promise<void>;
  /** What a saga has written, in order; empty for an unknown id. Throws JOURNAL for a record that is no JSON. */
  records(id: string): readonly JournalRecord[];
  /**
   * Gives a saga up that has not ended, for any process to resume at once; what was queued is written with it. Without it a
   * saga that a process has let go of can be resumed when that process has ended. Rejects as `append` does.
   */
  release?(lease: Lease): Promise<void>;
  /**
   * Forgets some sagas that its policy does not keep, in one short transaction, and resolves with how many; 0 when none is left.
   * Absent where all are kept. An engine calls it while no guest is paused. Rejects with `JOURNAL`.
   */
  forget?(): Promise<number>;
  /**
   * Whether this is the copy of the journal that was written last, as far as what is beside it tells; of a saga also whether it
   * was open in an older copy that has been written to since. Absent where there is nothing to put back.
   */
  standing?(saga?: string): Standing;
  /** Takes what an older copy says of a saga for the last of it, from now on, durable on return. */
  accept?(saga: string): void;
  /**
   * Writes what is queued and closes. Throws `JOURNAL`, and stays open, while sagas of this process run with it: close their
   * engine first. A closed journal refuses everything with `JOURNAL`, but may be closed again. */
  close(): Promise<void> | void;
}
