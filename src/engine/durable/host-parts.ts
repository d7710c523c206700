/** What a step host is made of: the plan of a stage, its records, and the ways to the world. Holds nothing by itself. */

import type { Files } from '../../images/files.ts';
import type { Journal, Lease } from '../../journal/journal.ts';
import type { StagePlan } from '../../plan/plan.ts';
import type { Clock } from '../../qmp/clock.ts';
import type { Barrier } from '../../steps/step/barrier.ts';
import type { Quota } from '../../steps/step/quota.ts';
import type { JobProgress, StepContext } from '../../steps/step/step.ts';
import type { Monitor } from '../connection/monitor.ts';
import type { Counted } from './counted.ts';
import type { History } from './history.ts';
import type { Stand, Unplugged } from './unplugged.ts';

/** Of files, by their names. */
export type Identities = Readonly<Record<string, string>>;

/** What a stage asks of its saga's journal. */
export type StageJournal = Pick<Journal, 'append' | 'appendSync' | 'confirm'>;

export interface HostParts {
  readonly plan: StagePlan;
  readonly monitor: Monitor;
  readonly journal: StageJournal;
  readonly lease: Lease;
  /** What of the saga is durable, for QEMU to be told. */
  readonly counted: Counted;
  readonly history: History;
  readonly files: Files | null;
  readonly clock: Clock;
  /** Whether the saga has marked its QEMU, whichever stage did. */
  readonly isMarked: () => boolean;
  /** The disks that have left the guest, which all stages share. */
  readonly unplugged: Unplugged;
  /** Where the stage stands on whose sides the disks are, where that is another one. */
  readonly sidesOf?: () => Stand | undefined;
  /** The files that an earlier stage has made: images that were there, for this one. */
  readonly madeBefore: () => Identities;
  /** Where it meets the other members of its group. */
  readonly barrier: Barrier | null;
  /** Told of each step that is tried again. */
  readonly retried: ((step: string) => void) | undefined;
  /** The limits over all sagas of the engine. */
  readonly quota: Quota | undefined;
  readonly openAgent: StepContext['openAgent'];
  readonly publish: StepContext['publish'];
  readonly report: (progress: JobProgress) => void;
}
