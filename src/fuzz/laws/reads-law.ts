/**
 * Judges what the guest itself reads, whenever it runs: a guest that writes fast has written over what it had lost before any end is
 * looked at. Pure.
 */
import type { EndCheck } from './each-end.ts';
import { judgedOf } from './end-laws.ts';

export function readsWhatItWrote(end: Parameters<EndCheck>[0]): string | undefined {
  const { account, now, pardon } = end;
  // A guest that is put back reads by intent what is older, once.
  const meant = account.scenario.wish.operation === 'revert' ? 1 : 0;
  // What it read while faults struck was judged by the end that they led to: a name that is put back since has changed none of that.
  const judged = now === account.after ? 0 : account.after.misreads.length;
  const [misread] = now.misreads.slice(Math.max(meant, judged));
  if (misread === undefined || pardon.excuses('nothing lost', judgedOf(end))) return undefined;
  const { disk, held, wrote, atMs } = misread;
  return `the guest ran at ${atMs} ms and read write ${held} from disk ${disk} where it had written ${wrote}`;
}
