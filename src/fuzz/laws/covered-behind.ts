/**
 * Overlays that a third party has put above disks behind the end of their saga: what the guest writes from then on is there, and no
 * journal, least of all an older copy, can name them. Pure.
 */
import type { Account } from '../account/account.ts';
import type { Sight } from '../account/sight.ts';
import { theirFile } from '../scenario/wish-files.ts';
import type { ContentsByDisk } from './judge-writes.ts';

type Covered = Pick<Account, 'isRestored' | 'coveredFirst' | 'after'>;

/** What the disks read, with those overlays in front where a guest is known to have been on them. */
export function withCovers(
  { isRestored, coveredFirst, after }: Covered,
  images: ContentsByDisk,
  { files }: { readonly files: Pick<Sight['files'], 'get'> },
): ContentsByDisk {
  if (!isRestored) return images;
  return new Map(
    [...images].map(([index, contents]) => {
      const isCovered = after.disks[index]?.isCovered && !coveredFirst.includes(index);
      return [index, (isCovered ? files.get(theirFile(index)) : undefined) ?? contents];
    }),
  );
}
