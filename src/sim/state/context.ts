/**
 * What a command or a job's step may touch: a draft of the QEMU process, the host's disk, and what it wants to be sent or
 * done later. When it fails the draft and the later effects are dropped; events and files stay, as in real QEMU.
 */

import type { Json } from '../../qmp/transport.ts';
import type { Extents } from '../host/contents.ts';
import type { Host } from '../host/host.ts';
import type { Chance } from '../host/random.ts';
import type { Draft } from './draft.ts';
import type { Job } from './job.ts';
import type { Profile } from './profiles.ts';
import { refuse } from './refusal.ts';
import type { BlockNode, Qemu } from './state.ts';

/** How far a job is; beside the tree, because copied data is not undone either. */
export interface Track {
  dirty: Extents;
  /** Bytes done and bytes in all, as `offset` and `len` report. */
  offset: number;
  len: number;
  /** Bytes per virtual millisecond. */
  readonly bytesPerMs: number;
  /** What was copied last, whose time passes before more is. */
  paidBytes?: number;
  /** READY, and every older guest write has been copied. */
  synced: boolean;
  /** Where the filter of a backup has let writes pass, with what was there before on the target. */
  written?: Extents;
}

/** Something that a block job does at a later moment. */
export interface JobTask {
  readonly job: string;
  readonly serial: number;
  readonly pace: number;
  readonly phase: 'work' | 'finish' | 'cancel' | 'pause' | 'resume' | 'settled';
}

/** Something that a migration does at a later moment. */
export interface MigrationTask {
  readonly migration: number;
  readonly phase: 'active' | 'switchover' | 'completed' | 'cancelled';
}

/** The guest gives a device away at a later moment. */
export interface UnplugTask {
  readonly unplugged: string;
}

/** Something that is done at a later moment. */
export type Task = JobTask | MigrationTask | UnplugTask;

export interface Context {
  readonly q: Draft;
  readonly host: Host;
  readonly profile: Profile;
  /** The guest's, as `-name` gives it. */
  readonly name: string;
  readonly chance: Chance;
  readonly timing: Timing;
  readonly tracks: Map<string, Track>;
  /** What clients' bitmaps have recorded, by their serial numbers. */
  readonly recorded: Map<number, Extents>;
  /** Where the highest write to a node ended, by the node's serial number. */
  readonly highest: Map<number, number>;
  emit(event: string, data: Json): void;
  /** To QEMU's standard output. */
  print(text: string): void;
  /** Runs the task after `delayMs`, if this command succeeds. */
  later(delayMs: number, task: Task): void;
  /** Runs if this command succeeds. */
  onSuccess(effect: () => void): void;
  /** How many writes of the guest to a device have completed. */
  writesTo(device: string): number;
  /** What faults want of a job; undefined for a healthy one. */
  jobFault(job: Job): JobFault | undefined;
}

export interface JobFault {
  /** Fail when this share of the work is done. */
  readonly failAtPercent?: number;
  readonly error?: string;
  /** Copy for ever, never READY. */
  readonly neverReady?: boolean;
  /** Refuse the pivot. */
  readonly refusePivot?: boolean;
}

/** How long things take, in virtual milliseconds. */
export interface Timing {
  readonly queryMs: number;
  readonly commandMs: number;
  readonly createMs: number;
  readonly copyBytesPerMs: number;
  /** How old a guest write is when a READY mirror has copied it. */
  readonly mirrorLagMs: number;
  readonly guestWriteMs: number;
}

export function nodeOf(q: Qemu, name: string): BlockNode {
  return q.nodes.get(name) ?? refuse(`Failed to find node with node-name='${name}'`);
}

/** QEMU's bdrv_lookup_bs(): a BlockBackend's name first, then a node's. */
export function lookupNode(
  ctx: Context,
  device: string | undefined,
  nodeName: string | undefined,
): BlockNode {
  if (device !== undefined && device !== '') {
    for (const backend of ctx.q.backends.values()) {
      if (backend.name === device) {
        if (backend.node === undefined) refuse(`Device '${device}' has no medium`);
        return nodeOf(ctx.q, backend.node);
      }
    }
  }
  if (nodeName !== undefined) {
    const node = ctx.q.nodes.get(nodeName);
    if (node !== undefined) return node;
  }
  return refuse(ctx.profile.texts.cannotFind(device ?? '', nodeName ?? ''));
}
