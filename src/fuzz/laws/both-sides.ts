/**
 * When a guest has run on both sides of its disks by what third parties sent, so that neither holds all, and whether its saga has kept and
 * named both: what no switch can make good is not lost by that. Pure.
 */
import type { Account, OfflineEnd, Struck } from '../account/account.ts';
import { askedOf } from '../account/account.ts';
import { frontIn, newSetsOf, theirFile } from '../scenario/wish-files.ts';
import type { EndJudged } from './excuse-conditions.ts';
import { isHeldSomewhere } from './held-somewhere.ts';

interface Sides {
  readonly old: string;
  readonly fresh: string;
}

/** Of the named disks that the guest has still. */
function sidesOf(account: Account): readonly Sides[] {
  const { scenario, after } = account;
  const [set] = newSetsOf(askedOf(account));
  return scenario.wish.named
    .filter(index => after.disks[index]?.left === undefined)
    .map(index => ({ old: before(account, index), fresh: frontIn(set, index) }));
}

/** The mirrors of a snapshot leave its overlays. */
function before(account: Account, index: number): string {
  const [, overlays] = newSetsOf(askedOf(account));
  if (overlays !== undefined) return frontIn(overlays, index);
  return account.coveredFirst.includes(index) ? theirFile(index) : (account.before.disks[index]?.path ?? '');
}

/** It was resumed on its old images while the switch was under way, and, as far as a saga can know, later on the new ones, or right in front of them. */
function ranOnBoth(account: Account): boolean {
  const sides = sidesOf(account);
  const on = (which: keyof Sides) => (struck: Struck) =>
    isResumed(struck) && sides.every(side => struck.fronts.includes(side[which]));
  const isSwitching = ({ state }: Struck) => state.endsWith('reopenFilters');
  const first = account.struck.findIndex(struck => on('old')(struck) && isSwitching(struck));
  if (first < 0) return false;
  // Of a saga whose process died then nothing tells whether it was resumed again.
  if (account.states.slice(0, -1).some(states => states.at(-1)?.endsWith('reopenFilters'))) return true;
  // One that is resumed right in front of it, once or again, runs on through it.
  return account.struck
    .slice(first)
    .some(struck => on('fresh')(struck) || (isResumed(struck) && isSwitching(struck) && isInFront(struck)));
}

/** Behind the `stop` that goes out with the switch. */
function isInFront({ at }: Struck): boolean {
  const place = `${at?.when} ${at?.command}`;
  return place === 'after stop' || place === 'before blockdev-reopen';
}

function isResumed({ fault }: Struck): boolean {
  return fault.kind === 'otherClient' && fault.execute === 'cont';
}

/** So it did, and the saga ends with a word of both images of each disk, which are there and hold every write between them. */
export function areBothKept(_struck: Struck, account: Account, { outcome, result, now }: EndJudged): boolean {
  // Killed before the saga could say so: the recovery asks, and says it.
  if (outcome === 'needsRecovery' && !now.alive && result?.error?.code !== 'BOTH_SIDES')
    return areBothKeptOffline(account, account.offline);
  if (outcome !== 'needsRecovery' || result?.error?.code !== 'BOTH_SIDES' || !ranOnBoth(account))
    return false;
  const named = result.error.images ?? [];
  const files = sidesOf(account).flatMap(({ old, fresh }) => [old, fresh]);
  return (
    files.every(file => named.includes(file) && now.files.has(file)) &&
    isHeldSomewhere(now, account.scenario.guest.disks)
  );
}

/** The same of an offline recovery: it boots one side of all disks, and names the other as left behind. */
export function areBothKeptOffline(account: Account, { booted, result }: OfflineEnd = NOTHING): boolean {
  if (booted === undefined || !ranOnBoth(account)) return false;
  const isLeft = (file: string) =>
    booted.files.has(file) && result?.leftovers.some(words => words.startsWith(`${file} (`)) === true;
  const isBooted = (file: string) => booted.disks.some(({ path }) => path === file);
  const sides = sidesOf(account);
  return (
    (sides.every(({ old, fresh }) => isBooted(old) && isLeft(fresh)) ||
      sides.every(({ old, fresh }) => isBooted(fresh) && isLeft(old))) &&
    isHeldSomewhere({ ...account.atLast, files: booted.files }, account.scenario.guest.disks)
  );
}

const NOTHING: OfflineEnd = { result: undefined, error: undefined, asked: [], booted: undefined };
