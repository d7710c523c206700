/** The machines, for inspectors, drawings and own hosts: `blocksaga/machines`. */
export { type BlockJobContext, blockJobMachine } from './block-job-machine.ts';
export { copyMachine } from './copy-machine.ts';
export type { SagaContext, SagaEvent, StepActorName, StepOutput } from './saga-parts.ts';
export { snapshotMachine } from './snapshot-machine.ts';
