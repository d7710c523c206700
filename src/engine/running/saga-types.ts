/** What a saga under way is to those who began it, and what they hear of it. Types only. */
import type { InspectionEvent, Observer } from 'xstate';
import type { Plan } from '../../plan/plan.ts';
import type { JobProgress } from '../../steps/step/step.ts';
import type { SagaResult } from './result.ts';

/** What a listener hears: every state that is entered, and how far the block jobs are. */
export type SagaNotice =
  | { readonly type: 'event'; readonly saga: string; readonly event: 'entered'; readonly state: string }
  | ({ readonly type: 'progress'; readonly saga: string } & JobProgress);

/** What hears XState's own inspection events: a function or an observer, as `createActor` takes. */
export type Inspect = Observer<InspectionEvent> | ((event: InspectionEvent) => void);

/** A saga under way. */
export interface Saga {
  readonly id: string;
  readonly plan: Plan;
  /** Resolves at the end, or when it waits at `ready`. Rejects with JOURNAL, or VM_BUSY when another process has it. */
  readonly result: Promise<SagaResult>;
  /** Resolves at the end also where `result` was that it waits; it may end by itself then. Rejects as `result` does. */
  readonly ended: Promise<SagaResult>;
  /** Calls back for every state entered so far, then for every notice as it comes; returns what unsubscribes. */
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
