/**
 * Judges what the guest itself reads, whenever it runs: a guest that writes fast has written over what it had lost before any end is
 * looked at. Pure.
 */
import { valueAt } from '../../sim/host/contents.ts';
import type { Misread } from '../../sim/machine/read-back.ts';
import { sectorOffset } from '../../sim/machine/ring.ts';
import type { Account } from '../account/account.ts';
import type { EndCheck } from './each-end.ts';
import { judgedOf } from './end-laws.ts';
import { putBackOn } from './judge-revert.ts';

export function readsWhatItWrote(end: Parameters<EndCheck>[0]): string | undefined {
  const { account, now, pardon } = end;
  // What it read while faults struck was judged by the end that they led to: a name that is put back since has changed none of that.
  const judged = now === account.after ? 0 : account.after.misreads.length;
  const [first] = now.misreads;
  const isMeant = (each: Misread) => each.atMs === first?.atMs && isPutBack(account, each);
  const misread = now.misreads.slice(judged).find(each => !isMeant(each) && !isMovedThere(account, each));
  if (misread === undefined || pardon.excuses('nothing lost', judgedOf(end))) return undefined;
  const { disk, held, wrote, atMs } = misread;
  return `the guest ran at ${atMs} ms and read write ${held} from disk ${disk} where it had written ${wrote}`;
}

/**
 * A third party has set the drive to another image at that very instant: what the guest reads there is what that one has given it, until it
 * is back on what it wrote. Whether the saga has kept that, and what the guest wrote there, the images tell.
 */
function isMovedThere({ struck, before }: Account, { disk, atMs, held, wrote }: Misread): boolean {
  const { device } = before.disks[disk] ?? {};
  return struck.some(
    ({ fault, atMs: at }) =>
      (at === atMs || (at < atMs && held === wrote)) &&
      fault.kind === 'otherClient' &&
      fault.execute === 'qom-set' &&
      fault.arguments?.['path'] === device,
  );
}

/**
 * A guest that is put back reads by intent what is older: at one instant, on the disks that were asked for, and nothing but what the older
 * images held.
 */
function isPutBack(account: Account, { disk, held, wrote }: Misread): boolean {
  const { before, scenario } = account;
  const { guest, wish } = scenario;
  if (wish.operation !== 'revert' || !wish.named.includes(disk)) return false;
  const older = before.files.get(putBackOn(account, disk)) ?? [];
  return held === (valueAt(older, sectorOffset(wrote, guest.disks)) ?? 0);
}
