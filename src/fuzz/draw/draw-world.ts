/**
 * Draws what is odd about the world of a run from its beginning: which files the orchestrator sees, what /proc tells, and
 * whether an older copy of the journal is put back.
 */
import type { Draw } from '../scenario/draw.ts';
import type { Scenario } from '../scenario/scenario.ts';

/**
 * Of a request to a living QEMU. `held` adds what is not drawn by itself: an older journal without what was counted beside it. A QEMU that
 * dies within seconds of the moment of that copy looks as one that died in the middle of its saga, and a saga that has ended since is
 * resumed as one that has not.
 */
export function drawWorld(draw: Draw, held: boolean): Pick<Scenario, 'elsewhere' | 'proc' | 'restored'> {
  const elsewhere = draw.option('elsewhere', 12) ? draw.one(['tcp', 'unproved'] as const) : undefined;
  return {
    ...(elsewhere === undefined ? (draw.option('proc', 2) ? { proc: true } : {}) : { elsewhere }),
    ...(draw.option('restored', 8) ? { restored: drawRestored(draw, held) } : {}),
  };
}

function drawRestored(draw: Draw, held: boolean): NonNullable<Scenario['restored']> {
  const copy = { death: 1 + draw.few(2), permille: draw.below(1_000) };
  const beside = held ? draw.one(['kept', 'restored', 'lost'] as const) : 'kept';
  return beside === 'kept' ? copy : { ...copy, beside };
}
