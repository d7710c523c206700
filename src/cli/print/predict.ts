/**
 * What a plan will come to when nothing goes wrong: the order of its steps, found by running the operation's own
 * machine with steps that do nothing, and each disk's chain afterwards. It asks no QEMU.
 */
import { createActor, fromPromise } from 'xstate';
import { chartFor } from '../../machines/machine-for.ts';
import type { StepActorName, StepOutput } from '../../machines/saga-setup.ts';
import { chainOfImage } from '../../plan/chain-of-image.ts';
import { type ChainImage, type DiskPlan, hasMirrors, type Plan } from '../../plan/plan.ts';

/** The steps and undos in their order, and the state in which the machine comes to rest. */
export async function predictSteps(
  plan: Plan,
): Promise<{ readonly steps: readonly StepActorName[]; readonly end: string }> {
  const steps: StepActorName[] = [];
  const rest = Promise.withResolvers<string>();
  const pretend = (name: StepActorName) =>
    fromPromise<StepOutput>(async () => {
      steps.push(name);
      if (!/(^|\.)awaitSignal$/.test(name)) return { abort: false };
      rest.resolve('ready');
      return new Promise<never>(() => undefined); // no signal will come
    });
  const { machine, actors: names } = chartFor(plan);
  const actors = Object.fromEntries(names.map(name => [name, pretend(name)]));
  const actor = createActor(machine.provide({ actors }), { input: { plan } });
  actor.subscribe({
    next: ({ output }) => {
      if (output !== undefined) rest.resolve(output.outcome);
    },
    error: rest.reject,
  });
  actor.start();
  const end = await rest.promise;
  actor.stop();
  return { steps, end };
}

/** The chain under the guest's disk when the plan is done, front first. */
export function predictChain(plan: Plan, disk: DiskPlan): readonly ChainImage[] {
  if (plan.operation === 'snapshotMirror') return chainOfImage(plan.snapshot.disks[disk.index] ?? disk);
  return hasMirrors(plan) && plan.finish !== 'pivot' ? disk.chain : chainOfImage(disk);
}
