/**
 * How fast the guests of these tests write. A write on virtio-blk or virtio-scsi costs half a millisecond of a processor, and 8 ms where SeaBIOS does it
 * (under TCG it enters 32-bit mode for each, and its stack there lies in a page with code, which QEMU looks through at each push), so
 * that a guest of SeaBIOS's that hardly rests takes half a processor for as long as its test lasts. It sleeps between its
 * writes with few interrupts of its timer (`src/demo/ordered-writer.ts`).
 */
import type { GuestBus } from '../../src/demo/guest-command-line.ts';
import { often } from '../tiers/tier.ts';

/** Microseconds of rest after each write. The full tier has the writes of a saga lie closer together. */
export const PACING_US = often(50_000, 10_000);

/** The same for a guest whose disks are on this bus. */
export function pacingOn(bus: GuestBus, iothreads = false): number {
  return bus === 'virtio-blk' || (bus === 'scsi-hd' && !iothreads) ? PACING_US : often(160_000, 10_000);
}

/** For a guest that is to write with hardly a rest: without any it writes 26,000 times a second into memory. */
export const BUSY_PACING_US = often(5_000, 1_000);

/** For a guest beside programs that take seconds to start. */
export const SLOW_PACING_US = often(100_000, 10_000);

/** What a guest is to write between two moments of a test: some on each disk. */
export const SOME_WRITES = often(6, 12);
