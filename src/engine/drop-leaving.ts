/**
 * Removes, after an offline recovery, the images that have left the chains of a merge whose request asked for that. One
 * that anybody is known to need stays: a chain that is booted from, a saga that has not ended, whoever has it open.
 */
import type { Journal } from '../journal/journal.ts';
import { leavingImages } from '../steps/chain-of-image.ts';
import type { Files } from '../steps/files.ts';
import type { Images } from '../steps/images.ts';
import type { Plan } from '../steps/plan.ts';
import { removeImage } from './drop-images.ts';
import { namedBySagas } from './named-images.ts';

/** Removes what may go; gives the files that are left of those that were to go. Throws FILES. */
export async function dropLeaving(
  id: string,
  plan: Plan,
  { chains, journal, files, images }: LeavingFacts,
): Promise<readonly string[]> {
  if (!('deletes' in plan && plan.deletes)) return [];
  const named = await namedBySagas(journal, id, files);
  const left: string[] = [];
  for (const image of plan.disks.flatMap(leavingImages)) {
    const { file } = image;
    const stands = await files.stat(file);
    if (stands?.kind !== 'file') continue;
    const isNeeded = chains.includes(file) || named.has(file) || named.has(stands.identity);
    if (!isNeeded && (await images.look(image)).state !== 'inUse')
      await removeImage(file, stands.identity, files);
    if ((await files.stat(file)) !== undefined) left.push(file);
  }
  return left;
}

interface LeavingFacts {
  /** The files of all chains that are booted from. */
  readonly chains: readonly string[];
  readonly journal: Journal;
  readonly files: Files;
  readonly images: Images;
}
