/** Where a scenario's images are: the chains that its guest begins with, and those that a wish is to end on. Pure. */
import type { GuestChoice, Scenario } from './scenario.ts';
import { isMerge, type Wish } from './wish.ts';

/** The virtual directory of all images. */
export const DIRECTORY = '/images';

/** What was asked of which guest. */
export interface Asked extends Pick<Scenario, 'guest' | 'wish'> {
  /** The disks whose images were counted from a third party's overlay, which was in front by then: each has one place more. */
  readonly coveredFirst?: readonly number[];
}

type Chains = Pick<GuestChoice, 'backingLayers' | 'format'>;

/** The file at a place of a disk's chain as its guest is begun with; 0 is the active image (`makeImages` of the simulator). */
export function fileInChain({ backingLayers, format }: Chains, index: number, place: number): string {
  return place === 0
    ? `${DIRECTORY}/disk${index}.${format}`
    : `${DIRECTORY}/disk${index}-base${backingLayers - place}.qcow2`;
}

/** The places of a disk's chain, front first. */
export function placesOf({ backingLayers, format }: Chains): readonly number[] {
  return Array.from({ length: format === 'raw' ? 1 : backingLayers + 1 }, (_, place) => place);
}

/** The overlay that a third party puts above a disk. */
export function theirFile(index: number): string {
  return `${DIRECTORY}/theirs${index}.qcow2`;
}

/** Whether a file is such an overlay, of whichever disk: a third party may mean another one than it calls it by. */
export function isTheirOverlay(path: string): boolean {
  return THEIR_OVERLAY.test(path);
}

const THEIR_OVERLAY = new RegExp(`^${DIRECTORY}/theirs\\d+\\.qcow2$`);

/** Whether an image is a third party's own. */
export function isTheirs(path: string): boolean {
  return path.startsWith(`${DIRECTORY}/theirs`) || path.startsWith(`${DIRECTORY}-theirs`);
}

/** The copy of a disk's chain that a mirror with a chain of its own is based on. */
export function chainCopyOf(index: number): string {
  return `${DIRECTORY}/copy${index}.qcow2`;
}

/** The overlay of a snapshot or of a revert, or the target of a copy. */
export function newFile(wish: Wish, index: number): string {
  return `${DIRECTORY}/new${index}.${wish.operation === 'copy' ? wish.to : 'qcow2'}`;
}

/** The target of a snapshot's mirror. */
export function mirrorFile(index: number): string {
  return `${DIRECTORY}/mirror${index}.qcow2`;
}

/** The places in the chain that are left below, or as, the new front; front first. */
function placesAfter({ guest, wish, coveredFirst }: Asked, index: number): readonly number[] {
  const places = placesOf(guest);
  const above = coveredFirst?.includes(index) ? 1 : 0;
  switch (wish.operation) {
    case 'copy':
      if (wish.base !== undefined) return places.slice(wish.base - above);
      return wish.shallow && wish.to === 'qcow2' ? places.slice(1 - above) : [];
    case 'pull':
    case 'commit':
    case 'commitOffline': {
      const from = (wish.operation === 'pull' ? 1 : wish.top) - above;
      const base = wish.base === null ? places.length : wish.base - above;
      return places.filter(place => place < from || place >= base);
    }
    case 'revert':
      return places.slice(wish.to - above);
    default:
      return places;
  }
}

/** The files that a wish says are to be removed once it is done. */
export function filesToRemove(asked: Asked): readonly string[] {
  const { guest, wish } = asked;
  if (!('delete' in wish) || !wish.delete) return [];
  return wish.named.flatMap(index => {
    const stay = placesAfter(asked, index);
    const leaving = placesOf(guest).filter(place => !stay.includes(place));
    return leaving.map(place => fileInChain(guest, index, place));
  });
}

/** A set of images, one for each named disk, that a saga may leave its disks on: their chains, front first. */
export type NewSet = (index: number) => readonly string[];

/** The sets that a saga may end on; one for all but snapshots with mirrors, which end on mirrors or on overlays. */
export function newSetsOf(asked: Asked): readonly [NewSet, ...NewSet[]] {
  const { guest, wish } = asked;
  const stay = (index: number) => placesAfter(asked, index).map(place => fileInChain(guest, index, place));
  if (isMerge(wish)) return [stay];
  const onNew: NewSet = index => [newFile(wish, index), ...stay(index)];
  if (wish.operation !== 'snapshotMirror') return [onNew];
  const below = (index: number) => (wish.ownChains ? [chainCopyOf(index)] : stay(index));
  return [index => [mirrorFile(index), ...below(index)], onNew];
}

/** The image that a disk is on in a set; below a third party's overlay that stays in front there may be none. */
export function frontIn(set: NewSet, index: number): string {
  return set(index)[0] ?? theirFile(index);
}
