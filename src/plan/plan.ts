/**
 * What the steps of a saga need to know, fixed before the first effect and journaled with the saga: which disks, what
 * stands there now, what will stand there, and under which names. Plain JSON; nothing here talks to QEMU.
 */
import type { FilesFound } from './files-found.ts';
import type { FilterNode } from './filters.ts';
import type { DiskNames } from './names.ts';
import type { BitmapPlan, FileAccess, NodeWishes, Qcow2Layout } from './new-image.ts';

/** How N disks are switched at once; see ARCHITECTURE.md. */
export type Strategy = 'reopen' | 'finalize' | 'complete';

/**
 * How disks are reverted: by filters, as a copy switches; or, where no filter can go in, by new overlays that come in front of
 * the old images and are then rebased onto the older ones.
 */
export type RevertStrategy = 'reopen' | 'rebase';

/** What a copy does when every mirror is ready. */
export type Finish = 'pivot' | 'clone' | 'abort' | 'leave';

/** How overlays are put on the disks: one transaction over prepared overlays, one that creates them, or one by one. */
export type SnapshotMethod = 'transaction' | 'transactionSync' | 'sequential';

export type Plan = StagePlan | SnapshotMirrorPlan;

/** What one stage of a saga carries out; most sagas have only one. */
export type StagePlan = SnapshotPlan | CopyPlan | ActiveCommitPlan | RewritePlan | RevertPlan;

/** A plan whose disks end on another active image by mirrors. */
export type SwitchPlan = CopyPlan | ActiveCommitPlan;

/** The version of these shapes in the journal; a plan of another version is not resumed. */
export const PLAN_VERSION = 4;

/** What every operation's plan has. */
export interface PlanBase extends FilesFound {
  readonly planVersion: number;
  readonly disks: readonly DiskPlan[];
  /** What stands for the saga in all names that it makes. */
  readonly token: string;
  /** The capabilities that the plan was made for (`Capabilities.names`). */
  readonly capabilities: readonly string[];
  readonly maxBlackoutMs: number;
  /** Whether QEMU can be marked, so that another process behind the same socket is not taken for it. */
  readonly marksQemu: boolean;
  readonly onCommit: OnCommit | null;
  /**
   * Where QEMU forgets jobs when they end (before 3.1): whether they have names of their own, or are called by their disks
   * (before 2.7).
   */
  readonly jobsVanishOnEnd?: 'byId' | 'byDisk';
  /** Which promises are weaker on this QEMU than on one that has all that is asked of it, in words for people. */
  readonly weaker?: readonly string[];
  /** Its disks are what a storage daemon exports: there is no guest to pause, and their clients may write at any time. */
  readonly withoutGuest?: true;
  /** The run state in which the guest was found standing, for a reason of its own, such as an I/O error. */
  readonly foundIn?: string;
  /** What the old images have and the new ones will not have, in words for people. */
  readonly losses?: readonly string[];
  /** The group of several guests that it belongs to, by the id under which the journal has its decision. */
  readonly group?: { readonly id: string };
}

/** A snapshot of N disks. */
export interface SnapshotPlan extends PlanBase {
  readonly operation: 'snapshot';
  readonly method: SnapshotMethod;
  /** Made in the overlays by the same transaction. */
  readonly bitmaps: readonly BitmapPlan[];
  /** The guest agent's socket when the guest is to be frozen meanwhile. */
  readonly quiesce: string | null;
}

/**
 * What is done by mirrors that end with the guest on their other side: the new images of a copy, or images of the disks'
 * own chains into which the active ones are committed.
 */
interface SwitchPlanBase extends PlanBase {
  readonly finish: Finish;
  /** Whether the guest has iothreads: its disks may then change threads whenever it is stopped or resumed. */
  readonly iothreads: boolean;
  /** Null when nothing will be switched (`clone`, `abort`). */
  readonly strategy: Strategy | null;
  readonly parallel: number;
  /** Bytes per second and disk; 0 = unlimited. */
  readonly speed: number;
}

/** A copy of N disks. */
export interface CopyPlan extends SwitchPlanBase {
  readonly operation: 'copy';
  /** Of a clone: the guest agent's socket when the guest is to be frozen for the instant of the cut. */
  readonly quiesce?: string;
  readonly mirror: {
    readonly granularity: number | null;
    readonly bufSize: number | null;
    readonly copyMode: 'background' | 'write-blocking';
    /** Where blocksaga cannot open the new images (before 3.1) QEMU makes and opens them. */
    readonly by?: 'drive-mirror';
  };
  /** Per disk, in the order of `disks`; `top` copies only the active image. */
  readonly sync: readonly ('full' | 'top')[];
}

/** The active images of N disks merged into images below them, which then are the active ones. */
export interface ActiveCommitPlan extends SwitchPlanBase, Removing {
  readonly operation: 'commit';
  readonly kind: 'active';
  /** Which of pull and commit costs less here, for people; null where QEMU does not tell what is allocated. */
  readonly hint: string | null;
}

/** The chains of N disks shortened below their active images, which stay in front. */
export interface RewritePlan extends PlanBase, Removing {
  readonly operation: 'pull' | 'commit';
  readonly kind: 'rewrite';
  /**
   * Whether all jobs are held back until the last is done; without that, in a QEMU before 3.1, the first disk's job decides
   * and the others follow.
   */
  readonly manualFinalize: boolean;
  /** As of an `ActiveCommitPlan`. */
  readonly hint: string | null;
  readonly parallel: number;
  readonly speed: number;
  /** Per disk, in the order of `disks`. */
  readonly rewrites: readonly Rewrite[];
}

/** What one job does to the chain below an active image; nodes, or files where a disk's images are known by those. */
export interface Rewrite {
  /** What is pulled into, or is committed. */
  readonly top: string;
  /** Its backing image afterwards, or the image it is committed into; null for no backing image. */
  readonly base: string | null;
  /** What is written into the header of the image above what leaves the chain; null leaves that to QEMU. */
  readonly backingFile: string | null;
  /** What is below is a protocol node without a format node on it: QEMU is told to write its format as raw. */
  readonly masksProtocol?: true;
}

/** N disks of a paused guest reverted to images below their active ones, each through a new overlay. */
export interface RevertPlan extends PlanBase, Removing {
  readonly operation: 'revert';
  readonly strategy: RevertStrategy;
}

/**
 * A snapshot of N disks whose overlays are then mirrored to a second place, in two stages with one rollback. Its
 * `disks` are as the whole saga would leave them: from the images below the overlays to the mirrors' targets.
 */
export interface SnapshotMirrorPlan extends PlanBase {
  readonly operation: 'snapshotMirror';
  readonly snapshot: SnapshotPlan;
  /** Its disks begin on the overlays. */
  readonly mirror: CopyPlan;
}

/** What a plan has whose request may ask for the removal of what leaves the chains. */
interface Removing {
  /** Whether the files that no chain has any more are removed in the end. */
  readonly deletes: boolean;
  /** Those files; left out in plans of older versions, and where none are removed. */
  readonly leaving?: readonly LeavingFile[];
}

/** A file that no chain has any more at the saga's end: it is removed then, or stays. */
export interface LeavingFile {
  readonly file: string;
  /** By what it is known when it is removed: QEMU was proved to have this very file open. Null where it stays. */
  readonly identity: string | null;
  /** Why it stays, in words for people; null where it is removed. */
  readonly why: string | null;
}

/** One disk of the guest as it was found, and what becomes of it. */
export interface DiskPlan {
  /** The name by which the request calls it. */
  readonly disk: string;
  readonly index: number;
  /** The names of what the saga makes in QEMU for it. */
  readonly names: DiskNames;
  /** The root node under the guest's device, or, where filters of the user's are there, the node below these. */
  readonly node: string;
  /** The filters of the user's above that, uppermost first; left out where there are none. */
  readonly filters?: readonly FilterNode[];
  /** Name of the block backend (`-drive id=`), or '' for a `-blockdev` guest. */
  readonly drive: string;
  /** QOM path of the device whose `drive` property names the node, or null when no device has it. */
  readonly qdev: string | null;
  /** The file of its active image, as it was found; so are `driver` and `sizeBytes`. */
  readonly file: string;
  readonly driver: string;
  readonly sizeBytes: number;
  /** The active image and what is below it, front first. */
  readonly chain: readonly ChainImage[];
  /** Nodes that can go when the disk no longer uses them, front first. */
  readonly retiring: readonly string[];
  readonly cache: CacheFlags;
  readonly detectZeroes: string;
  /** What will be the active image: a new one, one of the chain, or, where the chain below it changes, the same. */
  readonly image: ImagePlan;
  /** The node of that image. */
  readonly goal: string;
  /** Its images are known by their files, not by nodes: QEMU opens the new one by itself, or names no nodes (before 2.5). */
  readonly identifiedBy?: 'file';
}

/** The new image of one disk: a snapshot's overlay or a copy's target. */
export interface ImagePlan {
  readonly file: string;
  readonly driver: string;
  /** `file`, `host_device` for a block device, or `nbd` for an export, whose address is the file then. */
  readonly protocol: 'file' | 'host_device' | 'nbd';
  readonly sizeBytes: number;
  /** True: the saga makes the file and removes it in a rollback. False: it was there and stays. */
  readonly create: boolean;
  /** The image that the new one's header names, for overlays and shallow copies. */
  readonly backing: ChainImage | null;
  /** What is below that image, to be opened with it when it is not open already. */
  readonly below: readonly ChainImage[];
  /** Whether the new image is opened on its backing image at once (copies), or without one (overlays). */
  readonly openBacking: boolean;
  /** Of a revert by `rebase`: it comes in front of the old image first, and is then put onto `backing`. */
  readonly rebased?: true;
  /** True: its metadata is written onto what is there, a block device. */
  readonly formats?: boolean;
  /** The id of the secret object that the image is encrypted with; absent for one in the clear. */
  readonly secret?: string;
  /** Of a new qcow2 image: as the one that it replaces, or stands on. */
  readonly layout?: Qcow2Layout;
  /** Of a new file: whether its space is allocated at once. */
  readonly preallocation?: 'off' | 'metadata' | 'falloc' | 'full';
  readonly opens?: NodeWishes;
  readonly access?: FileAccess;
  /** How the header of a new image names `backing` when not by its file: a path relative to the new image. */
  readonly backingName?: string;
  /**
   * The image that the new one is opened on at first, where `backing` is further down: what lies above that is then streamed
   * into the new one.
   */
  readonly openedOn?: ChainImage;
  /** How large the file or device is that a raw image is the beginning of; left out where it is all of it. */
  readonly holderBytes?: number;
  /** How large the block device of an image of a format is, where it may lack room. */
  readonly tightBytes?: number;
}

/** One image file of a chain, front first. */
export interface ChainImage {
  readonly file: string;
  /** Its format: `raw` also where QEMU has a protocol node without a format node on it. */
  readonly driver: string;
  readonly node: string | null;
  /** Why a header that names its file would lead to other bytes, or to none. */
  readonly unnameable?: string;
  /** Of an encrypted image: the id of the secret object that opens it; null where QEMU does not tell. */
  readonly secret?: string | null;
  /** The file of its own that a qcow2 image keeps its data in. */
  readonly dataFile?: string;
  /** The names of its internal snapshots. */
  readonly snapshots?: readonly string[];
}

/** QEMU's cache flags of an open image (`BlockdevCacheInfo`, qapi/block-core.json). */
export interface CacheFlags {
  readonly direct: boolean;
  readonly noFlush: boolean;
}

/** Who is told of the new disks after the decision: the engine's own `onCommit`, or a program that is run. */
export type OnCommit = { readonly by: 'engine' } | ({ readonly by: 'program' } & Program);

/** A program to run, without a shell. All of it is in the journal: secrets are for the environment, or for a file. */
export interface Program {
  readonly program: string;
  readonly arguments: readonly string[];
  /** Names of variables that must be in the environment when it is run; their values are kept nowhere. */
  readonly environment?: readonly string[];
  /** How long it may take, milliseconds; a minute unless said. */
  readonly timeoutMs?: number;
}

/** Whether mirrors do the work, with a switch or a cut at their end. */
export function hasMirrors(plan: Plan): plan is SwitchPlan {
  return 'finish' in plan;
}

/** How the disks of a plan change at once: its strategy or method; null when nothing is switched. */
export function wayOf(plan: Plan): Strategy | RevertStrategy | SnapshotMethod | 'rewrite' | null {
  if (plan.operation === 'snapshot') return plan.method;
  if (plan.operation === 'snapshotMirror') return plan.mirror.strategy;
  return 'strategy' in plan ? plan.strategy : 'rewrite';
}
