/** One moment of a saga, as it is drawn. Types only. */
import type { Attempt, Disk, Failure, Story, Takeover } from '../story/story.ts';

/** `left`: it succeeded, and the saga rolled back from there because it was asked to. */
export type Reached = 'ahead' | 'current' | 'stopped' | 'done' | 'left' | 'failed';

export interface SceneStation {
  readonly words: string;
  readonly description: string;
  readonly phase: string;
  readonly isPaused: boolean;
  readonly reached: Reached;
  readonly beganAtMs: number | null;
  readonly tookMs: number | null;
  /** Pauses that were given up from here, because the last bytes took too long. */
  readonly backedOff: number;
  readonly attempts: readonly Attempt[];
}

export interface SceneUndo {
  readonly words: string;
  readonly description: string;
  /** In the past tense, once it has run. */
  readonly done: string;
  readonly station: number | null;
  readonly reached: Reached;
  /** As the how manieth it was run, from 1; null where it was not. */
  readonly order: number | null;
  readonly tookMs: number | null;
  readonly attempts: readonly Attempt[];
}

export interface SceneDisk {
  readonly disk: Disk;
  /** Where the guest is with it: the file of its active image; null where the journal cannot say. */
  readonly on: string | null;
  readonly isOnNew: boolean;
  /** What has become of the image that the saga makes or uses. */
  readonly imageIs: 'planned' | 'active' | 'beside' | 'removed' | 'left behind' | 'not touched';
  readonly hasFailed: boolean;
}

/** A place on the line, by its index; behind the last one is the end of that line. */
export interface ScarPlace {
  readonly kind: 'station' | 'undo';
  readonly at: number;
}

/** Where the saga lost its process, once or several times: in front of what the next process took up. */
export interface Scar {
  readonly place: ScarPlace;
  readonly times: readonly {
    /** Whether that step was under way; else the process ended between two steps. */
    readonly isInStep: boolean;
    /** Null where no process has taken it over yet. */
    readonly takeover: Takeover | null;
  }[];
}

export interface FailureAt extends Failure {
  /** The step, in words. */
  readonly at: string;
  readonly isUndo: boolean;
}

/** What it comes to. `tone` is how it is coloured: under way, done, rolled back, or in need of a person. */
export interface Headline {
  readonly title: string;
  readonly tone: 'live' | 'done' | 'back' | 'stuck';
  readonly label: string;
  readonly sentence: string;
  readonly facts: string;
}

/** How far the copy of a disk is, where QEMU was asked. */
export interface DiskProgress {
  /** From 0 to 1. */
  readonly share: number;
  readonly amount: string;
  readonly pace: string;
}

export interface Scene {
  readonly story: Story;
  readonly atMs: number;
  readonly headline: Headline;
  readonly stations: readonly SceneStation[];
  readonly undos: readonly SceneUndo[];
  /** From which station the saga has left for the line back, and to which undo. */
  readonly turn: { readonly station: number; readonly undo: number | null } | null;
  readonly scars: readonly Scar[];
  readonly isDecided: boolean;
  /** Why it rolled back or stopped, and what failed of the rollback on top of that. */
  readonly failure: FailureAt | null;
  readonly undoFailure: FailureAt | null;
  readonly disks: readonly SceneDisk[];
  readonly isEnded: boolean;
}
