/** Draws what a third party does to a file that a request has to do with. */
import type { Fault } from '../../sim/monitor/faults.ts';
import type { Draw } from './draw.ts';
import type { GuestChoice } from './scenario.ts';
import type { Wish } from './wish.ts';
import { fileInChain, mirrorFile, newFile, placesOf } from './wish-files.ts';

type FileFault = Extract<Fault, { kind: 'file' }>;

/** How often the directory loses its name instead, and all images in it with that. */
const DIRECTORY_ONE_IN = 6;

/** An image that a third party takes the name of: a new one of the saga's mostly, or one of the guest's own. */
export function drawFile(draw: Draw, wish: Wish, guest: GuestChoice): Pick<FileFault, 'path' | 'how'> {
  const index = draw.one(wish.named);
  const own = fileInChain(guest, index, draw.one(placesOf(guest)));
  const made = wish.operation === 'snapshotMirror' ? [mirrorFile(index)] : [];
  const path = draw.chance(4) ? own : draw.one([newFile(wish, index), ...made]);
  const how = draw.chance(DIRECTORY_ONE_IN)
    ? draw.one(['renameDirectory', 'replaceDirectory'] as const)
    : draw.one(['remove', 'rename', 'replace', 'recreate'] as const);
  return { path, how };
}
