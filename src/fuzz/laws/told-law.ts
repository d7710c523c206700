/** The law about who keeps the VM's records: what it is told of new disks. */
import { type Account, askedOf } from '../account/account.ts';
import { isClone, isMerge } from '../scenario/wish.ts';
import { frontIn, type NewSet, newSetsOf } from '../scenario/wish-files.ts';
import { diskName } from '../scenario/wish-request.ts';
import { leftBy, setSeen } from './end-laws.ts';
import { endAtLast } from './excuse-conditions.ts';
import { isDoubted, namedFor } from './last-image.ts';
import type { Pardon } from './pardon.ts';

export function recordsAreTold(account: Account, pardon: Pardon): string | undefined {
  const { scenario, told, offline, atLast, resultAtLast, crash, refusal } = account;
  const { wish, publisher, guest } = scenario;
  if (publisher === undefined || crash !== undefined || refusal !== undefined) return undefined;
  if (pardon.excuses('the records are told', endAtLast(account))) return undefined;
  const outcome = (offline?.result ?? resultAtLast)?.outcome;
  // A chain that is shortened below its front keeps that, a third party's overlay too.
  const isShortened = isMerge(wish) && !(wish.operation === 'commit' && wish.top === 0);
  const ofPlan = (set: NewSet, index: number) =>
    isShortened && account.coveredFirst.includes(index) ? leftBy(account, index) : frontIn(set, index);
  // Without QEMU its administrator may have said that the guest ran on a third party's overlay last.
  const frontOf = (set: NewSet, index: number) => offline?.booted?.disks[index]?.cover ?? ofPlan(set, index);
  const toldOf = told.map(({ disks }) =>
    wish.named.map(index => disks.find(({ disk }) => disk === diskName(guest, index))?.file),
  );
  const end = { account, result: offline?.result ?? resultAtLast };
  const sets = newSetsOf(askedOf(account));
  /** Of a disk that has left the guest it is told where it was; nothing where that is its old image. */
  const isToldOf = (files: (typeof toldOf)[number], expected: (index: number) => string) =>
    wish.named.every((index, at) => {
      const left = atLast.left.get(index);
      const named = left === undefined ? undefined : namedFor(end, index)?.file;
      // What it was told before the disk left was true then.
      const isSure =
        named !== undefined && files === toldOf.at(-1) && !isDoubted(end.result, expected(index));
      if (files[at] === expected(index) && (!isSure || named === expected(index))) return true;
      if (left === undefined) return false;
      const last = named ?? left.path;
      if (files[at] === last) return true;
      const wasTold = toldOf.some(earlier => earlier !== files && earlier[at] === last);
      return files[at] === undefined && (wasTold || !sets.some(set => frontOf(set, index) === last));
    });
  const last = toldOf.at(-1);
  if (outcome === 'rolledBack' || isClone(wish)) {
    // A snapshot that waits for its mirrors is told of, and so is that it was rolled back; or that by its administrator's word the guest
    // ran on its old images last.
    const isBack = last !== undefined && isToldOf(last, index => leftBy(account, index));
    const isSaid = offline?.result !== undefined && !isShortened;
    const isRolledBack = (wish.operation === 'snapshotMirror' || isSaid) && isBack;
    return told.length === 0 || isRolledBack ? undefined : 'it was told of disks that never came';
  }
  if (outcome !== 'committed') return undefined;
  if (last === undefined) return 'onCommit was not told';
  const seen = offline?.booted ?? (atLast.alive ? atLast : undefined);
  if (seen !== undefined) {
    const set = setSeen(account, seen.disks);
    if (!isToldOf(last, index => frontOf(set, index)))
      return `it was told of ${last}, not of ${wish.named.map(index => frontOf(set, index))}`;
  }
  const wrong = toldOf.find(
    files => ![frontOf, ofPlan].some(front => sets.some(set => isToldOf(files, index => front(set, index)))),
  );
  return wrong === undefined ? undefined : `it was told of ${wrong}, which never came`;
}
