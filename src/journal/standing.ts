/**
 * Whether a journal is the copy of itself that was written last: it counts its writes, and so does what is beside it. Where
 * that has counted further, the journal is an older copy. Pure.
 */

/** What a journal says of its own age. */
export type Standing =
  | { readonly is: 'newest' }
  /** Nothing beside it tells, and why. */
  | { readonly is: 'unknown'; readonly why: string }
  /** It is an older copy. */
  | ({ readonly is: 'older' } & Counted);

/** What an older copy has counted, and what was counted beside it. */
export interface Counted {
  readonly generation: number;
  readonly written: number;
}

/** What is beside a journal: of which journal it is, and how far that was written; or why it tells nothing. */
export type Beside = { readonly line: string; readonly written: number } | { readonly why: string };

/** How a journal of a line and a generation stands to what is beside it. */
export function standingOf(line: string, generation: number, beside: Beside): Standing {
  if ('why' in beside) return { is: 'unknown', why: beside.why };
  if (beside.line !== line) return { is: 'unknown', why: 'what is beside it belongs to another journal' };
  const { written } = beside;
  return written > generation ? { is: 'older', generation, written } : { is: 'newest' };
}
