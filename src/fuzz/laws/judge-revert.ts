/**
 * Judges the images of a guest whose disks were put back: those hold what the older images held when it was asked for, and
 * over that only what the guest wrote after the switch. Pure.
 */
import { valueAt } from '../../sim/host/contents.ts';
import { RING } from '../../sim/machine/ring.ts';
import { type Account, askedOf } from '../account/account.ts';
import { fileInChain, newSetsOf } from '../scenario/wish-files.ts';
import { type ContentsByDisk, type LastWrites, newestFor, offsetOf } from './judge-writes.ts';

type Judged = Pick<Account, 'scenario' | 'coveredFirst' | 'before'>;

/** How far a guest has come, and which of its disks have left it; those that were not put back before that are as they were. */
export interface Written {
  readonly acknowledged: number;
  readonly last: LastWrites;
  readonly leftOnOld: ReadonlySet<number>;
}

/** What is wrong, or undefined. `acknowledged` is the last write that completed; all of those since the switch are wanted. */
export function judgeReverted(
  account: Judged,
  images: ContentsByDisk,
  { acknowledged, last, leftOnOld }: Written,
): string | undefined {
  const { scenario, before } = account;
  const { guest, wish } = scenario;
  if (wish.operation !== 'revert') return undefined;
  const back = wish.named.filter(disk => images.has(disk) && !leftOnOld.has(disk));
  const since = back.flatMap(disk => valuesIn(images, disk)).filter(value => value > before.acknowledged);
  const switched = since.length === 0 ? acknowledged : Math.min(...since) - 1;
  for (const disk of images.keys()) {
    const isBack = back.includes(disk);
    const wrote = Math.min(acknowledged, last.get(disk) ?? acknowledged);
    const old = before.files.get(isBack ? putBackOn(account, disk) : fileInChain(guest, disk, 0)) ?? [];
    const first = isBack ? switched : before.acknowledged;
    const held = valuesIn(images, disk);
    for (let slot = 0; slot < RING.sectors; slot += 1) {
      const written = newestFor(disk, slot, guest.disks, wrote);
      const expected = written > first ? written : (valueAt(old, offsetOf(slot)) ?? 0);
      if (held[slot] === expected) continue;
      return `disk ${disk} holds write ${held[slot]} where ${expected} belongs, of a guest put back at write ${switched}`;
    }
  }
  return undefined;
}

/** What was flushed to the new images, and what the older ones held, is still there. */
export function judgeRevertedAfterPowerCut(
  account: Judged & Pick<Account, 'flushed'>,
  images: ContentsByDisk,
  isOnNew: (disk: number, file: string) => boolean,
): string | undefined {
  const { scenario, before, flushed } = account;
  const { wish } = scenario;
  if (wish.operation !== 'revert') return undefined;
  for (const { disk, offset, value, file } of flushed) {
    const held = valueAt(images.get(disk) ?? [], offset) ?? 0;
    if (isOnNew(disk, file) && held < value) return `write ${value} to disk ${disk} was flushed, and is gone`;
  }
  for (const disk of wish.named) {
    const old = before.files.get(putBackOn(account, disk)) ?? [];
    for (const [slot, value] of valuesIn(images, disk).entries()) {
      const expected = valueAt(old, offsetOf(slot)) ?? 0;
      if (value === expected || value > before.acknowledged) continue;
      return `disk ${disk} holds write ${value} where the older image holds ${expected}`;
    }
  }
  return undefined;
}

/** The older image of a disk, which is below its new overlay. */
export function putBackOn(account: Pick<Account, 'scenario' | 'coveredFirst'>, disk: number): string {
  const [set] = newSetsOf(askedOf(account));
  return set(disk)[1] ?? '';
}

function valuesIn(images: ContentsByDisk, disk: number): readonly number[] {
  const image = images.get(disk) ?? [];
  return Array.from({ length: RING.sectors }, (_, slot) => valueAt(image, offsetOf(slot)) ?? 0);
}
