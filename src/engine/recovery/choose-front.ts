/**
 * Brings together what the journal says about a dead saga and what its images say. Where they contradict each other nothing
 * is guessed: it is refused with both stories, unless an administrator has said which one is true.
 */
import { BlocksagaError, invariant } from '../../errors.ts';
import type { Images } from '../../images/images.ts';
import type { SagaRow } from '../../journal/journal.ts';
import { askImages, journalIsBehind, keptInDoubt } from './ask-images.ts';
import { bootedIn } from './decide-above.ts';
import type { OfflineDisk } from './decide-offline.ts';
import { hasSides } from './expect-both-sides.ts';
import type { OverlayAbove } from './find-above.ts';
import type { Choice, Front, Fronts } from './offline-choices.ts';
import type { OfflineEnd } from './offline-parts.ts';
import type { KeptImage } from './offline-progress.ts';

type Side = Choice['front'];

/** What was chosen, and the images that must stay. */
export interface Chosen {
  readonly choices: readonly Choice[];
  readonly kept: readonly KeptImage[];
}

/** What an administrator has said, and whether the journal is known to be an older copy: then that must have been said. */
interface Doubt {
  readonly front: Fronts | undefined;
  readonly isOlder: boolean;
  /** Whether it may be one, as it is or as nothing tells. */
  readonly isUntold: boolean;
  /** Overlays above images of the saga's on which the guest is said to have run last. */
  readonly on: readonly OverlayAbove[];
  readonly isReplaced: (file: string) => Promise<boolean>;
}

/** Throws JOURNAL_BEHIND where the images contradict the journal and nothing was chosen, REQUEST_INVALID for a needless choice. */
export async function askAndChoose(
  { id: saga, createdAtMs }: Pick<SagaRow, 'id' | 'createdAtMs'>,
  decide: (choices: readonly Choice[]) => OfflineEnd,
  { front: said, isOlder, isUntold, on, isReplaced }: Doubt,
  images: Images,
): Promise<Chosen> {
  if (said !== undefined) expectSaid(saga, said, decide([]));
  const choices: Choice[] = [];
  const kept: KeptImage[] = [];
  const asked = new Set<Choice['operation']>();
  for (;;) {
    const { parts } = decide(choices);
    const part = parts.find(({ plan }) => !asked.has(plan.operation));
    if (part === undefined) break;
    const { operation } = part.plan;
    asked.add(operation);
    const doubts = await askImages(part, { begunMs: createdAtMs, isUntold, isReplaced }, images);
    const behind = doubts.filter(({ kind }) => kind === 'behind');
    if (behind.length > 0 && said === undefined) throw journalIsBehind(saga, part.verdict.why, behind);
    const sides = said === undefined ? NO_SIDES : sidesOf(part, said);
    expectOneSide(saga, sides, behind);
    const isOtherwise = part.verdict.disks.some(({ index, front }) => front !== sides.get(index));
    const isSaid = (isOlder || saysSnapshot(said)) && hasSides(part.plan) && isOtherwise;
    const against = on.filter(overlay => speaksAgainst(part, overlay)).map(({ index }) => index);
    // An older journal may lack that a copy which it calls unfinished was finished, and that the guest ran on it.
    const held = isOlder ? doubts.filter(({ kind }) => kind === 'partial') : [];
    const doubted = [...[...behind, ...held].map(({ disk }) => disk.index), ...against];
    const isChosen = said !== undefined && (doubted.length > 0 || isSaid);
    if (isChosen) choices.push(choiceOf(part, sides, doubted));
    const there = isOlder ? await sidesThere(part, images) : [];
    for (const image of [
      ...there,
      ...doubts.flatMap(keptInDoubt),
      ...(isChosen ? notTaken(part, sides) : []),
    ])
      if (!kept.some(({ file }) => file === image.file)) kept.push(image);
  }
  if (!isOlder) refuseNeedless(saga, decide(choices), choices, said);
  // What was chosen to be booted from is no leftover; the old side of an undecided stage is not booted from.
  const taken = new Set(decide(choices).parts.slice(-1).flatMap(frontsOf));
  return { choices, kept: kept.filter(({ file }) => !taken.has(file)) };
}

/** Throws REQUEST_INVALID where disks that ran on both sides are to be brought together: one would be copied over the other. */
function expectOneSide(saga: string, sides: Sides, doubts: Awaited<ReturnType<typeof askImages>>): void {
  if (
    new Set(sides.values()).size < 2 ||
    doubts.every(({ evidence }) => evidence !== 'both' && evidence !== 'ranFirst')
  )
    return;
  throw new BlocksagaError(
    'REQUEST_INVALID',
    `the guest of saga ${saga} ran on both sides of its disks, which it left and came to at one instant: say the same side of all of them`,
    { saga },
  );
}

/** By index of the disks that the guest had, on which side of the stage each was last, as was said. */
type Sides = ReadonlyMap<number, Side>;

const NO_SIDES: Sides = new Map();

/** A disk on its mirror has passed through its overlay. */
function sidesOf({ plan, verdict }: OfflineEnd['parts'][0], said: Fronts): Sides {
  const sideOf = (index: number): Side => {
    const front = frontOf(said, plan.disks[index]?.disk ?? '');
    if (front === 'snapshot') return plan.operation === 'snapshot' ? 'new' : 'old';
    return front;
  };
  return new Map(verdict.disks.map(({ index }) => [index, sideOf(index)]));
}

function frontOf(said: Fronts, disk: string): Front {
  const front = typeof said === 'string' ? said : said[disk];
  invariant(front !== undefined, `it was said where ${disk} was`);
  return front;
}

function saysSnapshot(said: Fronts | undefined): boolean {
  return said === 'snapshot' || (typeof said === 'object' && Object.values(said).includes('snapshot'));
}

function choiceOf(part: OfflineEnd['parts'][0], sides: Sides, doubted: readonly number[]): Choice {
  const { operation } = part.plan;
  const saidNew = [...sides].flatMap(([index, side]) => (side === 'new' ? [index] : []));
  if (saidNew.length > 0 && saidNew.length < sides.size)
    return { front: 'new', operation, disks: saidNew, others: 'old' };
  return { front: saidNew.length > 0 ? 'new' : 'old', operation, disks: onNew(part, doubted) };
}

/** The disks that may have been on their new images last, as the journal or as the images say: nothing is written over those. */
function onNew({ verdict }: OfflineEnd['parts'][0], doubted: readonly number[]): number[] {
  return verdict.disks
    .filter(disk => wasOnNew(disk) || doubted.includes(disk.index))
    .map(({ index }) => index);
}

/** Whether an overlay on which the guest ran last stands above the other side of its disk than the journal boots. */
function speaksAgainst(part: OfflineEnd['parts'][0], { index, over }: OverlayAbove): boolean {
  const disk = part.plan.disks[index];
  const isSide = over.file === disk?.file || over.file === disk?.image.file;
  return isSide && bootedIn(part, index) !== over.file;
}

/** Whether the journal says that the guest was on its new image last. */
function wasOnNew({ front, action }: OfflineDisk): boolean {
  return front === 'new' || action === 'moveBack';
}

/** Against the journal disks are to be on their old images: the new ones that it says the guest was on are not removed for that. */
function notTaken({ plan, verdict }: OfflineEnd['parts'][0], sides: Sides): readonly KeptImage[] {
  const why =
    'the journal says that the guest ran on it last, and it was said that it ran on the old images: kept';
  const left = verdict.disks
    .filter(disk => wasOnNew(disk) && sides.get(disk.index) === 'old')
    .map(({ index }) => index);
  return plan.disks.flatMap(({ index, image }) => (left.includes(index) ? [{ file: image.file, why }] : []));
}

/** What an older journal says may go is not removed on its word. */
async function sidesThere({ plan }: OfflineEnd['parts'][0], images: Images): Promise<readonly KeptImage[]> {
  const sides = plan.disks.flatMap(({ file, driver, image }) => [
    { file, driver },
    { file: image.file, driver: image.driver },
  ]);
  const why = 'kept, since the journal is an older copy and may lack what became of it';
  const there: KeptImage[] = [];
  for (const side of sides) {
    const { state } = await images.look(side);
    if (state !== 'missing') there.push({ file: side.file, why });
  }
  return there;
}

/** Throws REQUEST_INVALID where it was not said of each disk, or of what is none, or of overlays that there are none of. */
function expectSaid(saga: string, said: Fronts, { parts }: OfflineEnd): void {
  const refuse = (why: string): never => {
    throw new BlocksagaError('REQUEST_INVALID', why, { saga });
  };
  if (saysSnapshot(said) && !parts.some(({ stage }) => stage !== null))
    refuse(`saga ${saga} is no snapshot with mirrors: its disks are on the old images or on the new ones`);
  if (typeof said === 'string') return;
  const [{ plan, verdict }] = parts;
  const names = verdict.disks.flatMap(({ index }) => plan.disks[index]?.disk ?? []);
  const missing = names.filter(name => said[name] === undefined);
  const unknown = Object.keys(said).filter(name => plan.disks.every(({ disk }) => disk !== name));
  if (missing.length > 0 || unknown.length > 0)
    refuse(
      `say of each disk of saga ${saga} on which image it was last: its disks are ${names.join(', ')}` +
        (unknown.length > 0 ? `, and not ${unknown.join(', ')}` : ''),
    );
}

function refuseNeedless(
  saga: string,
  { parts }: OfflineEnd,
  choices: readonly Choice[],
  said: Fronts | undefined,
): void {
  const end = parts.at(-1);
  invariant(end !== undefined, 'a saga has a stage');
  if (said === undefined || choices.length > 0) return;
  const sides = sidesOf(end, said);
  if (end.verdict.disks.every(({ index, front }) => front === sides.get(index))) return;
  throw new BlocksagaError(
    'REQUEST_INVALID',
    `nothing is in doubt about saga ${saga}, so that there is nothing to choose: ${end.verdict.why}`,
    { saga },
  );
}

function frontsOf({ plan, verdict }: OfflineEnd['parts'][0]): readonly string[] {
  return plan.disks.map(disk =>
    verdict.disks.find(({ index }) => index === disk.index)?.front === 'new' ? disk.image.file : disk.file,
  );
}
