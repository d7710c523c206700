/** The rollback of a saga as states, and the states in which it ends. The order is the rollback's; an undo is its step's. */
import type { StepKey } from '../steps/stages.ts';
import * as told from './descriptions.ts';
import { edge, STRANDED, undoPath } from './edges.ts';
import type { Path, Place } from './places.ts';
import type { Rollback } from './rollback.ts';
import type { Route } from './route.ts';
import { SAGA_ENDS, type SagaState } from './saga-setup.ts';
import { signalsIn } from './signals-at.ts';

type Edges = (target: Path) => string;

/** One state per undo, newest first, and the question where there is one. */
export function compensatingState(route: Route, rollback: Rollback, places: readonly Place[]): SagaState {
  const { line, asked, unsure } = rollback;
  const paused = new Set(places.filter(({ isPaused }) => isPaused).map(({ step }) => step));
  const onward = places.find(({ ifOvertaken }) => ifOvertaken)?.path;
  const states = line.map((step, at): readonly [string, SagaState] => {
    const path = undoPath(step, asked);
    const after = line[at + 1];
    const to: Edges = target => edge(route.chart, path, target);
    const next = to(after === undefined ? ['rolledBack'] : undoPath(after, asked));
    const state: SagaState = {
      ...(paused.has(step) ? { tags: 'guestPaused' } : {}),
      ...(asked !== undefined && at <= line.indexOf(asked)
        ? { on: signalsIn(['abort', 'keepSnapshot']) }
        : {}),
      ...(unsure.has(step)
        ? { always: { guard: { type: 'notAttempted', params: { step } }, target: next } }
        : {}),
      ...(step === asked
        ? askingState(step, to(keepingPath(route, places)), next, to)
        : undoState(step, next, onward, to)),
    };
    return [path.at(-1) ?? '', state];
  });
  const [first] = states;
  return {
    description: told.COMPENSATING,
    initial: first?.[0],
    states: Object.fromEntries(states),
  };
}

/** An undo that finds that a rollback would lose data leads `onward`, where the saga has that. */
function undoState(step: StepKey, next: string, onward: Path | undefined, to: Edges): SagaState {
  return {
    description: told.undoDescription(step),
    invoke: {
      src: `undo.${step}`,
      onDone: next,
      onError: [
        ...(onward === undefined
          ? []
          : [{ guard: 'wasOvertaken', target: to(onward), actions: 'recordGoingOn' } as const]),
        { target: to(STRANDED), actions: 'recordUndoFailure' },
      ],
    },
  };
}

/** Yes or no, or stranded where it could not be asked. */
function askingState(step: StepKey, yes: string, no: string, to: Edges): SagaState {
  return {
    description: told.stepDescription(step),
    invoke: {
      src: step,
      onDone: [{ guard: 'isYes', target: yes, actions: 'recordKept' }, { target: no }],
      onError: { target: to(STRANDED), actions: 'recordUndoFailure' },
    },
  };
}

/** What is still done for a saga that keeps what its first stage has done. */
function keepingPath({ asks }: Route, places: readonly Place[]): Path {
  return places.find(({ step }) => step === asks?.keep)?.path ?? ['committed'];
}

/** The final states, and the one in which a saga sees to the guest when it can do no more. A plan may have no good end. */
export function endStates(places: readonly Place[]): Readonly<Record<string, SagaState>> {
  const commits = places.some(({ next, endsInRollback }) => next[0] === 'committed' && !endsInRollback);
  const finals = SAGA_ENDS.filter(end => commits || end !== 'committed').map(end => {
    const state: SagaState = { type: 'final', description: told.ENDS[end], output: end };
    return [end, state] as const;
  });
  const stranded: SagaState = {
    description: told.STRANDED,
    invoke: {
      src: 'rescueGuest',
      onDone: 'needsRecovery',
      onError: { target: 'needsRecovery', actions: 'recordRescueFailure' },
    },
  };
  return { stranded, ...Object.fromEntries(finals) };
}
