/** The law about who keeps the VM's records: what it is told of new disks. */
import { type Account, askedOf } from '../account/account.ts';
import { isClone, isMerge } from '../scenario/wish.ts';
import { frontIn, type NewSet, newSetsOf } from '../scenario/wish-files.ts';
import { leftBy, setSeen } from './end-laws.ts';
import { endAtLast } from './excuse-conditions.ts';
import type { Pardon } from './pardon.ts';

export function recordsAreTold(account: Account, pardon: Pardon): string | undefined {
  const { scenario, told, offline, atLast, resultAtLast, crash, refusal } = account;
  const { wish, publisher } = scenario;
  if (publisher === undefined || crash !== undefined || refusal !== undefined) return undefined;
  if (pardon.excuses('the records are told', endAtLast(account))) return undefined;
  const outcome = (offline?.result ?? resultAtLast)?.outcome;
  // A chain that is shortened below its front keeps that, a third party's overlay too.
  const isShortened = isMerge(wish) && !(wish.operation === 'commit' && wish.top === 0);
  const frontOf = (set: NewSet, index: number) =>
    isShortened && account.coveredFirst.includes(index) ? leftBy(account, index) : frontIn(set, index);
  const frontsOf = (set: NewSet) => wish.named.map(index => frontOf(set, index)).join();
  const old = wish.named.map(index => leftBy(account, index)).join();
  const toldOf = told.map(({ disks }) => disks.map(disk => disk.file).join());
  const last = toldOf.at(-1);
  if (outcome === 'rolledBack' || isClone(wish)) {
    // A snapshot that waits for its mirrors is told of, and so is that it was rolled back.
    const isRolledBack = wish.operation === 'snapshotMirror' && last === old;
    return told.length === 0 || isRolledBack ? undefined : 'it was told of disks that never came';
  }
  if (outcome !== 'committed') return undefined;
  if (last === undefined) return 'onCommit was not told';
  const seen = offline?.booted ?? (atLast.alive ? atLast : undefined);
  if (seen !== undefined) {
    const set = setSeen(account, seen.disks);
    const expected = frontsOf(set);
    if (last !== expected) return `it was told of ${last}, not of ${expected}`;
  }
  const overlays = newSetsOf(askedOf(account)).map(frontsOf);
  const wrong = toldOf.find(files => !overlays.includes(files));
  return wrong === undefined ? undefined : `it was told of ${wrong}, which never came`;
}
