/**
 * Whether the names that an offline recovery boots from, reads and writes by lead to the files that the saga knew under them: a third
 * party may have put others in their places, or have taken a name away. No QEMU has them open any more, so identities tell. It only
 * looks; that a file is the right one all the same, such as a copy from a backup, an administrator has to say.
 */
import { BlocksagaError } from '../../errors.ts';
import { plainName } from '../../guest/graph.ts';
import { isSameFile } from '../../images/file-identity.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import { chainOfImage, filesOfImage } from '../../plan/chain-of-image.ts';
import type { ChainImage, DiskPlan, Plan } from '../../plan/plan.ts';
import { stagesOf } from '../../steps/stages.ts';
import { recordsOfStage } from '../durable/stages.ts';
import { heldClaim } from '../removal/claims.ts';
import type { OfflineAction, OfflineDisk } from './decide-offline.ts';
import { type Headers, type KnownFiles, leadsIn, whyNotIt } from './expect-headers.ts';
import { makingOf } from './offline-images.ts';
import type { OfflineEnd } from './offline-parts.ts';
import { isShortened } from './shorten-offline.ts';

/** What an administrator has said of files. */
export interface SaidRight {
  /**
   * Files of images that are the right ones though the saga knew others under their names, such as copies from a backup; of a snapshot's
   * overlay that is not there, that an empty one is to be made; beside `front`, that nothing is rightly there.
   */
  readonly acceptImages?: readonly string[];
}

/** What is known and was said of a saga's files. */
export interface Rightful extends KnownFiles {
  readonly saga: string;
  /** An earlier run of the recovery may have made overlays anew. */
  readonly isBegun: boolean;
}

/** What is known of them. Throws REQUEST_INVALID for a file that is accepted and is none of the saga's. */
export function rightfulFiles(
  {
    id: saga,
    plan,
    records,
  }: { readonly id: string; readonly plan: Plan; readonly records: readonly JournalRecord[] },
  accepted: readonly string[],
  isBegun: boolean,
): Rightful {
  const known = new Map<string, string>(Object.entries(plan.identities ?? {}));
  const planned = new Set(known.keys());
  const guessed = new Set<string>();
  const names = new Set(known.keys());
  for (const stage of stagesOf(plan)) {
    const own = recordsOfStage(records, stage.name);
    for (const disk of stage.plan.disks) {
      const inUse = disk.chain.map(({ file }) => plainName(file)).filter(file => planned.has(file));
      if (!plan.areOpen) for (const file of inUse) guessed.add(file);
      const claim = heldClaim(disk, own);
      if (claim !== undefined) {
        known.set(disk.image.file, claim);
        guessed.delete(disk.image.file);
      }
      for (const image of [...disk.chain, ...chainOfImage(disk)]) names.add(plainName(image.file));
    }
  }
  const unknown = accepted.find(file => !names.has(file));
  const unproved = plan.areOpen === false ? guessed : new Set<string>();
  if (unknown === undefined)
    return {
      saga,
      known,
      guessed,
      unproved,
      leads: leadsIn(plan, records),
      astray: plan.astray ?? {},
      accepted,
      isBegun,
    };
  throw new BlocksagaError(
    'REQUEST_INVALID',
    `${unknown} is no image of saga ${saga}: its images are ${[...names].toSorted().join(', ')}`,
    { saga },
  );
}

/** A name that a disk needs. */
interface Needed {
  readonly disk: DiskPlan;
  readonly file: string;
  readonly mustStand: boolean;
  readonly isWritten: boolean;
  /** The image leaves the chain, and is not read any more once that is shortened. */
  readonly leaves: boolean;
  /** What can be done where it is lost for good, in words; null where only the right file helps. */
  readonly withoutIt: string | null;
}

type Part = OfflineEnd['parts'][0];

/**
 * `first`: before the images are asked where the guest ran, which an old one that is not there may tell. `before`: nothing has
 * been changed. `meanwhile`: something may have.
 */
export type When = 'first' | 'before' | 'meanwhile';

/** Throws FILES for the names that lead elsewhere: all at once. `of`: the disk that is looked at alone. */
export async function expectRightFiles(
  parts: readonly Part[],
  rightful: Rightful,
  at: Headers,
  when: When,
  of?: DiskPlan,
): Promise<void> {
  const wrong = new Map<string, Wrong>();
  for (const [place, part] of parts.entries()) {
    for (const { index, action } of part.verdict.disks) {
      const disk = part.plan.disks[index];
      if (disk === undefined || (of !== undefined && of !== disk)) continue;
      const isEnd = place === parts.length - 1;
      const mayBeAnew = rightful.isBegun || when === 'meanwhile';
      // The images above those that leave are looked at first: by the right headers only is a chain known to be shortened.
      const isWrongAbove = () => [...wrong.values()].some(each => each.needed.disk === disk);
      const isDone = async () => action === 'shorten' && (await isShortened(part.plan, disk, at.images));
      for (const needed of neededBy(part, disk, action, { isEnd, mayBeAnew })) {
        const { file } = needed;
        if (wrong.get(file)?.needed.isWritten || (needed.leaves && (isWrongAbove() || (await isDone()))))
          continue;
        const found = await whatIsWrong(needed, rightful, at, when);
        if (found !== undefined) wrong.set(file, { needed, ...found });
      }
    }
  }
  if (wrong.size > 0) throw refusalOf([...wrong.values()], rightful.saga, when);
}

/**
 * Whether another file stands there than the saga knew, as far as that can be told, and that was not said to be right. One that stood
 * there when it was planned may be what the guest ran on last whatever its header says by now, which a third party may have changed.
 */
export async function isReplaced(file: string, rightful: Rightful, at: Headers): Promise<boolean> {
  const { known, accepted } = rightful;
  const knew = known.get(file);
  if (knew === undefined) return (await whyNotIt(file, rightful, at)) !== undefined;
  const stands = accepted.includes(file) ? undefined : await at.files.stat(file);
  return stands !== undefined && !isSameFile(knew, stands.identity);
}

/** A name that leads elsewhere: what is found there in words, and whether anything stands there. */
interface Wrong {
  readonly needed: Needed;
  readonly found: string;
  readonly stands: boolean;
}

/** One command says it of all of them; the saga remembers none of them until it goes on. */
function refusalOf(wrong: readonly Wrong[], saga: string, when: When): BlocksagaError {
  const found = wrong.map(
    ({ needed: { disk, isWritten }, found: words }) =>
      `disk ${disk.disk}: ${words}; it is to be ${isWritten ? 'written to' : 'booted from'}`,
  );
  const remedies = new Set(wrong.map(remedyOf));
  const images = wrong.map(({ needed: { file } }) => file);
  const accepting = images.map(file => `--accept-image ${file}`).join(' ');
  return new BlocksagaError(
    'FILES',
    `${found.join('; ')}. ` +
      `${when === 'meanwhile' ? 'It was replaced while this recovery worked' : 'Nothing has been changed'}. ` +
      'Find that file ("find -inum" looks for it) and put the right file back' +
      `${wrong.length > 1 ? ', for each of these names' : ''}, then run this again. ` +
      `${[...remedies].join('. ')}${wrong.length > 1 ? ', and leave out each name of which that is not true' : ''}: ` +
      `"blocksaga resume --offline ${saga} ${accepting}"`,
    { saga, images, ...(wrong[0] && { disk: wrong[0].needed.disk.disk }) },
  );
}

function remedyOf({ needed: { withoutIt }, stands }: Wrong): string {
  if (!stands && withoutIt !== null) return withoutIt;
  const ifRight = stands
    ? 'what stands there is the right image, such as a copy from a backup'
    : 'a copy of it, as from a backup, is put there';
  return `If ${ifRight}, say so`;
}

/** What is found there in words, and whether anything stands there; undefined where it is right, or nothing tells. */
async function whatIsWrong(
  { disk, file, mustStand, isWritten }: Needed,
  rightful: Rightful,
  at: Headers,
  when: When,
): Promise<{ readonly found: string; readonly stands: boolean } | undefined> {
  const { known, unproved, accepted } = rightful;
  const led = await whyNotIt(file, rightful, at);
  if (led !== undefined) return { found: unknownInWords(file, led), stands: true };
  const knew = known.get(file);
  if (accepted.includes(file) || (knew === undefined && !isWritten)) return undefined;
  const stands = await at.files.stat(file);
  if (knew === undefined)
    return stands?.kind === 'file' ? { found: unknownInWords(file, UNSEEN), stands: true } : undefined;
  const isAskedYet = when === 'first' && disk.image.file !== file;
  if (stands === undefined) {
    if (!mustStand || isAskedYet) return undefined;
    const found = `nothing stands under the name ${file} any more, where ${inodeOf(knew)} was`;
    return { found, stands: false };
  }
  if (isSameFile(knew, stands.identity))
    return isWritten && unproved.has(file)
      ? { found: unknownInWords(file, UNSEEN), stands: true }
      : undefined;
  return {
    found: `under the name ${file} there is ${inodeOf(stands.identity)} now, another file than ${inodeOf(knew)}, which the saga knew there`,
    stands: true,
  };
}

/** What is only read may be another's, and is named then; nothing is written to it. */
const UNSEEN = 'this saga has not seen which file that was';

/** In words, of an image whose file the saga does not know. */
export function unknownInWords(file: string, led: string): string {
  return `what stands under the name ${file} could not be proved to be the image that QEMU had there; ${led}`;
}

/** In words, of an identity. */
export function inodeOf(identity: string): string {
  return `inode ${identity.split(':')[1] ?? identity}`;
}

/** What is written to, by action: of the old image, and of the new one. */
const WRITES: Readonly<Partial<Record<OfflineAction, readonly [old: boolean, fresh: boolean]>>> = {
  moveBack: [true, true],
  commitDown: [false, true],
  moveForward: [false, true],
};

/** What one disk needs, for what is to be done. */
function neededBy(
  { plan, verdict }: Pick<Part, 'plan' | 'verdict'>,
  disk: DiskPlan,
  action: OfflineAction,
  { isEnd, mayBeAnew }: { readonly isEnd: boolean; readonly mayBeAnew: boolean },
): readonly Needed[] {
  const [writesOld, writesNew] = WRITES[action] ?? [false, false];
  const old = disk.chain.map((image, place) => ({ image, isWritten: writesOld && place === 0 }));
  const fresh = chainOfImage(disk).map((image, place) => ({ image, isWritten: writesNew && place === 0 }));
  // A snapshot puts its overlay on the image that the disk is on, whatever the header of a reused one says.
  const made = plan.operation === 'snapshot' ? [...fresh.slice(0, 1), ...old] : fresh;
  const isInDoubt = !verdict.wasOnImages && disk.image.create;
  const newSide = mayBeAnew && action === 'keepOrMake' && isInDoubt ? made.slice(1) : made;
  const sides: Readonly<Record<OfflineAction, readonly (typeof old)[0][]>> = {
    keep: newSide,
    keepOrMake: newSide,
    moveBack: [...newSide, ...old],
    drop: isEnd ? old : [],
    asIs: old,
    shorten: old,
    commitDown: [...old, ...fresh],
    moveForward: [...old, ...fresh],
    leave: [...old, ...fresh],
  };
  const stays = new Set(fresh.map(({ image }) => image.file));
  const leaves = ({ file }: ChainImage) => action === 'shorten' && !stays.has(file);
  const withoutIt = (image: ChainImage) =>
    image.file === disk.image.file && isAnewWith(action) ? lostInWords(disk, isInDoubt) : null;
  const isMadeAnew = ({ file }: ChainImage) =>
    file === disk.image.file && verdict.wasNeverOnImages && disk.image.create && isAnewWith(action);
  return sides[action]
    .filter(({ image }) => image.unnameable === undefined)
    .flatMap(({ image, isWritten }) =>
      filesOfImage(image).map(name => ({
        ...{ disk, file: plainName(name), isWritten, withoutIt: withoutIt(image) },
        // What has left a chain may have been removed, as was asked.
        mustStand: !leaves(image) && !isMadeAnew(image),
        leaves: leaves(image),
      })),
    );
}

/** With which actions one that is lost is made anew, or is not needed. */
function isAnewWith(action: OfflineAction): boolean {
  return action === 'keepOrMake' || action === 'moveBack';
}

function lostInWords(disk: DiskPlan, isInDoubt: boolean): string | null {
  if (disk.image.backing === null) return null;
  if (isInDoubt) return 'If it is lost for good, with all that was written to it, say so';
  return `If it is lost for good, with all that was written to it, make an empty one (${makingOf(disk)}), and say so`;
}

/** What is booted from, once the images are as they should be. */
export function asBooted(part: Part): Part {
  const disks = part.verdict.disks.map(disk => ({ ...disk, action: standing(disk) }));
  return { ...part, verdict: { ...part.verdict, disks } };
}

function standing({ front, action }: OfflineDisk): OfflineAction {
  if (front === 'old') return 'asIs';
  return action === 'keepOrMake' ? action : 'keep';
}
