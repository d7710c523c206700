/** Overlays that a third party has put above images: what the guest writes from then on is there, and in no image of the saga's. Pure. */
import type { Account } from '../account/account.ts';
import type { Sight } from '../account/sight.ts';
import { theirFile } from '../scenario/wish-files.ts';
import type { ContentsByDisk } from './judge-writes.ts';

/** What disks may read that stand on these images: each also through a third party's overlay that is there, if the plan does not name it. */
export function withAndWithoutCovers(
  { coveredFirst }: Pick<Account, 'coveredFirst'>,
  images: ContentsByDisk,
  { files }: { readonly files: Pick<Sight['files'], 'get'> },
): readonly ContentsByDisk[] {
  let all: readonly ContentsByDisk[] = [images];
  for (const index of images.keys()) {
    const theirs = coveredFirst.includes(index) ? undefined : files.get(theirFile(index));
    if (theirs !== undefined) all = all.flatMap(each => [each, new Map(each).set(index, theirs)]);
  }
  return all;
}
