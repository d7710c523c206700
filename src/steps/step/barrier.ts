/**
 * The port by which the members of a group meet: sagas on different guests that take their snapshots, or clone, at one instant, all or
 * none. It says who waits for what and nothing of how they are reached: in one process, or over a wire.
 */
import { BlocksagaError } from '../../errors.ts';

/** One member's end. Each that waits, but `resumed`, rejects with GROUP when the group is rolled back. */
export interface Barrier {
  /** Aborts when the group is rolled back, with GROUP as its reason: what a member does by itself meanwhile ends too. */
  readonly left: AbortSignal;
  /** All members are prepared when it resolves, and none has paused its guest before. For a member that copies, that takes hours. */
  prepared(): Promise<void>;
  /** For members with mirrors, behind `prepared`: those of all follow their guests so closely that a pause is worth it. */
  converged(): Promise<void>;
  /** The members of this host have all looked at their guests when it resolves: what is left to do goes out for all at once. */
  looked(): Promise<void>;
  /** False while nothing that pauses this member's guest can have been sent, since `looked` has not resolved. */
  hasLooked(): boolean;
  /**
   * Votes that the snapshot is taken, or the copies are complete, with the guest paused since. Resolves with the word `go` when all have voted; rejects
   * with GROUP too where nothing was heard for so long.
   */
  taken(withinMs: number): Promise<void>;
  /**
   * This member's guest runs again. Resolves, and never rejects, when those of all of this host do, or the group is rolled back: what
   * is written from then on holds up no guest that is still paused.
   */
  resumed(): Promise<void>;
  /** This member's guest was seen paused when `go` had come: without that it does not answer. */
  sawPaused(): void;
  /** Answers that the guest was still paused when `go` came. Resolves when the group's decision to commit is durable. */
  confirmed(): Promise<void>;
  /** This member rolls back or has ended: where the group has not decided to commit, it never will. */
  leave(why: string): void;
}

/** GROUP: the group is rolled back, or cannot be met any more, and this member with it. */
export function groupIsBack(why: string): BlocksagaError {
  return new BlocksagaError('GROUP', `the group of this saga is rolled back on all of its guests: ${why}`);
}

/** The member's end of a step. Throws GROUP in a process where the others cannot be met. */
export function barrierOf({ barrier }: { readonly barrier: Barrier | null }): Barrier {
  if (barrier === null) throw groupIsBack('its other members cannot be met from this process');
  return barrier;
}
