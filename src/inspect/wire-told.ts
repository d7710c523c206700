/** What went over a saga's monitor, as the page is told of it. Types only; also for browsers. */

export interface WireTold {
  /** Each a line of the trace's file (docs/trace.md); null where no trace is kept. */
  readonly lines: readonly string[] | null;
  /** How many there are of this saga, those before the first of these among them. */
  readonly total: number;
}
