/** What went over a saga's monitor, as the page is told of it. Types only; also for browsers. */

export interface WireTold {
  /** Each a line of the trace's file (docs/trace.md); null where no trace is kept. */
  readonly lines: readonly string[] | null;
  /** The place of the first of these among all that there ever were of this saga: older ones may have been let go of. */
  readonly first: number;
  /** How many there ever were. */
  readonly total: number;
  /** Why its file cannot be read now; what was read before is there. */
  readonly trouble?: string;
}
