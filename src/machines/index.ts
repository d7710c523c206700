/** The charts of sagas, for inspectors, drawings and hosts of one's own: `blocksaga/machines`. */
import '../supported-node.ts';

export { type BlockJobContext, blockJobMachine } from './block-job-machine.ts';
export type { Chart } from './chart.ts';
export { pathsThrough, type SagaPath } from './explore.ts';
export { chartFor, machineFor } from './machine-for.ts';
export { READY_MADE } from './ready-made.ts';
export {
  jobActorId,
  type SagaContext,
  type SagaEnd,
  type SagaEvent,
  type SagaMachine,
  type SagaOutput,
  type SagaSignal,
  type SagaTag,
  type StepActorName,
  type StepLogic,
  type StepOutput,
} from './saga-setup.ts';
