/** Draws what goes wrong where no QEMU runs: changes to images that fail, power cuts, deaths, and an abort. */
import type { Draw } from '../scenario/draw.ts';
import type { OrchestratorDeath, PlannedFault } from '../scenario/scenario.ts';
import type { WishOf } from '../scenario/wish.ts';
import type { Trouble } from './draw-faults.ts';

export function drawOfflineTrouble(draw: Draw, wish: WishOf<'commitOffline'>, faultsMax: number): Trouble {
  // Each disk is merged, and where something is above it its header is rewritten.
  const nth = () => 1 + draw.below(wish.named.length * 2 + 1);
  return {
    faults: Array.from({ length: draw.few(Math.min(2, faultsMax)) }, () => drawFault(draw, nth())),
    signals: draw.chance(6) ? [{ signal: 'abort', atMs: draw.below(wish.named.length * 200) / 100 }] : [],
    deaths: Array.from({ length: draw.chance(2) ? 1 + draw.few(2) : 0 }, () => drawDeath(draw, nth())),
  };
}

function drawFault(draw: Draw, nth: number): PlannedFault {
  switch (draw.below(3)) {
    case 0:
      return { kind: 'refuse', nth };
    case 1:
      return { kind: 'cut', effect: 'after', nth };
    default:
      return { kind: 'kill', what: 'host', at: { when: draw.one(['before', 'after']), nth } };
  }
}

function drawDeath(draw: Draw, nth: number): OrchestratorDeath {
  if (draw.chance(2)) return { at: 'change', nth, done: draw.chance(2) };
  return { at: 'record', nth: nth * 2, written: draw.chance(2) };
}
