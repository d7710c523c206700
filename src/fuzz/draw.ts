/** Drawing by chance, in the words that the generators need. Where the chance comes from is somebody else's business. */
import { seededChance } from '../sim/random.ts';

export interface Draw {
  /** An integer from 0, below the given one. */
  below(below: number): number;
  /** True once in so many times. */
  chance(oneIn: number): boolean;
  one<T>(choices: readonly T[]): T;
  /** 0 to `max`, small ones more often. */
  few(max: number): number;
}

/** Draws by any source of chance. */
export function drawBy(below: (below: number) => number): Draw {
  return {
    below,
    chance: oneIn => below(oneIn) === 0,
    one: choices => choices[below(choices.length)] as (typeof choices)[number],
    few: max => Math.min(below(max + 1), below(max + 1)),
  };
}

/** Draws by a seed: the same seed draws the same. */
export function drawFrom(seed: number): Draw {
  const { below } = seededChance(seed);
  // Neighbouring seeds begin alike; a few steps later they have nothing in common.
  for (let step = 0; step < 3; step += 1) below(2);
  return drawBy(below);
}
