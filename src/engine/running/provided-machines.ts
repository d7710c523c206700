/** The machines with their steps: each actor runs one step through the hosts of the saga that its system belongs to. */
import { fromPromise } from 'xstate';
import { invariant } from '../../errors.ts';
import { SAGA_MACHINES } from '../../machines/of-plan.ts';
import { STEP_KEYS, type StepActorName, type StepOutput } from '../../machines/saga-parts.ts';
import type { Stages } from '../durable/stages.ts';

const STAGES = Symbol('stages');

/**
 * Says whose steps the actors of a system run: the machines are provided once. Nobody's at the end: an actor lives on until
 * the next full collection (V8 takes closures that XState makes for old ones), and must not keep the saga's world with it.
 */
export function hostIn(system: object, stages: Stages | undefined): void {
  Object.assign(system, { [STAGES]: stages });
}

function stagesIn(system: object): Stages {
  const stages = (system as { readonly [STAGES]?: Stages })[STAGES];
  invariant(stages !== undefined, 'a saga has step hosts before its machine starts');
  return stages;
}

/** The actors that a machine asks for, each running one step through its saga's hosts. */
function stepActors() {
  const actors: Partial<Record<StepActorName, ReturnType<typeof fromPromise<StepOutput>>>> = {
    rescueGuest: fromPromise<StepOutput>(({ system }) => stagesIn(system).rescueGuest()),
  };
  for (const name of STEP_KEYS) {
    actors[name] = fromPromise<StepOutput>(({ system }) => stagesIn(system).run(name));
    actors[`undo.${name}`] = fromPromise<StepOutput>(({ system }) => stagesIn(system).undo(name));
  }
  return actors;
}

/** The machines with their steps, and with some actions replaced. */
function provided(actions: { readonly followJobs?: () => undefined }) {
  return {
    snapshot: SAGA_MACHINES.snapshot.provide({ actors: stepActors(), actions }),
    copy: SAGA_MACHINES.copy.provide({ actors: stepActors(), actions }),
    commit: SAGA_MACHINES.commit.provide({ actors: stepActors(), actions }),
    rewrite: SAGA_MACHINES.rewrite.provide({ actors: stepActors(), actions }),
    snapshotMirror: SAGA_MACHINES.snapshotMirror.provide({ actors: stepActors(), actions }),
    revert: SAGA_MACHINES.revert.provide({ actors: stepActors(), actions }),
  } as const;
}

export const SEEN = provided({});
/** Only an inspector sees the actors that follow block jobs; without one there is nobody to follow them for. */
export const UNSEEN = provided({ followJobs: () => undefined });
