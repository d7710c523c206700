/**
 * Removes the files that have left the disks' chains, where the request asks for it: after the decision, when their nodes
 * are closed. Only those go that were proved, when the saga was planned, to be the ones that QEMU had open, that still are
 * the same, and that QEMU has open for nothing else. What stays is reported with the reason.
 */

import { dirname } from 'node:path';
import { openFiles, plainName } from '../../guest/graph.ts';
import { type Files, removeFile } from '../../images/files.ts';
import { overlaysOn, stoodOnBy } from '../../images/overlays-on.ts';
import { filesOfImage, imagesOfDisk, leavingImages } from '../../plan/chain-of-image.ts';
import type { LeavingFile, Plan } from '../../plan/plan.ts';
import type { Json } from '../../qmp/transport.ts';
import { findWrongNames } from '../prepare/expect-names.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';
import { keptBelow, readBy } from './kept-below.ts';
import { mayBeMissing, mergedIntoDoubt, stillInDoubt } from './merged-elsewhere.ts';

/** A file that may go, and the identity under which it was found; null for one that stays, and why. */
interface Leaving {
  readonly [key: string]: Json;
  readonly file: string;
  readonly identity: string | null;
  readonly why: string | null;
}

export const removeLeaving: Step = {
  name: 'removeLeaving',
  withoutDevices: true,
  irreversible: 'asked for, and only after the decision',

  async observe(context) {
    const { files, qmp, plan, unplugged } = context;
    const open = await openFiles(qmp);
    const unfound = await unfoundAbove(context);
    const doubted = mergedIntoDoubt(plan, await stillInDoubt(context.mergedElsewhere, files));
    const left = new Set(
      unplugged.flatMap(({ index }) => plan.disks[index]?.chain.flatMap(filesOfImage).map(plainName) ?? []),
    );
    const known = new Set(plan.disks.flatMap(imagesOfDisk));
    const found: Leaving[] = [];
    for (const { file, identity, why } of leavingIn(plan)) {
      const stays = (reason: string) => found.push({ file, identity: null, why: reason });
      const stands = (await files?.stat(file))?.identity;
      if (files === null || identity === null) stays((await isGone(files, file)) ? GONE : (why ?? UNSEEN));
      else if (stands === undefined) stays(GONE);
      else if (left.has(file)) stays('a disk on it has left the guest: look at that first');
      else if (open.has(file)) stays('QEMU has it open for another user');
      else {
        const above = unfound.get(file);
        const base = doubted.get(file);
        if (above !== undefined) stays(`${above}, which its disk is on now, is not found under its name`);
        else if (base !== undefined) stays(mayBeMissing(base));
        else if (stands !== identity) stays('it is not the file any more that QEMU had open');
        else {
          const [overlay] = await overlaysOn(files, file, known);
          if (overlay === undefined) found.push({ file, identity, why: null });
          else stays(stoodOnBy(overlay));
        }
      }
    }
    return keepBelowKept(plan, found);
  },

  async probe({ files, plan, observed }) {
    const left = new Set<string>();
    for (const { file, identity } of observed as readonly Leaving[]) {
      if (identity !== null && (await files?.stat(file))?.identity === identity) left.add(file);
    }
    return probeDisks(plan.disks, disk =>
      leavingImages(disk)
        .flatMap(filesOfImage)
        .some(file => left.has(plainName(file)))
        ? 'absent'
        : 'present',
    );
  },

  async do({ files, observed }) {
    for (const { file, identity } of observed as readonly Leaving[]) {
      if (identity !== null && files !== null) await removeFile(files, file, identity);
    }
    return keptOf(observed);
  },

  async adopt({ observed }) {
    return keptOf(observed);
  },
};

/** The files that leave the chain of a disk, each with an image of the chain that took its place and that no boot would find. */
async function unfoundAbove({ plan, files, outcomes }: StepContext): Promise<ReadonlyMap<string, string>> {
  const unfound = new Map<string, string>();
  for (const { disk, file } of await findWrongNames({ plan, files, outcomes }, 'opened')) {
    const leaving = plan.disks.filter(each => each.disk === disk).flatMap(leavingImages);
    for (const name of leaving.flatMap(filesOfImage)) unfound.set(plainName(name), file);
  }
  return unfound;
}

/** Whether nothing stands under the name of a file that was not proved when it was planned, as far as this process sees QEMU's files. */
async function isGone(files: Files | null, file: string): Promise<boolean> {
  if (files === null || (await files.isShared?.(dirname(file))) === false) return false;
  return (await files.stat(file)) === undefined;
}

const GONE = 'nothing stands there any more, so that it was moved or removed before';
const UNSEEN = 'it is on the host of a QEMU whose files this process does not see';

function keepBelowKept(plan: Plan, found: readonly Leaving[]): Leaving[] {
  const stays = found
    .filter(({ identity, why }) => identity === null && why !== GONE)
    .map(({ file }) => file);
  const below = keptBelow(plan.disks, new Set(stays));
  return found.map(each => {
    const above = below.get(each.file);
    return each.identity === null || above === undefined
      ? each
      : { ...each, identity: null, why: readBy(above) };
  });
}

/** What the step comes to: the files that were to go and are still there, in words. */
function keptOf(observed: Json): Json {
  const staying = (observed as readonly Leaving[]).filter(({ identity }) => identity === null);
  return { kept: staying.map(({ file, why }) => keptInWords(file, why ?? UNSEEN)) };
}

/** A file that was to be removed and is not, with what to do about it. */
export function keptInWords(file: string, why: string): string {
  return `${file} (was to be removed and was not: ${why}; remove it yourself on QEMU's host if it is the one)`;
}

/** Plans of an older version prove nothing. */
function leavingIn(plan: Plan): readonly LeavingFile[] {
  if ('leaving' in plan && plan.leaving !== undefined) return plan.leaving;
  const names = new Set(plan.disks.flatMap(disk => leavingImages(disk).flatMap(filesOfImage).map(plainName)));
  const why = 'an older version has planned this, and has not proved that it is the file that QEMU had open';
  return [...names].map(file => ({ file, identity: null, why }));
}
