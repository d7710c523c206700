/** What a saga under way is to those who began it, and what they hear of it. Types only. */
import type { InspectionEvent, Observer } from 'xstate';
import type { Plan } from '../../plan/plan.ts';
import type { JobProgress } from '../../steps/step/step.ts';
import type { SagaResult } from './result.ts';

/**
 * What a saga is about, in one word: `queued` waits until the engine's limits let a disk begin, `waiting` is for a signal, at READY; `paused` has the guest paused or about to be;
 * `switching` and `rewriting` change disks of a guest that runs; `stranded` can do no more but see to its guest.
 */
export type SagaPhase =
  | 'preparing'
  | 'queued'
  | 'mirroring'
  | 'rewriting'
  | 'waiting'
  | 'switching'
  | 'paused'
  | 'cleaningUp'
  | 'rollingBack'
  | 'stranded'
  | 'ended';

/** What a caller has said of its saga: kept in the journal, and given back with all that is heard of it. */
export type Metadata = Readonly<Record<string, string>>;

/** What every notice says. */
export interface NoticeBase {
  readonly saga: string;
  readonly vm: string;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly phase: SagaPhase;
  /** Whether the guest is paused for this saga, or may be. */
  readonly guestPaused: boolean;
  /** Whether it has happened in an earlier process, and is only gone through again after a `resume`. */
  readonly replayed: boolean;
  /** Of the request, where it has any. */
  readonly metadata?: Metadata;
}

/** A state of the saga's chart is entered: `switching.pauseGuest`. */
export interface EnteredNotice extends NoticeBase {
  readonly type: 'event';
  readonly event: 'entered';
  readonly state: string;
}

/** How far one disk's job is. */
export interface ProgressNotice extends NoticeBase, JobProgress {
  readonly type: 'progress';
  /** Over the last seconds; null until it is known. */
  readonly bytesPerSecond: number | null;
  /** Until all is copied, at that rate; null where it is not known, or no end is in sight. */
  readonly remainingMs: number | null;
}

/** What a listener hears: every state that is entered, and how far the block jobs are. */
export type SagaNotice = EnteredNotice | ProgressNotice;

/** What hears XState's own inspection events: a function or an observer, as `createActor` takes. */
export type Inspect = Observer<InspectionEvent> | ((event: InspectionEvent) => void);

/** A saga under way. `for await (const notice of saga)` hears what `subscribe` does, until the saga's end. */
export interface Saga extends AsyncIterable<SagaNotice> {
  readonly id: string;
  readonly vm: string;
  readonly operation: string;
  readonly metadata: Metadata | undefined;
  readonly plan: Plan;
  /** Resolves at the end, or when it waits at `ready`. Rejects with JOURNAL, or VM_BUSY when another process has it. */
  readonly result: Promise<SagaResult>;
  /** Resolves at the end also where `result` was that it waits; it may end by itself then. Rejects as `result` does. */
  readonly ended: Promise<SagaResult>;
  /**
   * `until('ready')` resolves when it waits for a signal with every mirror ready, and throws SAGA_STATE when it ends without;
   * `until('ended')` is `ended`.
   */
  until(what: 'ready' | 'ended'): Promise<SagaResult>;
  /**
   * Calls back for every state entered so far and the last progress of each disk, then for every notice as it comes; returns
   * what unsubscribes.
   */
  subscribe(listener: (notice: SagaNotice) => void): () => void;
  /** Lets a saga that waits at `ready` switch; resolves at its end. Throws SAGA_STATE when it has ended. */
  pivot(): Promise<SagaResult>;
  /**
   * Ends a copy that waits at `ready` without a switch: the copies are one consistent cut of all disks, and the guest stays
   * where it is. Resolves at its end. Throws SAGA_STATE when it has ended, is being switched, or is no copy that waits.
   */
  keepCopies(): Promise<SagaResult>;
  /**
   * Takes the mirrors of a snapshot away and keeps the snapshot, where nothing has been switched yet; resolves at its end.
   * Throws SAGA_STATE when it has ended, or is no snapshot with mirrors that has been taken.
   */
  keepSnapshot(): Promise<SagaResult>;
  /** Rolls the saga back if its decision has not been taken; resolves at its end. Throws SAGA_STATE when it has ended. */
  abort(): Promise<SagaResult>;
  /**
   * Limits each of its jobs from now on, in bytes per second; 0 lifts the limit. It is kept in the journal for a resume.
   * Throws SAGA_STATE when nothing copies any more, or the guest is paused for the switch.
   */
  setSpeed(bytesPerSecond: number): Promise<void>;
}
