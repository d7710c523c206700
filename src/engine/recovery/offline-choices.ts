/**
 * What only an administrator can say where journal and images do not: on which images the guest ran last. Types and names; it
 * decides nothing.
 */
import type { StagePlan } from '../../plan/plan.ts';

export type Side = 'old' | 'new';

export const FRONTS = ['old', 'snapshot', 'new'] as const satisfies readonly (Side | 'snapshot')[];

/** On which images a guest ran last: those from before the saga, its own, or the overlays of a snapshot with mirrors. */
export type Front = (typeof FRONTS)[number];

/** The same of all disks, or of each by its name. */
export type Fronts = Front | Readonly<Record<string, Front>>;

/** What an administrator has said of the disks whose images contradict the journal: on which ones the guest ran last. */
export interface Choice {
  readonly front: Side;
  /** Indices of the disks that were in doubt; all others are as the journal says. */
  readonly disks: readonly number[];
  /** The stage whose images they are. */
  readonly operation: StagePlan['operation'];
  /** Where it was said of each disk: all others were on their old images, as if the journal had recorded that. */
  readonly others?: 'old';
}
