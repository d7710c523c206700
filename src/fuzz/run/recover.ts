/**
 * What becomes of a saga whose QEMU has died: it is recovered offline, perhaps twice, and a QEMU is started on what that
 * names. Judges nothing.
 */

import type { Publisher } from '../../engine/connection/publish.ts';
import type { SaidRight } from '../../engine/recovery/expect-right-files.ts';
import type { SaidAbove } from '../../engine/recovery/find-above.ts';
import type { Front, Fronts } from '../../engine/recovery/offline-choices.ts';
import { recoverOffline } from '../../engine/recovery/recover-offline.ts';
import type { SagaResult } from '../../engine/running/result.ts';
import { BlocksagaError } from '../../errors.ts';
import type { MemoryJournalState } from '../../journal/memory.ts';
import type { Sim } from '../../sim/create-sim.ts';
import { Died, virtualImages } from '../../sim/virtual-images.ts';
import type { Account, OfflineEnd } from '../account/account.ts';
import { namedBelow } from '../account/file-headers.ts';
import { type Sight, takeSight } from '../account/sight.ts';
import { type ContentsByDisk, judgeWrites, lastWritesOf } from '../laws/judge-writes.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { isClone } from '../scenario/wish.ts';
import { type Asked, fileInChain, frontIn, newSetsOf, placesOf, theirFile } from '../scenario/wish-files.ts';
import { diskName, SAGA } from '../scenario/wish-request.ts';
import { lastAbove } from './last-above.ts';
import {
  putBackWhatIsAskedFor,
  putBackWhatIsRight,
  putBackWhatWasOpen,
  rightlyNotThere,
  rightlyUnknown,
  rightWhereTheyStand,
} from './put-back.ts';
import type { KeptJournal } from './restored-journal.ts';

/** What is recovered, and what was seen while QEMU lived. */
interface Dead extends Pick<Account, 'scenario' | 'coveredFirst'> {
  readonly publisher: Publisher | undefined;
  /** The last look at QEMU while it lived; undefined where it ended by itself. */
  readonly after: Sight | undefined;
}

/** Recovers and boots; also gives what the journal holds then. */
export async function recoverAndBoot(
  sim: Sim,
  kept: Pick<KeptJournal, 'open' | 'state'>,
  { scenario, publisher, after, coveredFirst }: Dead,
): Promise<{ readonly offline: OfflineEnd; readonly journal: MemoryJournalState }> {
  const { guest, offlineDeath } = scenario;
  let journal = kept.open(sim.clock);
  const recover = (
    stopAt: number | undefined,
    said: SaidAbove & SaidRight & { readonly front?: Fronts } = {},
  ) =>
    recoverOffline(journal, SAGA, {
      clock: sim.clock,
      files: sim.files,
      images: virtualImages(sim, stopAt),
      ...(publisher === undefined ? {} : { publisher }),
      ...said,
    });
  // Where journal and images disagree an administrator finds out where the guest ran last: on which overlays, and then, as
  // `lastFront` knows it, on which side.
  const right = new Map<string, number | undefined>();
  const asked = new Set<string>();
  const attemptOnce = async (stopAt?: number): Promise<SagaResult> => {
    const above = { ...lastAbove(sim, { ...scenario, coveredFirst }), acceptImages: [...right.keys()] };
    const front = () => lastFront(sim, { ...scenario, coveredFirst, after });
    const accepted = { acceptImages: above.acceptImages };
    for (const said of [() => accepted, () => above, () => ({ ...above, front: front() })]) {
      try {
        return await recover(stopAt, said());
      } catch (error) {
        if (!(error instanceof BlocksagaError && error.code === 'JOURNAL_BEHIND')) throw error;
        if (!putBackWhatIsAskedFor(sim, { error: error.toJSON() })) continue;
        putBackWhatIsRight(sim, right);
        return attemptOnce(stopAt);
      }
    }
    return recover(stopAt, { ...above, front: front() });
  };
  // What the recovery asks to have back an administrator puts back, or finds that it is right as it stands, as often as there is more.
  const attempt = async (stopAt?: number): Promise<SagaResult> => {
    for (;;) {
      try {
        return await attemptOnce(stopAt);
      } catch (error) {
        if (!(error instanceof BlocksagaError && error.code === 'FILES')) throw error;
        for (const file of error.images ?? []) asked.add(file);
        const asking = { error: error.toJSON() };
        const sides = namesOfSides({ ...scenario, coveredFirst });
        const more = [
          ...rightWhereTheyStand(sim, asking),
          ...rightlyNotThere(sim, asking, sides),
          ...rightlyUnknown(sim, asking, sides),
        ].filter(file => !right.has(file));
        for (const file of more) right.set(file, sim.world.host.files.get(file)?.birth);
        if (more.length === 0 && !putBackWhatWasOpen(sim, asking) && !putBackWhatIsAskedFor(sim, asking))
          throw error;
        putBackWhatIsRight(sim, right);
      }
    }
  };
  try {
    if (offlineDeath !== undefined) {
      await attempt(offlineDeath).catch(error => {
        if (!(error instanceof Died)) throw error;
      });
      kept.state = journal.snapshot();
      journal = kept.open(sim.clock);
    }
    const result = await attempt();
    const boot = bootOf(sim, guest, result);
    sim.restart(boot);
    return {
      offline: { result, error: undefined, asked: [...asked], booted: takeSight(sim) },
      journal: journal.snapshot(),
    };
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    return {
      offline: { result: undefined, error: error.toJSON(), asked: [...asked], booted: undefined },
      journal: journal.snapshot(),
    };
  }
}

/**
 * Where QEMU had the disks when its administrator looked last. Else the old side, unless a third party may have completed a job or put an image on a disk, or the journal is an older copy: then
 * the new one where that alone is one instant of all disks, or holds more than the old ones (a power cut takes from both).
 */
function lastFront(sim: Sim, asked: Scenario & Pick<Dead, 'coveredFirst' | 'after'>): Fronts {
  const { guest, wish, faults, restored, coveredFirst, after } = asked;
  const mayBeSwitched =
    restored !== undefined ||
    faults.some(fault => fault.kind === 'otherClient' && mayHaveSwitched(wish, fault.execute));
  const disks = Array.from({ length: guest.disks }, (_, index) => index);
  const oldOf = (index: number) =>
    coveredFirst.includes(index) ? theirFile(index) : fileInChain(guest, index, 0);
  const { ranOn = [] } = lastAbove(sim, asked);
  /** Through a third party's overlay that the guest was on above it. */
  const read = (front: string) => {
    const theirs = ranOn.find(file => namedBelow(sim.world.host.image(file)) === front);
    return sim.world.readFile(theirs ?? front);
  };
  const images = new Map(disks.map(index => [index, read(oldOf(index))] as const));
  const { acknowledged } = sim.world.guest;
  const last = lastWritesOf(takeSight(sim));
  const worth = (set: ContentsByDisk) => {
    const { why, upTo } = judgeWrites(set, guest.disks, last);
    // What a reused target held before is no write of this guest's.
    if (upTo > acknowledged) return -1;
    return (why === undefined ? acknowledged + 1 : 0) + upTo;
  };
  // The image that an overlay stands on, on which the guest was last, tells its side.
  const under = ranOn.map(file => namedBelow(sim.world.host.image(file)));
  // Nothing boots from an image that a third party has put on its disk before its chain is whole: the recovery has to know better.
  const isBootable = wish.named.every(index => isWhole(sim, after?.disks[index]?.path ?? ''));
  // What it has put in front is found on the disk, and tells by what it holds.
  const isCovered = after?.disks.some(({ cover }) => cover !== undefined) === true;
  const isUnmoved = restored !== undefined || !faults.some(({ kind }) => kind === 'otherClient');
  const isTold = isUnmoved || (isBootable && !isCovered);
  const seen = isTold ? sidesSeen(asked, oldOf, under) : undefined;
  if (seen !== undefined) return seen;
  if (!mayBeSwitched) return 'old';
  if (disks.some(index => under.includes(oldOf(index)))) return 'old';
  const at = newSetsOf(asked).findIndex(set => wish.named.some(index => under.includes(frontIn(set, index))));
  if (at >= 0) return at > 0 ? 'snapshot' : 'new';
  // What a reverted guest reads is older by intent: where it was seen last tells.
  if (wish.operation === 'revert' && after?.alive)
    return wish.named.every(index => after.disks[index]?.path === oldOf(index)) ? 'old' : 'new';
  const others = newSetsOf(asked).map(set => {
    // Nothing boots from a chain that is not whole; with an older journal that is what the recovery has to say.
    if (restored === undefined && !wish.named.every(index => isMadeAndWhole(sim, frontIn(set, index))))
      return -1;
    const fronts = wish.named.map(index => [index, read(frontIn(set, index))] as const);
    return worth(new Map([...images, ...fronts]));
  });
  const best = Math.max(...others);
  if (best <= worth(images)) return 'old';
  return others.indexOf(best) > 0 ? 'snapshot' : 'new';
}

/** Of all images that a disk of the saga's is on before and afterwards. */
function namesOfSides(asked: Asked): readonly string[] {
  const { guest, wish } = asked;
  const old = placesOf(guest).map(place => (index: number) => fileInChain(guest, index, place));
  return wish.named.flatMap(index => [
    ...old.map(file => file(index)),
    ...newSetsOf(asked).flatMap(set => set(index)),
  ]);
}

/**
 * Where QEMU had the disks when it was looked at last, or when they left, and the overlays that their guest was on: on which side all of
 * them were, or each.
 */
function sidesSeen(
  asked: Scenario & Pick<Dead, 'coveredFirst' | 'after'>,
  oldOf: (index: number) => string,
  under: readonly (string | undefined)[],
): Fronts | undefined {
  const { guest, wish, after } = asked;
  if (!after?.alive) return undefined;
  const sets = newSetsOf(asked);
  const [ofSaga, ...others] = sets;
  const setsHave = (index: number, path = '') =>
    oldOf(index) === path || sets.some(set => frontIn(set, index) === path);
  const seen = wish.named.flatMap((index): (readonly [string, Front])[] => {
    const sides = [
      [oldOf(index), 'old'],
      [frontIn(ofSaga, index), 'new'],
      ...others.map(set => [frontIn(set, index), 'snapshot'] as const),
    ] as const;
    const disk = after.disks[index];
    const side = sides.find(([file]) => under.includes(file)) ?? sides.find(([file]) => disk?.path === file);
    return side === undefined ? [] : [[diskName(guest, index), side[1]]];
  });
  const [front, ...more] = new Set(seen.map(([, side]) => side));
  // Of one that has left on a third party's image, or that a third party has put on another disk's, those that are on their own tell.
  const isAstray = (index: number) => {
    const { left, path } = after.disks[index] ?? {};
    return left !== undefined || wish.named.some(other => other !== index && setsHave(other, path));
  };
  if (seen.length < wish.named.length)
    return wish.named.some(isAstray) && more.length === 0 ? front : undefined;
  return more.length === 0 ? front : Object.fromEntries(seen);
}

/** Whether a chain is whole, and its front was made: until then there is an empty file under the name of a qcow2 image. */
function isMadeAndWhole(sim: Sim, path: string): boolean {
  const isMade = !path.endsWith('.qcow2') || sim.world.host.image(path)?.format === 'qcow2';
  return isMade && isWhole(sim, path);
}

function isWhole(sim: Sim, path: string): boolean {
  const image = sim.world.host.image(path);
  const below = namedBelow(image);
  return image !== undefined && (below === undefined || isWhole(sim, below));
}

/** The mirrors of a clone end where they are: none of them waits to be finalized. */
function mayHaveSwitched(wish: Scenario['wish'], command: string): boolean {
  return SWITCHES.has(command) || (FINALIZES.has(command) && !isClone(wish));
}

const FINALIZES: ReadonlySet<string> = new Set(['job-finalize', 'block-job-finalize']);
const SWITCHES: ReadonlySet<string> = new Set([
  'job-complete',
  'block-job-complete',
  'blockdev-snapshot',
  // An active commit that is begun below such an overlay merges the image there.
  'blockdev-snapshot-sync',
]);

/** The images of all disks of the guest: those that the saga names, of disks that have left too, and the others as they were. */
export function bootOf(sim: Sim, guest: Scenario['guest'], { boot = [], disks }: SagaResult) {
  const unplugged = disks.map(({ disk, unplugged: last }) => ({ disk, file: last?.file }));
  return Array.from({ length: guest.disks }, (_, index) => {
    const names = [diskName(guest, index), fileInChain(guest, index, 0)];
    const named = [...boot, ...unplugged].find(({ disk }) => names.includes(disk));
    const path = named?.file ?? fileInChain(guest, index, 0);
    return { path, format: sim.world.host.image(path)?.format === 'raw' ? 'raw' : 'qcow2' } as const;
  });
}
