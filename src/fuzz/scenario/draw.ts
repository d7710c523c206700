/**
 * Drawing by chance, in the words that the generators need, and what is switched off in this run. Where the chance comes
 * from is not decided here.
 */
import { seededChance } from '../../sim/host/random.ts';
import type { Option } from './options.ts';

export interface Draw {
  /** An integer from 0, below the given one. */
  below(below: number): number;
  /** True once in so many times. */
  chance(oneIn: number): boolean;
  one<T>(choices: readonly T[]): T;
  /** One of them, each as often as its weight says beside those of the others. */
  weighted<T>(choices: readonly T[], weightOf: (choice: T) => number): T;
  /** 0 to `max`, small ones more often. */
  few(max: number): number;
  /** Whether this run has it; see `swarm.ts`. */
  isOn(name: string): boolean;
  /** An option that this run has, once in so many times. */
  option(name: Option, oneIn: number): boolean;
  /** The same, without what is off. */
  without(off: readonly string[]): Draw;
}

/** Draws by any source of chance. */
export function drawBy(below: (below: number) => number, off: ReadonlySet<string> = new Set()): Draw {
  const one = <T>(choices: readonly T[]) => choices[below(choices.length)] as (typeof choices)[number];
  return {
    below,
    chance: oneIn => below(oneIn) === 0,
    one,
    weighted(choices, weightOf) {
      let left = below(choices.reduce((sum, choice) => sum + weightOf(choice), 0));
      return choices.find(choice => {
        left -= weightOf(choice);
        return left < 0;
      }) as (typeof choices)[number];
    },
    few: max => Math.min(below(max + 1), below(max + 1)),
    isOn: name => !off.has(name),
    option: (name, oneIn) => below(oneIn) === 0 && !off.has(name),
    without: names => drawBy(below, new Set([...off, ...names])),
  };
}

/** Draws by a seed: the same seed draws the same. */
export function drawFrom(seed: number): Draw {
  const { below } = seededChance(seed);
  // Neighbouring seeds begin alike; a few steps later they have nothing in common.
  for (let step = 0; step < 3; step += 1) below(2);
  return drawBy(below);
}
