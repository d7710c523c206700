/** What a saga is run with. Types only. */
import type { Files } from '../../images/files.ts';
import type { Journal, Lease } from '../../journal/journal.ts';
import type { Plan } from '../../plan/plan.ts';
import type { Clock } from '../../qmp/clock.ts';
import type { Barrier } from '../../steps/step/barrier.ts';
import type { Quota } from '../../steps/step/quota.ts';
import type { StepContext } from '../../steps/step/step.ts';
import type { OnListenerError } from '../connection/isolate.ts';
import type { Monitor } from '../connection/monitor.ts';
import type { Trace } from '../connection/wire.ts';
import type { Inspect, Metadata } from './saga-types.ts';

/** `S` is the saga that runs with them. */
export interface SagaParts<S> {
  readonly plan: Plan;
  readonly monitor: Monitor;
  readonly journal: Journal;
  readonly lease: Lease;
  readonly files: Files | null;
  readonly clock: Clock;
  /** Where it meets the other members of its group; null for a saga of its own. */
  readonly barrier: Barrier | null;
  /** The same where it is begun again from its journal, when the others cannot be met any more. */
  readonly lateBarrier: Barrier | null;
  /** Told of each step that is tried again. */
  readonly retried: ((step: string) => void) | undefined;
  /** The limits over all sagas of the engine. */
  readonly quota: Quota | undefined;
  readonly openAgent: StepContext['openAgent'];
  readonly publish: StepContext['publish'];
  readonly inspect: Inspect | undefined;
  readonly trace: Trace | undefined;
  readonly onListenerError: OnListenerError | undefined;
  readonly metadata: Metadata | undefined;
  readonly onEnd: (saga: S) => void;
  /** It was begun again from its journal, since it was stuck. */
  readonly onAgain: (saga: S) => void;
}
