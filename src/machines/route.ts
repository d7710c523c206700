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
  /** It is no part of the ordinary route; an undo that finds that a rollback would lose data leads to it. */
  readonly overtaken?: true;
  /** It must come about, though the saga can still roll back behind it: where it fails the saga is stranded. */
  readonly strands?: true;
  /** Where the guest writes faster than its mirrors follow, it is resumed, and the pause is tried again later. */
  readonly backsOff?: true;
  /** The undo of this step comes right after the undo of that one, where it is not in the order of the steps. */
  readonly undoneAfter?: StepKey;
  /** QEMU may refuse to dismiss jobs in the pause, which does not wait for that. */
  readonly mayLeaveJobs?: true;
  /** Only run where that has happened. */
  readonly ifJobsAreLeft?: true;
  /** The plan ends here: the saga rolls back. */
  readonly rollsBack?: true;
}

/** A part of a saga: a composite state. */
export interface Phase {
  readonly name: string;
  readonly description: string;
  /** Inspectors are shown the block jobs from here on. */
  readonly followsJobs?: true;
  /** The steps in the pause whose records may be lost with the process: all count as begun as soon as the pause has. */
  readonly inPause?: readonly StepKey[];
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
export function only<T>(condition: boolean, ...inside: readonly T[]): readonly T[] {
  return condition ? inside : [];
}
