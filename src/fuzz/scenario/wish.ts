/** What a scenario asks for, as plain JSON: one shape for each operation. Says nothing of what should come of it. */
import type { Finish, Strategy } from '../../plan/plan.ts';

interface Common {
  /** The indexes of the guest's disks, in the order of the request. */
  readonly named: readonly number[];
  readonly without: readonly string[];
  readonly maxBlackoutMs: number;
}

interface SnapshotWish extends Common {
  readonly operation: 'snapshot';
  /** The guest's file systems are frozen meanwhile. */
  readonly quiesce?: boolean;
  /** The overlays are there before. */
  readonly reuse?: boolean;
  /** The images keep dirty bitmaps, which are to keep recording in the overlays. */
  readonly bitmaps?: boolean;
}

interface CopyWish extends Common {
  readonly operation: 'copy';
  readonly finish: Finish;
  readonly strategy: Strategy | 'auto';
  readonly parallel: number;
  readonly shallow: boolean;
  /** The place in the chain of the image that the copies stand on, from 1; on none when absent. */
  readonly base?: number;
  readonly to: 'qcow2' | 'raw';
  readonly syncWrites: boolean;
  /** The targets are there before; those that are to hold everything hold something else. */
  readonly reuse?: boolean;
  /** Bytes per second and disk; unlimited when absent. */
  readonly bandwidth?: number;
}

interface PullWish extends Common {
  readonly operation: 'pull';
  readonly parallel: number;
  /** The place in the chain of the image that is pulled down to, from 1; null pulls all. */
  readonly base: number | null;
}

interface CommitWish extends Common {
  readonly operation: 'commit';
  readonly parallel: number;
  /** The places in the chain of what is committed and of what it goes into; 0 is the active image. */
  readonly top: number;
  readonly base: number;
  readonly delete: boolean;
  readonly finish: Exclude<Finish, 'clone'>;
  readonly strategy: Strategy | 'auto';
}

interface RevertWish extends Common {
  readonly operation: 'revert';
  /** The place in the chain of the image that is reverted to, from 1. */
  readonly to: number;
  readonly delete: boolean;
  /** The guest's administrator stops it before. */
  readonly stopped: boolean;
}

interface SnapshotMirrorWish extends Common {
  readonly operation: 'snapshotMirror';
  readonly strategy: Strategy | 'auto';
  readonly parallel: number;
  readonly quiesce?: boolean;
  /** The targets are there, each on a copy of the disk's chain that is made while its overlay is mirrored. */
  readonly ownChains: boolean;
  readonly bandwidth?: number;
}

/** Of the images of a guest that is shut down first. */
interface CommitOfflineWish extends Common {
  readonly operation: 'commitOffline';
  /** As in a commit. */
  readonly top: number;
  readonly base: number;
  readonly delete: boolean;
}

export type Wish =
  | SnapshotWish
  | CopyWish
  | PullWish
  | CommitWish
  | RevertWish
  | SnapshotMirrorWish
  | CommitOfflineWish;

/** What is asked for of one operation. */
export type WishOf<O extends Wish['operation']> = Extract<Wish, { operation: O }>;

/** A wish that merges images of the disks' own chains. */
export type Merge = WishOf<'pull' | 'commit' | 'commitOffline'>;

const MERGES: ReadonlySet<Wish['operation']> = new Set(['pull', 'commit', 'commitOffline']);

export function isMerge(wish: Wish): wish is Merge {
  return MERGES.has(wish.operation);
}

/** Whether what lies below the active images matters, so that the guest is to have written there. */
export function needsAgedChains(wish: Wish): boolean {
  if (wish.operation === 'copy') return wish.base !== undefined;
  return isMerge(wish) || wish.operation === 'revert';
}

/** Whether the guest's disks stay where they are: the copies are what was asked for. */
export function isClone(wish: Wish): boolean {
  return wish.operation === 'copy' && wish.finish === 'clone';
}
