/**
 * The order of a saga's steps, as its plan has it, with what a place in that order means. A route says what follows what;
 * where a failure or an abort leads, `chart.ts` concludes from it. Pure data.
 */
import type { StepKey } from '../steps/stages.ts';
import type { ChartName } from './shape.ts';

/**
 * A place in the order: the state in which one step runs. Which step takes the decision is no word of the route: it is the last one
 * that can (`decision` of the step).
 */
export interface RouteStep {
  readonly step: StepKey;
  /** The saga rolls back when this step has succeeded: no more was asked for. */
  readonly endsInRollback?: true;
  /** Where it fails the saga is stranded, though the steps before it could be undone. */
  readonly mustSucceed?: true;
  /** Where it fails since the guest writes faster than its mirrors follow, the guest is resumed, and the pause is tried again later. */
  readonly backsOff?: true;
  /** It is no part of the ordinary route: an undo leads to it that finds that a rollback would lose data. */
  readonly ifOvertaken?: true;
  /**
   * In the pause: it counts as begun as soon as the pause has, and a rollback looks for it even when no record tells of it, which
   * may have been lost with the process.
   */
  readonly begunWithPause?: true;
  /** Its undo comes right after the undo of that step, not in the order of the steps. */
  readonly undoneAfter?: StepKey;
  /** It succeeds also with jobs that QEMU does not dismiss in the pause, which does not wait for them. */
  readonly mayLeaveJobs?: true;
  /** It is only run where jobs were left so. */
  readonly ifJobsAreLeft?: true;
}

/** A part of a saga: a composite state. */
export interface Phase {
  readonly name: string;
  readonly description: string;
  /** Inspectors are shown the block jobs from here on. */
  readonly followsJobs?: true;
  readonly inside: readonly (RouteStep | Phase)[];
}

export interface Route {
  readonly chart: ChartName;
  readonly phases: readonly Phase[];
  /** Another end, for a wait that is asked for it: with the copies kept as they are. */
  readonly keepsCopies?: { readonly from: StepKey; readonly phase: Phase };
  /**
   * The first stage's part of a rollback begins with a question: with yes the saga keeps what that stage has done, and goes
   * on with `keep`.
   */
  readonly asks?: { readonly step: StepKey; readonly keep: StepKey | null };
}

export function isPhase(each: RouteStep | Phase): each is Phase {
  return 'inside' in each;
}

/** What is inside under a condition: `only(plan.deletes, 'removeLeaving')`. */
export function only<const T>(condition: boolean, ...inside: readonly T[]): readonly T[] {
  return condition ? inside : [];
}
