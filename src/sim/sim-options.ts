/** What a simulator is made from, what one is to its users, and how long things take in it. Starts nothing. */

import type { GuestAgent } from '../qmp/guest-agent.ts';
import type { Connect, TransportHandlers } from '../qmp/transport.ts';
import type { Bus, DiskDefinition, FilterDriver } from './boot.ts';
import type { VirtualClock } from './host/virtual-clock.ts';
import type { VirtualFiles } from './host/virtual-files.ts';
import type { Fault, OnFault } from './monitor/faults.ts';
import type { MonitorTransport } from './monitor/monitor.ts';
import type { Timing } from './state/context.ts';
import type { ProfileName } from './state/profiles.ts';
import type { RunState } from './state/run-states.ts';
import type { World } from './world.ts';

export interface SimOptions {
  /** The QEMU version; 7.2 unless told. */
  readonly profile?: ProfileName;
  /** The guest's name, by which journals know its VM; `sim` unless told. */
  readonly name?: string;
  /** Guest disks, 1 to 64; 3 unless told. */
  readonly disks?: number;
  /** The same seed gives the same bytes on the wire; 1 unless told. */
  readonly seed?: number;
  /** Several simulators may share one clock. */
  readonly clock?: VirtualClock;
  readonly faults?: readonly Fault[];
  readonly onFault?: OnFault;
  /** `-blockdev` (named nodes) or `-drive` guests. */
  readonly style?: 'blockdev' | 'drive';
  /** What the drives of a `-drive` guest are called before their number; `drive` unless told. */
  readonly drivePrefix?: string;
  readonly bus?: Bus;
  readonly iothreads?: boolean;
  /** `drive` of the devices may be set while they are in use; true unless told. */
  readonly settableDrive?: boolean;
  /** The devices let others write to their disks. */
  readonly shareRw?: boolean;
  /** Images below each disk; none unless told. */
  readonly backingLayers?: number;
  readonly format?: 'qcow2' | 'raw';
  /** The images of all disks are encrypted, with the secret object `secret0`, but for raw ones. */
  readonly encrypted?: boolean;
  /** Filters of the administrator's between each device and its image, uppermost first; `-blockdev` guests only. */
  readonly filters?: readonly FilterDriver[];
  /** Which disks have these; all unless told. */
  readonly filtered?: readonly number[];
  /** Whether each disk's nodes are one tree, whose root alone the monitor owns; `-blockdev` guests only. */
  readonly inline?: boolean;
  /** A qemu-storage-daemon instead, whose exports `dev0`, `dev1`, ... a guest of another QEMU writes to; from 6.1 on. */
  readonly storageDaemon?: boolean;
  readonly paused?: boolean;
  /** The state in which the guest is found; as `paused` says unless told. */
  readonly runState?: RunState;
  readonly sizeBytes?: number;
  /** The virtual directory of the images; `/images` unless told. */
  readonly directory?: string;
  readonly timing?: Partial<Timing>;
}

/** A connection that `serveSim` uses too: it answers, in its turn, what cannot be read. */
export type SimConnect = (handlers: TransportHandlers) => Promise<MonitorTransport>;

export interface Sim {
  /** Opens a connection to the first monitor; one client at a time. */
  readonly connect: Connect;
  /** Another monitor, by name; each serves one client. */
  monitor(name: string): SimConnect;
  readonly clock: VirtualClock;
  readonly files: VirtualFiles;
  /** Connects to the agent in the guest. */
  agent(): Promise<GuestAgent>;
  readonly world: World;
  /** Lets virtual time pass until the promise settles. */
  run<T>(promise: Promise<T>): Promise<T>;
  /** Lets that much virtual time pass. */
  advance(ms: number): Promise<void>;
  /** Adds a fault; its n-th command, event or millisecond is counted from now on. */
  armFault(fault: Fault): void;
  /** From now on no fault strikes any more; what they have done stays. */
  endFaults(): void;
  /** SIGKILL. What was written stays, all connections break. */
  kill(): void;
  /** The power fails: QEMU is gone, and what was not flushed may be. */
  killHost(): void;
  /**
   * Starts QEMU again with these images as disks (the same ones unless told). The guest does not write, or goes on behind the newest
   * write that its disks hold.
   */
  restart(images?: readonly DiskDefinition[], options?: { readonly writesOn?: boolean }): void;
}

const MEBIBYTE = 1_048_576;

export const TIMING: Timing = {
  queryMs: 0.02,
  commandMs: 0.05,
  createMs: 0.5,
  copyBytesPerMs: MEBIBYTE,
  mirrorLagMs: 0.3,
  guestWriteMs: 0.2,
};

const SLOW = new Set(['blockdev-create', 'blockdev-snapshot-sync', 'drive-mirror', 'transaction']);

/** How long QEMU takes for a command, before its reply. */
export function durationOf(command: string, timing: Timing): number {
  if (SLOW.has(command)) return timing.createMs;
  return command.startsWith('query-') ? timing.queryMs : timing.commandMs;
}
