/**
 * A scenario: one guest, one request, and all that will go wrong, as plain JSON that can be drawn, shrunk, kept and
 * replayed. It says nothing of what should come of it; that is what the laws are for.
 */
import type { CopyRequest, SnapshotRequest } from '../operations/requests.ts';
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
      readonly to: 'qcow2' | 'raw';
      readonly syncWrites: boolean;
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

/** The file of a named disk's new image. */
export function newFileOf(wish: Wish, index: number): string {
  return `${DIRECTORY}/new${index}.${wish.operation === 'copy' ? wish.to : 'qcow2'}`;
}

/** The request that a scenario's wish stands for, as a user would send it. */
export function snapshotRequestOf(wish: Extract<Wish, { operation: 'snapshot' }>): SnapshotRequest {
  return {
    ...commonOf(wish),
    disks: wish.named.map(index => ({ disk: `dev${index}`, overlay: newFileOf(wish, index) })),
    ...(wish.quiesce ? { quiesce: '/simulated.qga' } : {}),
  };
}

export function copyRequestOf(wish: Extract<Wish, { operation: 'copy' }>): CopyRequest {
  const { finish, strategy, parallel, shallow, to, syncWrites } = wish;
  return {
    ...commonOf(wish),
    disks: wish.named.map(index => ({
      disk: `dev${index}`,
      to: newFileOf(wish, index),
      format: to,
      ...(shallow ? { shallow } : {}),
    })),
    finish,
    parallel,
    ...(strategy === 'auto' ? {} : { strategy }),
    ...(syncWrites ? { syncWrites } : {}),
  };
}

/** The saga's id; the same in every run, so that names on the wire are the same too. */
export const SAGA = 'fuzzed';
/** The VM's name in the journal. */
const VM = 'guest';

function commonOf({ without, maxBlackoutMs }: Wish) {
  return { id: SAGA, vm: VM, maxBlackoutMs, ...(without.length === 0 ? {} : { without }) };
}
