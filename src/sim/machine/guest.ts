/**
 * A guest that writes in order across its disks: write s goes to disk s mod N and completes before write s + 1 starts.
 * Its writes are worked out only when its disks are read (all of the time since then at once), so an idle hour costs
 * nothing. It writes nothing while the guest is stopped or the disk that is next is quiesced; a write to a disk that has left it
 * is lost with it, and the next one follows.
 */

import { copyRanges, type DataPlane, writeNode } from '../graph/image-io.ts';
import { covered, EMPTY, type Extents } from '../host/contents.ts';
import type { Track } from '../state/context.ts';
import type { BlockNode, Qemu } from '../state/state.ts';
import { type Misread, ReadBack } from './read-back.ts';
import { RING, sectorOffset } from './ring.ts';

export interface Guest {
  /** The highest write that completed; all before it did too. */
  acknowledged(): number;
  /** How many of those went to a disk; that one has left loses none of them. */
  writesTo(device: string): number;
  /** What it has read, whenever it ran, that was not what it had written. */
  misreads(): readonly Misread[];
  /** Everything that happened since the last call, under the state that was in force since then. */
  settle(nowMs: number): void;
}

interface Options {
  readonly plane: () => DataPlane & { readonly q: Qemu };
  readonly tracks: ReadonlyMap<string, Track>;
  readonly disks: () => readonly string[];
  readonly writeMs: number;
  /** The newest write that its disks hold from before. */
  readonly acknowledged: number;
  readonly mirrorLagMs: number;
  /** Its agent has frozen its file systems, or its QEMU is gone. */
  readonly isHeld: () => boolean;
  readonly startMs: number;
}

export function createGuest(options: Options): Guest {
  let { acknowledged } = options;
  let settledMs = options.startMs;
  let copiedMs = options.startMs;
  let nextMs = options.startMs + options.writeMs;
  const readBack = new ReadBack();

  function read(plane: DataPlane & { readonly q: Qemu }): void {
    if (plane.q.runState !== 'running') readBack.stopped();
    else if (!options.isHeld()) readBack.look(plane, options.disks(), acknowledged, settledMs);
  }

  function writeUntil(untilMs: number, plane: DataPlane & { readonly q: Qemu }): void {
    if (options.writeMs <= 0 || untilMs < nextMs) return;
    const disks = options.disks();
    const hasLeft = (disk: string) => !plane.q.backends.has(disk);
    if (plane.q.runState !== 'running' || disks.every(hasLeft) || options.isHeld()) {
      nextMs = untilMs + options.writeMs;
      return;
    }
    const due = Math.floor((untilMs - nextMs) / options.writeMs) + 1;
    const stalled = disks.map(disk => !hasLeft(disk) && isStalled(plane.q, disk));
    let count = 0;
    while (count < due && count < disks.length && !stalled[(acknowledged + 1 + count) % disks.length])
      count += 1;
    if (count === disks.length) count = due;
    if (count > 0) write(plane, disks, acknowledged + 1, acknowledged + count);
    acknowledged += count;
    nextMs = count < due ? untilMs + options.writeMs : nextMs + due * options.writeMs;
  }

  return {
    acknowledged: () => acknowledged,
    writesTo(device) {
      const disks = options.disks();
      const index = disks.indexOf(device);
      if (index === -1) return 0;
      return Math.floor((acknowledged - index) / disks.length) + (index === 0 ? 0 : 1);
    },
    misreads: () => readBack.misreads,
    settle(nowMs) {
      if (nowMs <= settledMs) return;
      const plane = options.plane();
      read(plane);
      // However often it is read: what is older than the lag gets copied.
      if (nowMs - copiedMs >= options.mirrorLagMs) {
        writeUntil(Math.max(settledMs, nowMs - options.mirrorLagMs), plane);
        copyToReady(plane, options.tracks);
        copiedMs = nowMs;
      }
      writeUntil(nowMs, plane);
      settledMs = nowMs;
    },
  };
}

/** Writes `first` to `last`, in one go for each disk: the last of them that a ring holds, none of which overlap. */
function write(
  plane: DataPlane & { readonly q: Qemu },
  disks: readonly string[],
  first: number,
  last: number,
): void {
  const from = Math.max(first, last - disks.length * RING.sectors + 1);
  for (let sequence = from; sequence <= last && sequence < from + disks.length; sequence += 1) {
    const node = plane.q.backends.get(disks[sequence % disks.length] ?? '')?.node;
    if (node !== undefined) writeNode(plane, node, ringOf(disks.length, sequence, last));
  }
}

/** What write `first` and every one after it up to `last` leave on the disk of write `first`, in order of the places. */
function ringOf(disks: number, first: number, last: number): Extents {
  const written: number[] = [];
  for (let sequence = first; sequence <= last; sequence += disks) {
    const start = sectorOffset(sequence, disks);
    // Once around the ring the places begin anew, before all others.
    if (start < (written[0] ?? 0)) return [...ringOf(disks, sequence, last), ...written];
    written.push(start, start + RING.sectorBytes, sequence);
  }
  return written;
}

function isStalled(q: Qemu, disk: string): boolean {
  const node = q.backends.get(disk)?.node;
  return node === undefined || isQuiesced(q, node);
}

function isQuiesced(q: Qemu, name: string): boolean {
  const node: BlockNode | undefined = q.nodes.get(name);
  if (node === undefined) return true;
  if (node.drainedBy.length > 0) return true;
  return node.children.some(link => (link.role === 'file' || node.isFilter) && isQuiesced(q, link.child));
}

/** READY mirrors keep up: what the guest wrote before now is on their targets. */
function copyToReady(plane: DataPlane & { readonly q: Qemu }, tracks: ReadonlyMap<string, Track>): void {
  for (const [id, track] of tracks) {
    if (!track.synced || track.dirty.length === 0) continue;
    const job = plane.q.jobs.get(id);
    if (job?.status !== 'ready' || job.work.kind !== 'mirror') continue;
    copyRanges(plane, job.work.source, job.work.target, track.dirty);
    track.offset += covered(track.dirty);
    track.dirty = EMPTY;
  }
}
