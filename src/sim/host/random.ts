/** Seeded chance, the only kind that the simulator has: the same seed gives the same bytes on the wire. */

/** A source of chance. */
export interface Chance {
  /** An integer in `[0, below)`. */
  below(below: number): number;
}

/** mulberry32: 32 bits of state, good enough for choosing and very cheap. */
export function seededChance(seed: number): Chance {
  let state = seed >>> 0;
  return {
    below(below) {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
    },
  };
}
