/** What a step that copies asks of the limits over all sagas of its engine. Types only. */
import type { DiskPlan } from '../../plan/plan.ts';

export interface Quota {
  /** Whether the job of this disk may begin now; where not, it keeps its place, and is asked for again. */
  admit(disk: DiskPlan): boolean;
  /** It runs already: it counts, whatever the limits say. */
  joins(disk: DiskPlan): void;
  /** It has copied what there was, or has ended: others may begin. */
  release(disk: DiskPlan): void;
  /** What the job of this disk may take of the bandwidth that all share, in bytes per second; 0 is no limit. */
  share(disk: DiskPlan): number;
}
