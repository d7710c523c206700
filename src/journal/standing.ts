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

/**
 * What a journal notes of its sagas that have not ended, when it is written to: an older copy, or one of which nothing tells, though it
 * counts on from there. One that was just made has nothing beside it until its first write is done.
 */
export function doubtOf(standing: Standing, generation: number): Counted | undefined {
  if (standing.is === 'older') return { generation: standing.generation, written: standing.written };
  return standing.is === 'unknown' && generation > 1 ? { generation, written: generation } : undefined;
}

/** How a journal stands in what it says of a saga of which that was noted. */
export function standingNoted({ generation, written }: Counted): Standing {
  if (written > generation) return { is: 'older', generation, written };
  return { is: 'unknown', why: 'nothing beside it told when it was written to next' };
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
