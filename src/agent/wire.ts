/** The messages between the agents of two hosts that have guests of one group, and how one is sent. Types and bounds only. */

/** In their order, with `following` in place of `prepared` for a part that copies; `left` and `refused` instead of what comes next, `decision` by a later process. */
const VERBS = [
  ...(['planned', 'prepared', 'following', 'taken', 'confirmed'] as const),
  ...(['left', 'refused', 'decision'] as const),
] as const;
export type Verb = (typeof VERBS)[number];

export function isVerb(text: string): text is Verb {
  return VERBS.some(each => each === text);
}

interface WireOptions {
  readonly withinMs: number;
  readonly signal?: AbortSignal;
}

/** One message and its answer. Rejects with what the leader has refused it with, or with GROUP where none has come. */
export type Wire = (verb: Verb, body: object, options: WireOptions) => Promise<unknown>;

/** For how long a part that copies, and the leader, hear nothing of one another before they give the group up. */
export const SILENCE_MS = 60_000;
/** For how long the leader holds the question of a part that copies, where it has no news. */
export const HOLD_MS = 2_000;
