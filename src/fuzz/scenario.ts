/**
 * A scenario: one guest, one request, and all that will go wrong, as plain JSON that can be drawn, shrunk, kept and
 * replayed. It says nothing of what should come of it; that is what the laws are for.
 */
import type { CommitRequest, CopyRequest, PullRequest, SnapshotRequest } from '../operations/requests.ts';
import type { Bus } from '../sim/boot.ts';
import type { Timing } from '../sim/context.ts';
import type { Fault } from '../sim/faults.ts';
import type { ProfileName } from '../sim/profiles.ts';
import type { Finish, Strategy } from '../steps/plan.ts';

/** The guest whose disks are to change. */
export interface GuestChoice {
  readonly profile: ProfileName;
  /** Disks of the guest, 1 to 8; a request may name only some of them. */
  readonly disks: number;
  readonly style: 'blockdev' | 'drive';
  readonly bus: Bus;
  readonly iothreads: boolean;
  readonly backingLayers: number;
  readonly format: 'qcow2' | 'raw';
  /** Whether its administrator has paused it. */
  readonly paused: boolean;
}

/** How fast things go, in the simulator's own terms: virtual milliseconds, and bytes per one of them. */
export type Pace = Pick<Timing, 'commandMs' | 'queryMs' | 'copyBytesPerMs' | 'mirrorLagMs' | 'guestWriteMs'>;

/** What is asked for; `named` are the indexes of the guest's disks, in the order of the request. */
export type Wish =
  | {
      readonly operation: 'snapshot';
      readonly named: readonly number[];
      readonly without: readonly string[];
      readonly maxBlackoutMs: number;
      /** The guest's file systems are frozen meanwhile. */
      readonly quiesce?: boolean;
    }
  | {
      readonly operation: 'copy';
      readonly named: readonly number[];
      readonly without: readonly string[];
      readonly maxBlackoutMs: number;
      readonly finish: Finish;
      readonly strategy: Strategy | 'auto';
      readonly parallel: number;
      readonly shallow: boolean;
      /** The place in the chain of the image that the copies stand on, from 1; on none when absent. */
      readonly base?: number;
      readonly to: 'qcow2' | 'raw';
      readonly syncWrites: boolean;
    }
  | {
      readonly operation: 'pull';
      readonly named: readonly number[];
      readonly without: readonly string[];
      readonly maxBlackoutMs: number;
      readonly parallel: number;
      /** The place in the chain of the image that is pulled down to, from 1; null pulls all. */
      readonly base: number | null;
    }
  | {
      readonly operation: 'commit';
      readonly named: readonly number[];
      readonly without: readonly string[];
      readonly maxBlackoutMs: number;
      readonly parallel: number;
      /** The places in the chain of what is committed and of what it goes into; 0 is the active image. */
      readonly top: number;
      readonly base: number;
      readonly delete: boolean;
      readonly finish: Exclude<Finish, 'clone'>;
      readonly strategy: Strategy | 'auto';
    };

/** Something that the orchestrator is asked, in milliseconds of virtual time since the request. */
export interface SignalAt {
  readonly signal: 'pivot' | 'abort';
  readonly atMs: number;
}

/**
 * A fault, counted from the start or from the moment when the saga first enters the state of that name (`reopenFilters`,
 * `undo createImages`).
 */
export type PlannedFault = Fault & { readonly from?: string };

/**
 * The death of the orchestrator: at its n-th write to the journal (from 1, in each life anew; `written` says whether the
 * write still became durable) or right after its n-th write to QEMU's monitor; counted like a fault's place.
 */
export type OrchestratorDeath =
  | { readonly at: 'record'; readonly nth: number; readonly written: boolean; readonly from?: string }
  | { readonly at: 'send'; readonly nth: number; readonly from?: string };

export interface Scenario {
  readonly seed: number;
  readonly guest: GuestChoice;
  readonly pace: Pace;
  readonly wish: Wish;
  readonly faults: readonly PlannedFault[];
  readonly signals: readonly SignalAt[];
  /** One per life, in order; the life after the last goes to the end. */
  readonly deaths: readonly OrchestratorDeath[];
  /** How long the dead orchestrator's connection stays open for what was already sent; milliseconds. */
  readonly lingerMs: number;
  /** Somebody is to be told of the new disks, and does not take it so many times. */
  readonly publisher?: { readonly refusals: number };
  /** An offline recovery dies before its n-th change to an image (from 1), and is run again. */
  readonly offlineDeath?: number;
}

/** The virtual directory of all images. */
export const DIRECTORY = '/images';

/** A wish that merges images of the disks' own chains. */
export type Merge = Extract<Wish, { operation: 'pull' | 'commit' }>;

/** A wish whose guest has written to all images of its chains, for what lies below the active ones matters. */
export function needsAgedChains(wish: Wish): boolean {
  return isMerge(wish) || (wish.operation === 'copy' && wish.base !== undefined);
}

export function isMerge(wish: Wish): wish is Merge {
  return wish.operation === 'pull' || wish.operation === 'commit';
}

/** The file at a place of a disk's chain as its guest is begun with; 0 is the active image (`makeImages` of the simulator). */
export function fileInChain(
  { backingLayers, format }: Pick<GuestChoice, 'backingLayers' | 'format'>,
  index: number,
  place: number,
): string {
  return place === 0
    ? `${DIRECTORY}/disk${index}.${format}`
    : `${DIRECTORY}/disk${index}-base${backingLayers - place}.qcow2`;
}

/** The places in the chain that a merge leaves, front first. */
export function placesAfter({ backingLayers }: GuestChoice, wish: Merge): readonly number[] {
  const places = Array.from({ length: backingLayers + 1 }, (_, place) => place);
  const from = wish.operation === 'pull' ? 1 : wish.top;
  const base = wish.base ?? places.length;
  return places.filter(place => place < from || place >= base);
}

/** The file of a named disk's new image; a merge makes none and ends on one of the chain. */
export function newFileOf({ wish, guest }: Pick<Scenario, 'wish' | 'guest'>, index: number): string {
  if (isMerge(wish)) return fileInChain(guest, index, placesAfter(guest, wish)[0] ?? 0);
  return newFile(wish, index);
}

function newFile(wish: Wish, index: number): string {
  return `${DIRECTORY}/new${index}.${wish.operation === 'copy' ? wish.to : 'qcow2'}`;
}

/** The request that a scenario's wish stands for, as a user would send it. */
export function snapshotRequestOf(wish: Extract<Wish, { operation: 'snapshot' }>): SnapshotRequest {
  return {
    ...commonOf(wish),
    disks: wish.named.map(index => ({ disk: `dev${index}`, overlay: newFile(wish, index) })),
    ...(wish.quiesce ? { quiesce: '/simulated.qga' } : {}),
  };
}

export function copyRequestOf(wish: Extract<Wish, { operation: 'copy' }>): CopyRequest {
  const { finish, strategy, parallel, shallow, base, to, syncWrites } = wish;
  return {
    ...commonOf(wish),
    disks: wish.named.map(index => ({
      disk: `dev${index}`,
      to: newFile(wish, index),
      format: to,
      ...(shallow ? { shallow } : {}),
      ...(base === undefined ? {} : { base: `dev${index}[${base}]` }),
    })),
    finish,
    parallel,
    ...(strategy === 'auto' ? {} : { strategy }),
    ...(syncWrites ? { syncWrites } : {}),
  };
}

export function pullRequestOf(wish: Extract<Wish, { operation: 'pull' }>): PullRequest {
  const { base, parallel } = wish;
  return {
    ...commonOf(wish),
    disks: wish.named.map(index => ({
      disk: `dev${index}`,
      ...(base === null ? {} : { base: `dev${index}[${base}]` }),
    })),
    parallel,
  };
}

export function commitRequestOf(wish: Extract<Wish, { operation: 'commit' }>): CommitRequest {
  const { top, base, parallel, finish, strategy } = wish;
  return {
    ...commonOf(wish),
    disks: wish.named.map(index => ({
      disk: `dev${index}`,
      top: `dev${index}[${top}]`,
      base: `dev${index}[${base}]`,
    })),
    parallel,
    delete: wish.delete,
    ...(top === 0 ? { active: true, finish } : {}),
    ...(top !== 0 || strategy === 'auto' ? {} : { strategy }),
  };
}

/** The saga's id; the same in every run, so that names on the wire are the same too. */
export const SAGA = 'fuzzed';
/** The VM's name in the journal. */
const VM = 'guest';

function commonOf({ without, maxBlackoutMs }: Wish) {
  return { id: SAGA, vm: VM, maxBlackoutMs, ...(without.length === 0 ? {} : { without }) };
}
