/** What doctor has found, as the page is told of it. Types only; also for browsers. */

export interface FindingTold {
  readonly kind: string;
  readonly name: string;
  readonly saga: string | null;
  /** What it is, and what to do about it. */
  readonly why: string;
  /** Whether `doctor --fix` removes it. */
  readonly removable: boolean;
  /** The name of the journal in which it was found, where the page shows several. */
  readonly of: string | null;
  /** What removes all that can be removed of this journal. */
  readonly fix: string;
}
