/** The command's exit statuses. It only says which; it does not exit. */

import type { SignalName } from '../../engine/durable/signals.ts';
import type { SagaResult } from '../../engine/running/result.ts';
import type { Finish } from '../../plan/plan.ts';

/** What the shell is told. */
export const EXIT = {
  /** The disks are as they were asked to be. */
  done: 0,
  /** None of the disks has changed, and nothing of it is left. */
  rolledBack: 1,
  /** Refused before anything was touched. */
  refused: 2,
  /** Neither; the journal knows what is there. */
  needsRecovery: 3,
  /**
   * The disks are as they were asked to be, but files that were to be removed are still there, or the next boot would not find an
   * image by its name; the result names them.
   */
  leftToDo: 4,
  /** What was asked for is told, and something that matters for it is not known: whether Restate has paused anything. */
  notKnown: 5,
  /** A bug of ours (EX_SOFTWARE in sysexits.h). */
  bug: 70,
} as const;

/** The status for a result; a copy that was asked to roll back in the end has done so. */
export function exitStatusOf(result: SagaResult, finish: Finish | null): number {
  if (isBug(result)) return EXIT.bug;
  if (result.outcome === 'needsRecovery') return EXIT.needsRecovery;
  if (result.outcome !== 'rolledBack') return doneStatusOf(result);
  return finish === 'abort' && result.error === null ? EXIT.done : EXIT.rolledBack;
}

/** The status of a command that asked for one end of a saga, or for whichever end it comes to. */
export function exitStatusOfEnd(result: SagaResult, asked: SignalName | undefined): number {
  if (isBug(result)) return EXIT.bug;
  const { outcome } = result;
  if (outcome === 'needsRecovery') return EXIT.needsRecovery;
  return outcome === 'rolledBack' && asked !== 'abort' ? EXIT.rolledBack : doneStatusOf(result);
}

function doneStatusOf({ notRemoved = [], misnamed = [] }: SagaResult): number {
  return notRemoved.length + misnamed.length > 0 ? EXIT.leftToDo : EXIT.done;
}

/** Whether a broken assumption of ours has ended it, in this process. */
function isBug({ error }: SagaResult): boolean {
  return error?.code === 'INTERNAL';
}

/** One status for several sagas: the one that needs attention most, first. */
export function worstStatus(statuses: readonly number[]): number {
  const byUrgency = [EXIT.bug, EXIT.needsRecovery, EXIT.refused, EXIT.rolledBack, EXIT.leftToDo];
  return byUrgency.find(status => statuses.includes(status)) ?? EXIT.done;
}

/** How a command hands its exit status over. */
export type Finished = (status: number) => void;
