/**
 * Brings together what the journal says about a dead saga and what its images say. Where they contradict each other nothing
 * is guessed: it is refused with both stories, unless an administrator has said which one is true.
 */
import { BlocksagaError, invariant } from '../../errors.ts';
import type { Images } from '../../images/images.ts';
import type { SagaRow } from '../../journal/journal.ts';
import { askImages, journalIsBehind, keptInDoubt } from './ask-images.ts';
import type { Choice, KeptImage } from './decide-offline.ts';
import type { OfflineEnd } from './offline-parts.ts';

/** What was chosen, and the images that must stay. */
export interface Chosen {
  readonly choices: readonly Choice[];
  readonly kept: readonly KeptImage[];
}

/** Throws JOURNAL_BEHIND where the images contradict the journal and nothing was chosen, REQUEST_INVALID for a needless choice. */
export async function askAndChoose(
  { id: saga, createdAtMs }: Pick<SagaRow, 'id' | 'createdAtMs'>,
  decide: (choices: readonly Choice[]) => OfflineEnd,
  front: Choice['front'] | undefined,
  images: Images,
): Promise<Chosen> {
  const choices: Choice[] = [];
  const kept: KeptImage[] = [];
  const asked = new Set<Choice['operation']>();
  for (;;) {
    const { parts } = decide(choices);
    const part = parts.find(({ plan }) => !asked.has(plan.operation));
    if (part === undefined) break;
    const { operation } = part.plan;
    asked.add(operation);
    const doubts = await askImages(part, createdAtMs, images);
    const behind = doubts.filter(({ kind }) => kind === 'behind');
    if (behind.length > 0) {
      if (front === undefined) throw journalIsBehind(saga, part.verdict.why, behind);
      choices.push({ front, operation, disks: behind.map(({ disk }) => disk.index) });
    }
    kept.push(...doubts.map(keptInDoubt).filter(({ file }) => !kept.some(each => each.file === file)));
  }
  refuseNeedless(saga, decide(choices), choices, front);
  // What was chosen to be booted from is no leftover.
  const taken = new Set(decide(choices).parts.flatMap(frontsOf));
  return { choices, kept: kept.filter(({ file }) => !taken.has(file)) };
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
