/** A saga as the page lists it. Types only; also for browsers. */

export interface Listed {
  readonly saga: string;
  /** The name of its journal, where the page shows several. */
  readonly of: string | null;
  readonly vm: string;
  readonly operation: string;
  readonly disks: number;
  readonly label:
    | 'needs recovery'
    | 'interrupted'
    | 'waits'
    | 'damaged'
    | 'under way'
    | 'committed'
    | 'rolled back';
  /** Whether it goes nowhere before a person does something. */
  readonly needs: boolean;
  readonly why: string | null;
  readonly command: string | null;
  /** What that command is for; null where there is none. */
  readonly purpose: string | null;
  /** How many other commands the saga's own view advises. */
  readonly others: number;
  readonly createdAtMs: number;
  readonly endedAtMs: number | null;
}
