/**
 * A scenario: one guest, one request, and all that will go wrong, as plain JSON that can be drawn, shrunk, kept and
 * replayed. It says nothing of what should come of it; that is what the laws are for.
 */
import type { Bus, FilterDriver } from '../../sim/boot.ts';
import type { Fault } from '../../sim/monitor/faults.ts';
import type { Timing } from '../../sim/state/context.ts';
import type { ProfileName } from '../../sim/state/profiles.ts';
import type { Wish } from './wish.ts';

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
  /** Filters of its administrator's above the images of the disks that are `filtered`, uppermost first. */
  readonly filters?: readonly FilterDriver[];
  readonly filtered?: readonly number[];
  /** Each disk's nodes are one tree, as Proxmox VE 9 starts them. */
  readonly inline?: true;
  /** Its images are encrypted. */
  readonly encrypted?: true;
  /** A storage daemon, whose exports the guest of another QEMU writes to. */
  readonly storageDaemon?: true;
}

/** How fast things go, in the simulator's own terms: virtual milliseconds, and bytes per one of them. */
export type Pace = Pick<Timing, 'commandMs' | 'queryMs' | 'copyBytesPerMs' | 'mirrorLagMs' | 'guestWriteMs'>;

/** Something that the orchestrator is asked. */
export type Signal =
  | { readonly signal: 'pivot' | 'abort' | 'keepSnapshot' }
  | { readonly signal: 'setSpeed'; readonly bytesPerSecond: number };

/** A signal, in milliseconds of virtual time since the request. */
export type SignalAt = Signal & { readonly atMs: number };

/**
 * A fault, counted from the start or from the moment when the saga first enters the state of that name (`reopenFilters`,
 * `undo createImages`).
 */
export type PlannedFault = Fault & { readonly from?: string };

/**
 * The death of the orchestrator: at its n-th write to the journal (from 1, in each process anew; `written` says whether
 * the write still became durable), right after its n-th write to QEMU's monitor, or at its n-th change to an image that
 * no QEMU has open (`done` says whether that was still made); counted like a fault's place.
 */
export type OrchestratorDeath =
  | { readonly at: 'record'; readonly nth: number; readonly written: boolean; readonly from?: string }
  | { readonly at: 'send'; readonly nth: number; readonly from?: string }
  | { readonly at: 'change'; readonly nth: number; readonly done: boolean; readonly from?: string };

export interface Scenario {
  readonly seed: number;
  /** What was not drawn in this run, for the reader; see `swarm.ts`. */
  readonly off?: readonly string[];
  readonly guest: GuestChoice;
  readonly pace: Pace;
  readonly wish: Wish;
  readonly faults: readonly PlannedFault[];
  readonly signals: readonly SignalAt[];
  /** One per process, in order; the process after the last gets to the end. */
  readonly deaths: readonly OrchestratorDeath[];
  /** How long the dead orchestrator's connection stays open for what was already sent; milliseconds. */
  readonly lingerMs: number;
  /** There is an `onCommit`, and it fails this many times. */
  readonly publisher?: { readonly refusals: number };
  /** A third party takes each name whose file the saga has removed. */
  readonly squatter?: true;
  /** The files that the orchestrator sees: none, by TCP, or others under the same names, which nothing tells it; QEMU's own else. */
  readonly elsewhere?: 'tcp' | 'unproved';
  /** /proc tells which files QEMU has open. */
  readonly proc?: true;
  /** An older copy of the journal is put back: after that death of the orchestrator, or at the end where it died less often. */
  readonly restored?: {
    readonly death: number;
    /** The share of the saga's records that the copy has. */
    readonly permille: number;
    /** What is beside the journal is put back with it, or is lost; it stays as it was written last unless said. */
    readonly beside?: 'restored' | 'lost';
  };
  /** An offline recovery dies before its n-th change to an image (from 1), and is run again. */
  readonly offlineDeath?: number;
}
