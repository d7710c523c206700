/** When a guest had been moved by a third party and was killed before the saga's next look: what it has written is in some image still. Pure. */
import type { Account, Struck } from '../account/account.ts';
import type { EndJudged } from './excuse-conditions.ts';
import { isHeldSomewhere } from './held-somewhere.ts';

/** The drive was still the node that it was set to when QEMU was killed, and each write is in some image. */
export function wasKilledThere(struck: Struck, account: Account, { now }: EndJudged): boolean {
  return (
    !now.alive && diskSet(struck, account) !== undefined && isHeldSomewhere(now, account.scenario.guest.disks)
  );
}

/** So it was, and the recovery boots the disk from the image that it was on then, or names that; all others are there. */
export function isBootedWhereKilled(struck: Struck, account: Account, { now }: EndJudged): boolean {
  const { offline, scenario } = account;
  const { booted, result } = offline ?? {};
  const set = diskSet(struck, account);
  if (set === undefined || booted === undefined) return false;
  const isBooted = booted.disks.some(({ device, path }) => device === set.device && path === set.path);
  const isNamed = result?.leftovers.some(words => words.startsWith(`${set.path} (`)) === true;
  return (isBooted || isNamed) && isHeldSomewhere({ ...now, files: booted.files }, scenario.guest.disks);
}

function diskSet({ fault }: Struck, { killedOn }: Account): Account['killedOn'][number] | undefined {
  if (fault.kind !== 'otherClient') return undefined;
  const { path, value } = fault.arguments ?? {};
  return killedOn.find(({ device, node }) => device === path && node === value);
}
