/**
 * Brings together what the journal says about a dead saga and what its images say. Where they contradict each other nothing
 * is guessed: it is refused with both stories, unless an administrator has said which one is true.
 */
import { BlocksagaError, invariant } from '../../errors.ts';
import type { Images } from '../../images/images.ts';
import type { SagaRow } from '../../journal/journal.ts';
import { askImages, journalIsBehind, keptInDoubt } from './ask-images.ts';
import type { Choice, Front, KeptImage, OfflineDisk } from './decide-offline.ts';
import type { OfflineEnd } from './offline-parts.ts';

/** What was chosen, and the images that must stay. */
export interface Chosen {
  readonly choices: readonly Choice[];
  readonly kept: readonly KeptImage[];
}

/** What an administrator has said, and whether the journal is known to be an older copy: then that must have been said. */
interface Doubt {
  readonly front: Front | undefined;
  readonly isOlder: boolean;
}

/** Throws JOURNAL_BEHIND where the images contradict the journal and nothing was chosen, REQUEST_INVALID for a needless choice. */
export async function askAndChoose(
  { id: saga, createdAtMs }: Pick<SagaRow, 'id' | 'createdAtMs'>,
  decide: (choices: readonly Choice[]) => OfflineEnd,
  { front: said, isOlder }: Doubt,
  images: Images,
): Promise<Chosen> {
  if (said === 'snapshot') expectMirrored(saga, decide([]));
  const choices: Choice[] = [];
  const kept: KeptImage[] = [];
  const asked = new Set<Choice['operation']>();
  for (;;) {
    const { parts } = decide(choices);
    const part = parts.find(({ plan }) => !asked.has(plan.operation));
    if (part === undefined) break;
    const { operation } = part.plan;
    asked.add(operation);
    const doubts = await askImages(part, { begunMs: createdAtMs, isOlder }, images);
    const behind = doubts.filter(({ kind }) => kind === 'behind');
    const front = said === 'snapshot' ? (operation === 'snapshot' ? 'new' : 'old') : said;
    if (behind.length > 0 && front === undefined) throw journalIsBehind(saga, part.verdict.why, behind);
    const isOtherwise = part.verdict.disks.some(disk => disk.front !== front);
    const isSaid = (isOlder || said === 'snapshot') && hasSides(part) && isOtherwise;
    if (front !== undefined && (behind.length > 0 || isSaid)) {
      choices.push({ front, operation, disks: onNew(part, behind) });
    }
    if (isOlder) kept.push(...(await sidesThere(part, images)));
    const isNotTaken = choices.some(choice => choice.operation === operation && choice.front === 'old');
    for (const image of [...doubts.flatMap(keptInDoubt), ...(isNotTaken ? notTaken(part) : [])])
      if (!kept.some(({ file }) => file === image.file)) kept.push(image);
  }
  if (!isOlder) refuseNeedless(saga, decide(choices), choices, said === 'snapshot' ? 'new' : said);
  // What was chosen to be booted from is no leftover; the old side of an undecided stage is not booted from.
  const taken = new Set(decide(choices).parts.slice(-1).flatMap(frontsOf));
  return { choices, kept: kept.filter(({ file }) => !taken.has(file)) };
}

/** The disks that may have been on their new images last, as the journal or as the images say: nothing is written over those. */
function onNew({ verdict }: OfflineEnd['parts'][0], behind: Awaited<ReturnType<typeof askImages>>): number[] {
  const isBehind = (index: number) => behind.some(({ disk }) => disk.index === index);
  return verdict.disks.filter(disk => wasOnNew(disk) || isBehind(disk.index)).map(({ index }) => index);
}

/** Whether the journal says that the guest was on its new image last. */
function wasOnNew({ front, action }: OfflineDisk): boolean {
  return front === 'new' || action === 'moveBack';
}

/** Against the journal all are to be on their old images: the new ones that it says the guest was on are not removed for that. */
function notTaken({ plan, verdict }: OfflineEnd['parts'][0]): readonly KeptImage[] {
  const why =
    'the journal says that the guest ran on it last, and it was said that it ran on the old images: kept';
  const left = verdict.disks.filter(wasOnNew).map(({ index }) => index);
  return plan.disks.flatMap(({ index, image }) => (left.includes(index) ? [{ file: image.file, why }] : []));
}

/** Whether a guest can be on the one or on the other image of each disk: not with copies beside them, or a chain that is shortened. */
function hasSides({ plan }: OfflineEnd['parts'][0]): boolean {
  return !('rewrites' in plan) && !(plan.operation === 'copy' && plan.strategy === null);
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

function expectMirrored(saga: string, { parts }: OfflineEnd): void {
  if (parts.some(({ stage }) => stage !== null)) return;
  const why = `saga ${saga} is no snapshot with mirrors: its disks are on the old images or on the new ones`;
  throw new BlocksagaError('REQUEST_INVALID', why, { saga });
}

function refuseNeedless(
  saga: string,
  { parts }: OfflineEnd,
  choices: readonly Choice[],
  front: Choice['front'] | undefined,
): void {
  const end = parts.at(-1);
  invariant(end !== undefined, 'a saga has a stage');
  if (front === undefined || choices.length > 0 || end.verdict.disks.every(disk => disk.front === front))
    return;
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
