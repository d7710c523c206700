/** The machines, for inspectors, drawings and own hosts: `blocksaga/machines`. */
export { type BlockJobContext, blockJobMachine } from './block-job-machine.ts';
export { commitMachine } from './commit-machine.ts';
export { copyMachine } from './copy-machine.ts';
export { revertMachine } from './revert-machine.ts';
export { rewriteMachine } from './rewrite-machine.ts';
export {
  jobActorId,
  type SagaContext,
  type SagaEvent,
  type StepActorName,
  type StepOutput,
} from './saga-parts.ts';
export { snapshotMachine } from './snapshot-machine.ts';
export { snapshotMirrorMachine } from './snapshot-mirror-machine.ts';
