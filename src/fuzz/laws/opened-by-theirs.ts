/** Files of third parties that QEMU opens in the place of an image for what a third party asks of it, and not for the saga. Pure. */
import type { Account, Struck } from '../account/account.ts';
import { REOPENS } from '../account/name-watch.ts';
import type { EndJudged } from './excuse-conditions.ts';
import { isHeldSomewhere } from './held-somewhere.ts';
import { isTold, takesNameOf } from './moved-files.ts';

/**
 * A third party has put a file in the place of an image, and later had QEMU open that anew by its name, which the saga has not. It says what
 * stands under that name, and what the guest wrote is where the image is now.
 */
export function isOpenedByTheirs(struck: Struck, account: Account, { result, now }: EndJudged): boolean {
  const { moved, openings, scenario } = account;
  const since = account.struck.slice(account.struck.indexOf(struck) + 1);
  if (!since.some(({ fault }) => fault.kind === 'otherClient' && REOPENS.has(fault.execute))) return false;
  const isTheirDoing = moved.some(
    ({ path, atMs: fromMs, made, backMs = Number.POSITIVE_INFINITY }) =>
      made !== undefined &&
      takesNameOf(struck.fault, path) &&
      isTold(result, path) &&
      !openings.some(
        ({ atMs, names, reopens }) => atMs >= fromMs && atMs < backMs && (names.has(path) || reopens),
      ),
  );
  return isTheirDoing && isHeldSomewhere(now, scenario.guest.disks);
}
