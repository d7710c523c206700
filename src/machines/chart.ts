/**
 * Makes a route into a machine: the states of its steps in the order of the route, the states of their undos in exactly the
 * reverse one, and the ends. It asks for the actors that its states invoke, and for no others.
 */
import { invariant } from '../errors.ts';
import { splitKey } from '../steps/stages.ts';
import { compensatingState, endStates } from './compensation.ts';
import { CHARTS } from './descriptions.ts';
import { type Place, placesOf } from './places.ts';
import { type Rollback, rollbackOf } from './rollback.ts';
import { isPhase, type Phase, type Route } from './route.ts';
import {
  initialContext,
  outputOf,
  type SagaMachine,
  type SagaState,
  type StepActorName,
  sagaSetup,
} from './saga-setup.ts';
import { statesAt } from './step-states.ts';

/** The machine of all sagas that take one route, and the names under which it asks for their steps. */
export interface Chart {
  readonly machine: SagaMachine;
  readonly actors: readonly StepActorName[];
}

export function chartOf(route: Route): Chart {
  const places = placesOf(route);
  const rollback = rollbackOf(route, places);
  const states = new Map(
    places.flatMap(place => statesAt(place, route, rollback)).map(([path, state]) => [path.join('.'), state]),
  );
  const { keepsCopies, chart } = route;
  const phases = [...route.phases, ...(keepsCopies === undefined ? [] : [keepsCopies.phase])];
  const forward = phases.flatMap(phase => phaseStates(phase, [], states));
  const [first] = forward;
  invariant(first !== undefined, 'a saga has a step');
  const actors = actorsIn(places, rollback);
  const machine = sagaSetup(actors).createMachine({
    id: chart,
    description: CHARTS[chart],
    context: initialContext,
    initial: first[0],
    states: {
      ...Object.fromEntries(forward),
      ...(rollback.line.length > 0 ? { compensating: compensatingState(route, rollback, places) } : {}),
      ...endStates(places),
    },
    output: outputOf,
  });
  return { machine, actors };
}

/** A phase with the states inside it; none where no step is in it. */
function phaseStates(
  phase: Phase,
  above: readonly string[],
  states: ReadonlyMap<string, SagaState>,
): readonly (readonly [string, SagaState])[] {
  const path = [...above, phase.name];
  const at = (name: string) => {
    const state = states.get([...path, name].join('.'));
    return state === undefined ? [] : [[name, state] as const];
  };
  const inside = [
    ...phase.inside.flatMap(each =>
      isPhase(each) ? phaseStates(each, path, states) : at(splitKey(each.step).step),
    ),
    ...at('backingOff'),
  ];
  const [first] = inside;
  if (first === undefined) return [];
  const state: SagaState = {
    description: phase.description,
    ...(phase.followsJobs ? { entry: 'followJobs' } : {}),
    initial: first[0],
    states: Object.fromEntries(inside),
  };
  return [[phase.name, state]];
}

function actorsIn(places: readonly Place[], { line, asked }: Rollback): readonly StepActorName[] {
  const undos = line.filter(step => step !== asked).map(step => `undo.${step}` as const);
  return [
    'rescueGuest',
    ...new Set(places.map(({ step }) => step)),
    ...undos,
    ...(asked === undefined ? [] : [asked]),
  ];
}
