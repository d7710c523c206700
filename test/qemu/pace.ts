/**
 * How fast the guests of these tests write. Each write takes SeaBIOS 5 to 8 ms of a processor under TCG (it enters 32-bit mode for
 * virtio, and its stack there lies in a page with code, which QEMU looks through at each push), so that a guest that hardly
 * rests takes half a processor for as long as its test lasts: most of what the tests on QEMU once cost. It sleeps between its
 * writes with few interrupts of its timer (`src/demo/ordered-writer.ts`).
 */
import { often } from '../tiers/tier.ts';

/** Microseconds of rest after each write. The full tier has the writes of a saga lie closer together. */
export const PACING_US = often(160_000, 10_000);

/** For a guest that is to write without a rest, which takes a whole processor; many of its writes are waited for. */
export const BUSY_PACING_US = often(30_000, 0);

/** For a guest beside programs that take seconds to start. */
export const SLOW_PACING_US = often(250_000, 10_000);

/** What a guest is to write between two moments of a test: some on each disk. */
export const SOME_WRITES = often(6, 12);
