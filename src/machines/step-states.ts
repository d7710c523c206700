/**
 * The states in which steps run. Where the end of a step leads follows from its place: before the decision a failure or an
 * abort rolls back, behind it no edge leads to an undo, but for a migration that is found before the guest has run again.
 */
import { invariant } from '../errors.ts';
import { BACKING_OFF, stepDescription } from './descriptions.ts';
import { edge, entryOf, STRANDED } from './edges.ts';
import { type Path, type Place, stepOf } from './places.ts';
import type { Rollback } from './rollback.ts';
import type { Route } from './route.ts';
import type { SagaState, SagaTag } from './saga-setup.ts';
import { signalsAt, signalsIn } from './signals-at.ts';

/** A state with where it lies. */
export type PlacedState = readonly [path: Path, state: SagaState];

/** The state of a step, and, where its pause may be in vain, the one in which that ends. */
export function statesAt(place: Place, route: Route, rollback: Rollback): readonly PlacedState[] {
  const own: PlacedState = [place.path, stepState(place, route, rollback)];
  return place.backsOff ? [own, backingOffState(place, route)] : [own];
}

function stepState(place: Place, route: Route, rollback: Rollback): SagaState {
  const { step, path, begunWithIt, next } = place;
  const { chart, keepsCopies } = route;
  const to = (target: Path) => edge(chart, path, target);
  const undo = to(entryOf(rollback, place));
  const other = keepsCopies?.from === step ? [to([keepsCopies.phase.name])] : [];
  const tracked = [step, ...begunWithIt].filter(each => rollback.unsure.has(each));
  return {
    description: stepDescription(step),
    tags: tagsOf(place),
    ...(tracked.length === 0 ? {} : { entry: { type: 'attempt', params: { steps: tracked } } }),
    ...(place.ifJobsAreLeft ? { always: { guard: 'isDismissed', target: to(next) } } : {}),
    on: signalsAt(place, route),
    invoke: {
      src: step,
      onDone: [
        ...(isReversible(place)
          ? [{ guard: 'abortRequested', target: undo, actions: 'recordAbort' } as const]
          : []),
        ...other.map(target => ({ guard: 'keepsCopies', target, actions: 'recordKept' }) as const),
        ...(place.mayLeaveJobs
          ? [{ guard: 'leavesJobs', target: to(next), actions: 'recordUndismissed' } as const]
          : []),
        { target: place.endsInRollback ? undo : to(next) },
      ],
      onError: [
        ...(place.backsOff ? [{ guard: 'mayBackOff', target: 'backingOff' } as const] : []),
        ...guardsOfRollback(place).map(guard => ({ guard, target: undo, actions: 'recordFailure' }) as const),
        { target: isStranded(place) ? to(STRANDED) : undo, actions: 'recordFailure' },
      ],
    },
  };
}

/** It is left when that is asked, also where it has just succeeded. */
function isReversible({ isDecided, decides, mustSucceed }: Place): boolean {
  return !isDecided && decides === undefined && !mustSucceed;
}

/** Whether a failure of it leads neither back nor forward. */
function isStranded(place: Place): boolean {
  return place.isDecided || place.mustSucceed === true || decidesForGood(place);
}

/** It takes the decision, and has no undo that could revoke it. */
function decidesForGood({ decides, step }: Place): boolean {
  return decides !== undefined && 'irreversible' in stepOf(step);
}

/**
 * With which failures a saga that would be stranded rolls back after all: nothing has been done then. What decides in front of its
 * effect says so by the effect of its error; what waits for the decision of a group, by the group's code, since that may have
 * committed in any other case.
 */
function guardsOfRollback(place: Place): readonly ('isNotBegun' | 'isGroupBack' | 'migratesFirst')[] {
  const { decision, pause } = stepOf(place.step);
  if (decidesForGood(place)) return [decision === 'before' ? 'isNotBegun' : 'isGroupBack'];
  return pause === 'ends' ? ['migratesFirst'] : [];
}

function tagsOf({ isDecided, isPaused }: Place): SagaTag[] {
  return [isDecided ? 'decided' : 'reversible', ...(isPaused ? ['guestPaused' as const] : [])];
}

/** The pause was in vain: the guest is resumed, and it is waited for the next one. */
function backingOffState({ path, waits, pause }: Place, { chart }: Route): PlacedState {
  invariant(pause !== undefined, 'only in a pause there is one to be given up');
  const own = [...path.slice(0, -1), 'backingOff'];
  const forget = { type: 'forget', params: { step: pause } } as const;
  const state: SagaState = {
    description: BACKING_OFF,
    tags: ['reversible', 'guestPaused'],
    entry: 'backOff',
    on: signalsIn(['abort']),
    invoke: {
      src: `undo.${pause}`,
      onDone: { target: edge(chart, own, waits), actions: forget },
      onError: { target: edge(chart, own, STRANDED), actions: 'recordUndoFailure' },
    },
  };
  return [own, state];
}
