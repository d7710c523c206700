/**
 * Refuses an image that is to be reused where its header does not name what the plan puts below it: a boot goes by headers, and
 * would read a guest that lacks what is in between. An image that was made for the disk as it was earlier is such a one, where a
 * snapshot of a third party's has come since.
 */
import { BlocksagaError } from '../errors.ts';
import type { Files } from '../images/files.ts';
import { isNamedBelow, namedInWords } from '../images/named-below.ts';
import type { ChainImage } from '../plan/plan.ts';

/** One that is there, and the image that is to be right below it. */
export interface Reused {
  readonly disk: string;
  readonly file: string;
  readonly meant: ChainImage;
}

/** Throws TARGET_CHAIN for an overlay. What no path can say is left to QEMU, which is asked when it has opened the overlay. */
export async function expectOverlayOn(
  overlay: Reused,
  named: (Pick<ChainImage, 'file'> & { readonly driver: string | null }) | null,
  files: Files,
): Promise<void> {
  if (overlay.meant.unnameable !== undefined) return;
  if (!(await isNamedBelow(named, overlay.meant, files)))
    refuseHeader(overlay, namedInWords(named), `its disk is on ${namedInWords(overlay.meant)}`);
}

/** The error, with the command that mends the header. */
export function refuseHeader({ disk, file, meant }: Reused, named: string, why: string): never {
  throw new BlocksagaError(
    'TARGET_CHAIN',
    `disk ${disk}: the header of ${file} names ${named} as the image below it, and ${why}: the next boot would not read what ` +
      `the guest reads; if nothing else is to be below it, run qemu-img rebase -u -b ${meant.file} -F ${meant.driver} ${file}, then ask again`,
    { disk },
  );
}
