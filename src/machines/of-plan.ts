/** Which machine carries out which plan. */
import type { Plan } from '../plan/plan.ts';
import { commitMachine } from './commit-machine.ts';
import { copyMachine } from './copy-machine.ts';
import { revertMachine } from './revert-machine.ts';
import { rewriteMachine } from './rewrite-machine.ts';
import { snapshotMachine } from './snapshot-machine.ts';
import { snapshotMirrorMachine } from './snapshot-mirror-machine.ts';

/** The machines of all operations, by their ids. */
export const SAGA_MACHINES = {
  snapshot: snapshotMachine,
  copy: copyMachine,
  commit: commitMachine,
  rewrite: rewriteMachine,
  revert: revertMachine,
  snapshotMirror: snapshotMirrorMachine,
} as const;

/** The name of a saga's machine. */
export type SagaMachineName = keyof typeof SAGA_MACHINES;

export function machineNameOf(plan: Plan): SagaMachineName {
  if (plan.operation === 'pull') return 'rewrite';
  if (plan.operation !== 'commit') return plan.operation;
  return plan.kind === 'active' ? 'commit' : 'rewrite';
}
