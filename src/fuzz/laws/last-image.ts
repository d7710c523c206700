/** What a result says of the image that a disk was on when it left the guest. Pure. */
import type { SagaResult } from '../../engine/running/result.ts';
import { diskName } from '../scenario/wish-request.ts';
import type { EndCheck } from './each-end.ts';

/** What the result says of where a disk that has left was last; undefined where it says nothing of it, or has not ended. */
export function namedFor(
  { account: { scenario }, result }: Pick<Parameters<EndCheck>[0], 'account' | 'result'>,
  index: number,
) {
  if (result?.outcome !== 'committed' && result?.outcome !== 'rolledBack') return undefined;
  return result?.disks.find(({ disk }) => disk === diskName(scenario.guest, index))?.unplugged;
}

/** Whether a result says that a disk which has left may have been on that image instead, and is to be looked at. */
export function isDoubted(result: SagaResult | undefined, path: string): boolean {
  const told = (result?.leftovers ?? []).filter(words => words.startsWith(`${path} (`));
  return told.some(words => words.includes('compare the two before you remove it'));
}

/** Whether a result names a file as the image that a disk was on when it left the guest. */
export function isLastOfLeft(result: SagaResult | undefined, path: string): boolean {
  return (result?.disks ?? []).some(({ unplugged }) => unplugged?.file === path);
}
