/**
 * What third parties have done to names of files, as the laws see it: which names lead nowhere or elsewhere, and what a saga
 * has to say of them. Pure.
 */
import type { SagaResult } from '../../engine/running/result.ts';
import type { Account } from '../account/account.ts';
import type { DiskSight } from '../account/sight.ts';

type Moved = Pick<Account, 'moved'>;

/** Whether a third party took that name from its file. */
export function isMoved({ moved }: Moved, path: string): boolean {
  return moved.some(each => each.path === path);
}

/** Whether a boot of the disk meets a name that a third party took from an image. */
export function meetsMoved(account: Moved, { path, chain, headers }: DiskSight): boolean {
  if (account.moved.length === 0) return false;
  return [path, ...headers, ...chain.map(image => image.path)].some(name => isMoved(account, name));
}

/** Files of third parties that stand under names of the saga's. */
export function madeByThirdParties({ moved }: Moved): readonly string[] {
  return moved.flatMap(({ path, made }) => (made === undefined ? [] : [path]));
}

/** Whether a result says of a name that it does not lead to what the saga left there. */
export function isTold(result: SagaResult | undefined, path: string): boolean {
  return (result?.leftovers ?? []).some(words => words.startsWith(`${path} (`));
}
