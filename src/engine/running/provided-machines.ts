/** The machines with their steps: each actor runs one step through the hosts of the saga that its system belongs to. */
import { createActor, fromPromise, type InspectionEvent } from 'xstate';
import { BlocksagaError, definedOnly, invariant } from '../../errors.ts';
import type { Chart } from '../../machines/chart.ts';
import { Crash } from '../../machines/error-of.ts';
import { chartFor } from '../../machines/machine-for.ts';
import type { SagaMachine, StepActorName, StepLogic, StepOutput } from '../../machines/saga-setup.ts';
import type { Plan } from '../../plan/plan.ts';
import type { Stages } from '../durable/stages.ts';

const STAGES = Symbol('stages');

/** The actor of one saga, which is to be started; its steps run through `stages`. */
export function createSagaActor(
  id: string,
  plan: Plan,
  stages: Stages,
  inspect: ((event: InspectionEvent) => void) | undefined,
) {
  const machine = providedMachine(plan, inspect !== undefined);
  const actor = createActor(machine, { id, systemId: id, input: { plan }, ...definedOnly({ inspect }) });
  hostIn(actor.system, stages);
  return actor;
}

/**
 * Says whose steps the actors of a system run, since one provided machine serves all sagas. At the end of a saga it is
 * undefined: an actor stays in memory until the next full collection (V8 takes closures that XState makes for old ones), and
 * must not keep the saga's world with it.
 */
export function hostIn(system: object, stages: Stages | undefined): void {
  Object.assign(system, { [STAGES]: stages });
}

function stagesIn(system: object): Stages {
  const stages = (system as { readonly [STAGES]?: Stages })[STAGES];
  invariant(stages !== undefined, 'a saga has step hosts before its machine starts');
  return stages;
}

/** The machines with their steps, with the block jobs for an inspector to see, and without. */
const seen = new WeakMap<Chart, SagaMachine>();
const unseen = new WeakMap<Chart, SagaMachine>();

/** The machine of a plan with its steps. What follows block jobs is only there for an inspector. */
function providedMachine(plan: Plan, isSeen: boolean): SagaMachine {
  const known = isSeen ? seen : unseen;
  const chart = chartFor(plan);
  let machine = known.get(chart);
  if (machine === undefined) {
    const actions = isSeen ? {} : { followJobs: () => undefined };
    machine = chart.machine.provide({ actors: stepActors(chart.actors), actions });
    known.set(chart, machine);
  }
  return machine;
}

/** A broken assumption of ours ends the saga; the guest is seen to first. */
async function act(system: object, name: StepActorName): Promise<StepOutput> {
  try {
    return await stagesIn(system).act(name);
  } catch (error) {
    if (error instanceof BlocksagaError) throw error;
    throw new Crash(String(error), { cause: error });
  }
}

/** The actors that a machine asks for, each running one step through its saga's hosts. */
function stepActors(names: readonly StepActorName[]): Record<string, StepLogic> {
  return Object.fromEntries(
    names.map(name => [name, fromPromise<StepOutput>(({ system }) => act(system, name))]),
  );
}
