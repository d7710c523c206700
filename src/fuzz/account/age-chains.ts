/**
 * Gives the chains of a guest a past: what it has written so far lies in all of their images, as after snapshots. What the
 * guest reads stays the same, and it hears of nothing.
 */

import type { Sim } from '../../sim/create-sim.ts';
import { EMPTY, over } from '../../sim/host/contents.ts';
import type { GuestChoice } from '../scenario/scenario.ts';
import { fileInChain } from '../scenario/wish-files.ts';

const TRIPLE = 3;

/** Moves every so many-th piece of each active image into an image below it. */
export function ageChains(sim: Sim, guest: Pick<GuestChoice, 'disks' | 'backingLayers' | 'format'>): void {
  const { host } = sim.world;
  const depth = guest.backingLayers + 1;
  for (let index = 0; index < guest.disks; index += 1) {
    const front = host.image(fileInChain(guest, index, 0));
    const pieces = front?.contents ?? EMPTY;
    for (let place = 0; place < depth; place += 1) {
      const file = fileInChain(guest, index, place);
      const image = host.image(file);
      if (image === undefined) continue;
      const own = pieces.filter((_, at) => Math.floor(at / TRIPLE) % depth === place);
      host.write(file, { ...image, contents: place === 0 ? own : over(image.contents, own) });
      host.flush(file);
    }
  }
}
