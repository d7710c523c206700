/** What a step host is made of: a saga's plan, its records, and the ways to the world. Holds nothing by itself. */
import type { Journal, Lease } from '../journal/journal.ts';
import type { Clock } from '../qmp/clock.ts';
import type { Files } from '../steps/files.ts';
import type { Plan } from '../steps/plan.ts';
import type { JobProgress, StepContext } from '../steps/step.ts';
import type { History } from './history.ts';
import type { Monitor } from './monitor.ts';

export interface HostParts {
  readonly plan: Plan;
  readonly monitor: Monitor;
  readonly journal: Journal;
  readonly lease: Lease;
  readonly history: History;
  readonly files: Files | null;
  readonly clock: Clock;
  readonly openAgent: StepContext['openAgent'];
  readonly publish: StepContext['publish'];
  readonly report: (progress: JobProgress) => void;
}
