/** A journal that cannot be read, as the page is told of it. Types only; also for browsers. */

export interface Trouble {
  /** The name of the journal. */
  readonly of: string | null;
  readonly message: string;
}
