/**
 * Swarm: each run does without a random subset of fault kinds, third parties' commands, operations and options, so that
 * what is left comes together in ways that a run with everything hardly ever draws. Says only what is off.
 */

import type { Draw } from '../scenario/draw.ts';
import { FAULT_KINDS } from '../scenario/fault-kinds.ts';
import { FOREIGN_COMMANDS } from '../scenario/foreign-commands.ts';
import { OPTIONS } from '../scenario/options.ts';

/** Everything that may be off but the operations, by what it is. */
export const SWITCHES: readonly string[] = [
  ...OPTIONS,
  ...Object.keys(FAULT_KINDS),
  ...Object.keys(FOREIGN_COMMANDS),
];

/** One run in so many does without nothing. */
const ALL_ON_ONE_IN = 3;
const WORD_BITS = 16;

/** What a run does without: half of everything, or nothing; of the operations one stays. */
export function drawSwarm(draw: Draw, operations: readonly string[]): readonly string[] {
  if (draw.chance(ALL_ON_ONE_IN)) return [];
  const off = half(draw, SWITCHES);
  const without = half(draw, operations);
  return without.length === operations.length ? off : [...off, ...without];
}

/** Each with even chance, by a few draws for all. */
function half(draw: Draw, names: readonly string[]): readonly string[] {
  let bits = 0;
  return names.filter((_name, at) => {
    if (at % WORD_BITS === 0) bits = draw.below(1 << WORD_BITS);
    return ((bits >> (at % WORD_BITS)) & 1) === 1;
  });
}
