/** Whether the images that a saga leaves behind, or a clone's copies, are of one instant. It looks at the simulated world alone. */
import { isClone, isMerge } from '../scenario/wish.ts';
import { newFile } from '../scenario/wish-files.ts';
import { withAndWithoutCovers } from './covered-behind.ts';
import type { EndCheck } from './each-end.ts';
import { judgedOf, leftBy, removedBy } from './end-laws.ts';
import { judgeWrites, lastWritesOf } from './judge-writes.ts';
import { isMoved } from './moved-files.ts';

/** An overlay that a third party has put on one of them while its mirror ran holds what the guest wrote from then on. */
export function oneInstant(end: Parameters<EndCheck>[0]): string | undefined {
  const { account, pardon, outcome, now } = end;
  const { wish, guest } = account.scenario;
  // What a merge leaves behind is based on images that the guest keeps writing to.
  if (outcome !== 'committed' || isMerge(wish)) return undefined;
  const removed = removedBy(account, outcome);
  const left = wish.named
    .map(index => [index, isClone(wish) ? newFile(wish, index) : leftBy(account, index)] as const)
    .filter(([, file]) => !removed.has(file) && !isMoved(account, file));
  const files = new Map(left);
  const contents = new Map(left.map(([index, file]) => [index, now.files.get(file) ?? []]));
  const wrongs = withAndWithoutCovers(account, contents, index => files.get(index) ?? '', now).map(
    images => judgeWrites(images, guest.disks, lastWritesOf(now)).why,
  );
  return wrongs.includes(undefined) || pardon.excuses('one instant', judgedOf(end)) ? undefined : wrongs[0];
}
