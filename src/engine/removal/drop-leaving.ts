/**
 * Removes, after an offline recovery, the images that have left the chains of a merge whose request asked for that. One
 * that is known to be needed stays: by a chain that is booted from, by a saga that has not ended, by a program that has
 * it open.
 */

import { plainName } from '../../guest/graph.ts';
import { type Files, removeFile } from '../../images/files.ts';
import type { Images } from '../../images/images.ts';
import { overlaysOn, stoodOnBy } from '../../images/overlays-on.ts';
import type { Journal } from '../../journal/journal.ts';
import { filesOfImage, imagesOfDisk, leavingImages } from '../../plan/chain-of-image.ts';
import type { Plan } from '../../plan/plan.ts';
import { keptBelow, readBy } from '../../steps/finish/kept-below.ts';
import { mayBeMissing, mergedIntoDoubt } from '../../steps/finish/merged-elsewhere.ts';
import { keptInWords } from '../../steps/finish/remove-leaving.ts';
import { namedBySagas } from './named-images.ts';

/** Removes what may go; gives the files that are left of those that were to go, and why. Throws FILES. */
export async function dropLeaving(
  id: string,
  plan: Plan,
  { chains, journal, files, images, noted }: LeavingFacts,
): Promise<readonly string[]> {
  if (!('deletes' in plan && plan.deletes)) return [];
  const named = await namedBySagas(journal, id, files);
  const left: string[] = [];
  const known = new Set(plan.disks.flatMap(imagesOfDisk));
  const kept = new Set<string>();
  const unmerged = mergedIntoDoubt(plan, [...noted]);
  const leaving = plan.disks
    .flatMap(leavingImages)
    .flatMap(image =>
      filesOfImage(image).map((file, at) => ({ file, driver: at === 0 ? image.driver : 'raw' })),
    );
  for (const image of leaving) {
    const { file } = image;
    const stands = await files.stat(file);
    if (stands?.kind !== 'file') continue;
    const proof = plan.leaving?.find(each => each.file === plainName(file));
    const above = keptBelow(plan.disks, kept).get(plainName(file));
    const isNeeded = chains.includes(file) || named.has(file) || named.has(stands.identity);
    const keep = (why: string) => {
      kept.add(plainName(file));
      left.push(keptInWords(file, why));
    };
    if (isNeeded) keep('a chain or another saga needs it');
    else if (unmerged.has(plainName(file))) keep(mayBeMissing(unmerged.get(plainName(file)) ?? ''));
    else if (proof?.identity !== stands.identity)
      keep(proof?.why ?? 'it is not proved to be the file that QEMU had open');
    else if ((await images.look(image)).state === 'inUse') keep('another process has it open');
    else if (above !== undefined) keep(readBy(above));
    else {
      const [overlay] = await overlaysOn(files, file, known);
      if (overlay === undefined) await removeFile(files, file, stands.identity);
      else keep(stoodOnBy(overlay));
    }
  }
  return left;
}

interface LeavingFacts {
  /** The files of all chains that are booted from. */
  readonly chains: readonly string[];
  readonly journal: Journal;
  readonly files: Files;
  readonly images: Images;
  /** Images under whose names other files stood while QEMU merged into them. */
  readonly noted: ReadonlySet<string>;
}
