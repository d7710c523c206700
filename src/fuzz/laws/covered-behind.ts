/** Overlays that a third party has put above images: what the guest writes from then on is there, and in no image of the saga's. Pure. */
import type { Account } from '../account/account.ts';
import type { Sight } from '../account/sight.ts';
import type { ContentsByDisk } from './judge-writes.ts';

/** What disks may read that stand on these images: each also through a third party's overlay that is there, if the plan does not name it. */
export function withAndWithoutCovers(
  { coveredFirst }: Pick<Account, 'coveredFirst'>,
  images: ContentsByDisk,
  fileOf: (index: number) => string,
  { files, overlays }: { readonly files: Pick<Sight['files'], 'get'>; readonly overlays: Sight['overlays'] },
): readonly ContentsByDisk[] {
  let all: readonly ContentsByDisk[] = [images];
  for (const index of images.keys()) {
    if (coveredFirst.includes(index)) continue;
    const above = [...overlays].filter(([, below]) => below === fileOf(index));
    const theirs = above.flatMap(([file]) => [files.get(file) ?? []]);
    all = all.flatMap(each => [each, ...theirs.map(contents => new Map(each).set(index, contents))]);
  }
  return all;
}
