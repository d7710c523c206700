/** Makes the world as a request finds it: what the chains hold, what is there already, and whether the guest runs. */

import type { Sim } from '../../sim/create-sim.ts';
import { EMPTY, put } from '../../sim/host/contents.ts';
import type { Image } from '../../sim/host/host.ts';
import { RING } from '../../sim/machine/ring.ts';
import type { GuestChoice, Scenario } from '../scenario/scenario.ts';
import { needsAgedChains, type WishOf } from '../scenario/wish.ts';
import {
  chainCopyOf,
  DIRECTORY,
  fileInChain,
  mirrorFile,
  newFile,
  placesOf,
} from '../scenario/wish-files.ts';
import { ageChains } from './age-chains.ts';
import { takeSight } from './sight.ts';

/** The bitmap that a backup program keeps on each image. */
export const BITMAP = 'backup';

/** What no guest writes. */
const STALE = put(EMPTY, RING.offset, RING.offset + RING.sectors * RING.sectorBytes, 900_000_000);

/** After the guest has run for a while, and before it is looked at. */
export function prepare(sim: Sim, scenario: Scenario): void {
  const { guest, wish } = scenario;
  const { world } = sim;
  if (needsAgedChains(wish)) ageChains(sim, guest);
  if (wish.operation === 'revert' && wish.stopped) world.inject('stop');
  if (wish.operation === 'snapshot' && wish.bitmaps) {
    for (const { own: node } of takeSight(sim).disks)
      world.inject('block-dirty-bitmap-add', { node, name: BITMAP, persistent: true });
  }
  for (const index of wish.named) {
    const target = targetThere(sim, scenario, index);
    if (target !== undefined) make(sim, target.file, fileInChain(guest, index, 0), target.image);
  }
}

/** Copies the chains that the mirrors of a snapshot are to be based on, once they are not written to any more: from a third party's overlay where that covers one. */
export function copyChains(
  sim: Sim,
  { guest, wish }: Scenario,
  covered: ReadonlyMap<number, string> | undefined,
): void {
  if (wish.operation !== 'snapshotMirror' || !wish.ownChains) return;
  for (const index of wish.named) {
    const file = covered?.get(index) ?? fileInChain(guest, index, 0);
    make(sim, chainCopyOf(index), file, { format: 'qcow2', contents: sim.world.readFile(file) });
  }
}

type NewImage = Pick<Image, 'format' | 'contents'> & Partial<Image>;

function make({ world: { host } }: Sim, file: string, like: string, image: NewImage): void {
  const { sizeBytes = 0, passphrase } = host.image(like) ?? {};
  const sealed = passphrase === undefined ? {} : { passphrase };
  host.write(file, { sizeBytes, backing: undefined, backingFormat: undefined, ...sealed, ...image });
  host.flush(file);
  host.syncDirectory(DIRECTORY);
}

/** The image that a request wants to use as it is there, of one disk. */
function targetThere(sim: Sim, { guest, wish }: Scenario, index: number) {
  const front = fileInChain(guest, index, 0);
  if (wish.operation === 'snapshotMirror' && wish.ownChains) {
    return { file: mirrorFile(index), image: overlayOn(chainCopyOf(index), 'qcow2') };
  }
  if (wish.operation === 'snapshot' && wish.reuse) {
    return { file: newFile(wish, index), image: overlayOn(front, guest.format) };
  }
  if (wish.operation !== 'copy' || !wish.reuse) return undefined;
  return { file: newFile(wish, index), image: copyTarget(sim, guest, wish, index) };
}

/** A shallow copy's target holds, or is based on, what lies below the active image; any other one is written over. */
function copyTarget(sim: Sim, guest: GuestChoice, wish: WishOf<'copy'>, index: number): NewImage {
  if (!wish.shallow || placesOf(guest).length === 1) return { format: wish.to, contents: STALE };
  const below = fileInChain(guest, index, 1);
  if (wish.to === 'qcow2') return overlayOn(below, 'qcow2');
  return { format: 'raw', contents: sim.world.readFile(below) };
}

function overlayOn(backing: string, backingFormat: Image['backingFormat']): NewImage {
  return { format: 'qcow2', contents: EMPTY, backing, backingFormat };
}
