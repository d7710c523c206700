/**
 * What becomes of overlays that third parties have put above images of a dead saga, as an administrator says: the guest is booted from
 * one that it ran on last, and none is left without the image that it stands on. It only reads.
 */
import { BlocksagaError } from '../../errors.ts';
import type { Images } from '../../images/images.ts';
import type { DefinedDisk } from '../../plan/definition.ts';
import type { OverlayAbove, SaidAbove, SettledAbove } from './find-above.ts';
import type { OfflineEnd } from './offline-parts.ts';
import type { KeptImage } from './offline-progress.ts';

type Part = OfflineEnd['parts'][0];

/** What was decided about those that were found. */
interface DecidedAbove extends Omit<SettledAbove, 'unseen'> {
  /** Images of the saga's that they stand on: none of these is removed. */
  readonly kept: readonly KeptImage[];
}

/** Throws JOURNAL_BEHIND where a guest may have run on one, and that was not said. */
export async function decideAbove(
  saga: string,
  part: Part,
  found: readonly OverlayAbove[],
  said: SaidAbove,
  images: Images,
): Promise<DecidedAbove> {
  const counts = found.filter(each => mayCount(part, each));
  const ranOn = counts.filter(({ file }) => said.ranOn?.includes(file));
  const open: OverlayAbove[] = [];
  const told: string[] = [];
  for (const each of counts.filter(one => !ranOn.includes(one))) {
    const { file, over, index } = each;
    const isSaid = said.notOn?.includes(file) || ranOn.some(one => one.index === index);
    if (isSaid) told.push(`${file} (${what(each)} above ${over.file}, on which the guest did not run last)`);
    else if (await holdsMore(each, images)) open.push(each);
    else told.push(`${file} (${what(each)}, which holds nothing that ${over.file} does not)`);
  }
  const [first] = open;
  if (first !== undefined) throw isAsked(saga, open, first);
  const elsewhere = ranOn.find(each => !isBooted(part, each) && !isMoved(part, each));
  if (elsewhere !== undefined) throw isOnOtherSide(saga, part, elsewhere);
  const kept = counts.map(each => ({
    file: each.over.file,
    why: `${each.file}, ${what(each)}, stands on it: kept`,
  }));
  return { ranOn, kept, told: [...told, ...ranOn.filter(each => isMoved(part, each)).map(movedInWords)] };
}

/**
 * Finished copies beside a guest, and images that a chain is shortened to, may have other overlays than the guest's. Into the image that
 * an active one is committed to QEMU may have merged it below a third party's overlay, which then names that.
 */
function mayCount(part: Part, each: OverlayAbove): boolean {
  const { plan, verdict } = part;
  const decided = verdict.disks.find(({ index }) => index === each.index);
  const disk = plan.disks[each.index];
  if (decided === undefined || disk === undefined) return false;
  const isBeside = decided.action === 'leave' || 'rewrites' in plan;
  return !isBeside || isBooted(part, each) || each.over.file === disk.file;
}

async function holdsMore(
  { file, driver, hasDataFile, over }: OverlayAbove,
  images: Images,
): Promise<boolean> {
  // What its header calls its data is not opened.
  if (hasDataFile) return true;
  const sights = [await images.look({ file, driver }), await images.look(over)];
  if (sights.some(({ state }) => state !== 'readable')) return true;
  return (await images.compare({ file, driver }, over)) !== 'within';
}

/** The image that the journal boots a disk from. */
export function bootedIn({ plan, verdict }: Part, index: number): string | undefined {
  const disk = plan.disks[index];
  const front = verdict.disks.find(each => each.index === index)?.front;
  return front === 'new' ? disk?.image.file : disk?.file;
}

function isBooted(part: Part, { index, over }: OverlayAbove): boolean {
  return bootedIn(part, index) === over.file;
}

/** Whether the image below it is one whose data go into another one. */
function isMoved(part: Part, { index, over }: OverlayAbove): boolean {
  const { plan, verdict } = part;
  const disk = plan.disks[index];
  const action = verdict.disks.find(each => each.index === index)?.action;
  if (action === 'moveBack') return disk?.image.file === over.file;
  return (action === 'commitDown' || action === 'moveForward') && disk?.file === over.file;
}

function what({ knownAs }: OverlayAbove): string {
  return knownAs !== undefined
    ? 'an image of this saga that has another name now'
    : "an overlay of a third party's";
}

function movedInWords(each: OverlayAbove): string {
  const { file, over } = each;
  return `${file} (${what(each)} above ${over.file}: what it holds has moved with that, remove it once the guest runs well)`;
}

/** In words, of a directory that was not looked at as a whole. */
export function notSeen(directory: string): string {
  return `not all of ${directory} was looked at for overlays of third parties`;
}

/** The disk as it is told of, with the overlay in front on which its guest ran last. */
export function withAbove(disk: DefinedDisk, ranOn: readonly OverlayAbove[]): DefinedDisk {
  const onIt = ranOn.find(each => each.disk === disk.disk && each.over.file === disk.file);
  if (onIt === undefined) return disk;
  const { sizeBytes: _ofTheOneBelow, ...told } = disk;
  const front = { file: onIt.file, format: onIt.driver };
  return { ...told, ...front, chain: [front, ...disk.chain] };
}

/** Those whose data have to be in the image below before that is moved. */
export function toMove(part: Part, ranOn: readonly OverlayAbove[]): readonly OverlayAbove[] {
  return ranOn.filter(each => isMoved(part, each));
}

function isAsked(saga: string, open: readonly OverlayAbove[], first: OverlayAbove): BlocksagaError {
  const told = open.map(
    each =>
      `disk ${each.disk}: ${each.file}${nameTaken(each)} stands above ${each.over.file}, and holds what that does not`,
  );
  const isNamed = open.some(({ knownAs, mayBe }) => knownAs !== undefined || mayBe !== undefined);
  const say = isNamed
    ? 'First put the right file back under such a name, then run this again. Else say'
    : 'Say';
  const whose = open.some(({ knownAs }) => knownAs !== undefined)
    ? 'overlays that its journal does not know there'
    : "overlays of a third party's";
  return new BlocksagaError(
    'JOURNAL_BEHIND',
    `${whose} stand above images of saga ${saga}, and its journal does not know whether the guest ran on them: ` +
      `${told.join('; ')}. Nothing has been changed. ${say} of each: "blocksaga resume --offline ${saga} --ran-on ${first.file}" (the guest ran ` +
      `on it last: it is booted from) or "--not-on ${first.file}" (it did not, as a backup's scratch image: it is left alone)`,
    { saga, disk: first.disk },
  );
}

function nameTaken({ knownAs, mayBe }: OverlayAbove): string {
  if (knownAs !== undefined) return ` (this saga knew that file as ${knownAs}, and it has another name now)`;
  return mayBe === undefined
    ? ''
    : ` (it may be ${mayBe} under another name: nothing stands under that any more)`;
}

function isOnOtherSide(saga: string, part: Part, { disk, index, file, over }: OverlayAbove): BlocksagaError {
  const booted = bootedIn(part, index);
  const of = part.plan.disks[index];
  const front =
    of?.image.file === over.file
      ? 'new'
      : of?.file === over.file && part.stage === 'mirror'
        ? 'snapshot'
        : 'old';
  return new BlocksagaError(
    'JOURNAL_BEHIND',
    `the journal of saga ${saga} says that disk ${disk} is booted from ${booted}, and it was said that the guest ran last on ${file}, which ` +
      `stands above ${over.file}. Nothing has been changed. Say "--front ${front}" too, if the guest ran last on those images of all of its ` +
      `disks, of each disk where it was on others ("--front ${disk}=${front},DISK=..."), or "--not-on ${file}"`,
    { saga, disk },
  );
}
