/** The law about headers: what the next boot will read, asked of the files alone. */
import { withData } from '../../sim/host/contents.ts';
import { askedOf } from '../account/account.ts';
import type { DiskSight } from '../account/sight.ts';
import { filesToRemove } from '../scenario/wish-files.ts';
import { decidedOver } from './decided-over.ts';
import type { eachEnd } from './each-end.ts';
import { isActSwappedUnseen, isTold, meetsMoved, movedBelow, untoldBelow } from './moved-files.ts';

type End = Parameters<Parameters<typeof eachEnd>[0]>[0];

/** Opened anew, by what the headers say, the front image of a disk reads as the guest reads it. */
export function bootReadsIt(end: End): string | undefined {
  const { account, outcome, result, before, now } = end;
  if (!now.alive || outcome === 'needsRecovery') return undefined;
  for (const [index, disk] of now.disks.entries()) {
    // It has a law of its own.
    if (disk.left !== undefined) continue;
    // Where the headers led elsewhere beforehand, no saga is to blame.
    const start = before.disks[index];
    if (start === undefined || !readsTheSame(start)) continue;
    // A saga looks at the names of its own disks; a request that was refused has looked for what it was refused for.
    const isNamed = account.scenario.wish.named.includes(index);
    const early = isNamed && outcome === 'committed' ? decidedOver(account, index, disk) : undefined;
    if (early !== undefined)
      return `${early} was taken from an image of ${disk.device} in front of the decision, and it was taken all the same`;
    const untold = isNamed && outcome !== 'refused' ? untoldBelow(account, result, disk) : undefined;
    if (untold !== undefined)
      return `${untold} was taken from an image of ${disk.device} before the end, and the result does not say so`;
    // By names that a third party took from their files a boot finds nothing, or that one's.
    if (meetsMoved(account, disk)) continue;
    if (!readsTheSame(disk) && !(isReadFromTheirs(end, disk) && keepsMerged(end, index)))
      return `a boot of ${disk.device} from ${disk.path} reads other bytes than the guest`;
  }
  return undefined;
}

/**
 * Whether QEMU reads a third party's file still that it opened where no look could tell, though the first one has its name again: the
 * result names that, or, where no /proc says which files QEMU has open, has done so before it was put back.
 */
function isReadFromTheirs({ account, result, putBack }: End, disk: DiskSight): boolean {
  const told = [result, ...(account.scenario.proc ? [] : [account.result])];
  const names = movedBelow({ moved: putBack }, disk);
  return putBack.some(
    act =>
      names.includes(act.path) &&
      isActSwappedUnseen(account, act) &&
      told.some(each => isTold(each, act.path)),
  );
}

/** Whether what QEMU may have merged into a third party's file stays, though it was to be removed. */
function keepsMerged({ account, now }: End, index: number): boolean {
  const { scenario } = account;
  const asked = { ...askedOf(account), wish: { ...scenario.wish, named: [index] } };
  return filesToRemove(asked).every(file => now.files.has(file));
}

/** Whether a reader of the file gets what the guest reads, through the images that it reads through. */
export function readsTheSame({ contents, rebooted, headers, chain }: End['now']['disks'][number]): boolean {
  // Images that are still empty read alike and are not.
  if (headers.join() !== chain.map(({ path }) => path).join()) return false;
  return JSON.stringify(withData(contents)) === JSON.stringify(withData(rebooted));
}
