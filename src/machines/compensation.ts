/**
 * How every saga goes back, and where it ends. It only gives the order; what an undo does is its step's.
 */
import { invariant } from '../errors.ts';
import type { StepKey } from '../steps/stages.ts';
import { actorOf, saga } from './saga-parts.ts';

/**
 * Undoes what was attempted, newest first: one state per step, skipped when the step never began. An undo that fails
 * ends it, but the guest runs again first. One that finds that there is only forward leads to `onward`.
 */
export function compensation(stepsOldestFirst: readonly StepKey[], onward?: string) {
  const { initial, states } = undoStates(stepsOldestFirst, '#rolledBack', onward);
  return saga.createStateConfig({ id: 'compensating', initial, states });
}

/** The states of a compensation, or of a part of one, which then goes on to `end`. */
export function undoStates(stepsOldestFirst: readonly StepKey[], end: string, onward?: string) {
  const newestFirst = [...stepsOldestFirst].reverse();
  const first = newestFirst[0];
  invariant(first !== undefined, 'an operation has at least one step');
  const states = newestFirst.map((step, at) => {
    const next = newestFirst[at + 1];
    const target = next === undefined ? end : undoState(next);
    const state = saga.createStateConfig({
      always: { guard: { type: 'notAttempted', params: { step } }, target },
      invoke: {
        src: actorOf(`undo.${step}`),
        onDone: { target, actions: { type: 'forget', params: { step } } },
        onError: [
          ...(onward === undefined
            ? []
            : [{ guard: 'wasOvertaken', target: onward, actions: 'recordGoingOn' } as const]),
          { target: '#stranded', actions: 'recordUndoFailure' },
        ],
      },
    });
    return [undoState(step), state] as const;
  });
  return { initial: undoState(first), states: Object.fromEntries(states) };
}

/** The state of a question on the way back: yes or no, or stranded where it could not be asked. */
export function askingState(step: StepKey, yes: string, no: string) {
  return saga.createStateConfig({
    invoke: {
      src: actorOf(step),
      onDone: [{ guard: 'isYes', target: yes }, { target: no }],
      onError: { target: '#stranded', actions: 'recordUndoFailure' },
    },
  });
}

/** A dot would be taken for a path to an inner state. */
function undoState(step: StepKey): string {
  return `undo ${step.replace('.', ' ')}`;
}

/** The states in which every saga ends, and the one in which it lets the guest run when it can do no more. */
export const endings = {
  stranded: saga.createStateConfig({
    id: 'stranded',
    description: 'Neither forward nor back: the guest is let run and thawed, the rest waits for resume.',
    invoke: {
      src: 'rescueGuest',
      onDone: '#needsRecovery',
      onError: { target: '#needsRecovery', actions: 'recordUndoFailure' },
    },
  }),
  committed: saga.createStateConfig({ id: 'committed', type: 'final' }),
  rolledBack: saga.createStateConfig({ id: 'rolledBack', type: 'final' }),
  needsRecovery: saga.createStateConfig({ id: 'needsRecovery', type: 'final' }),
} as const;
