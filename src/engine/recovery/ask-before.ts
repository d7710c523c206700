/**
 * What has to be known before an offline recovery changes anything: what the images say against the journal, which overlays of third
 * parties stand above them, and what an administrator has said of both. It only reads.
 */
import { invariant } from '../../errors.ts';
import type { Files } from '../../images/files.ts';
import type { Images } from '../../images/images.ts';
import type { JournalRecord, SagaRow } from '../../journal/journal.ts';
import type { Plan } from '../../plan/plan.ts';
import { askAndChoose } from './choose-front.ts';
import { decideAbove } from './decide-above.ts';
import { expectBothSides } from './expect-both-sides.ts';
import { expectRightFiles, isReplaced, type Rightful } from './expect-right-files.ts';
import { findAbove, type SaidAbove } from './find-above.ts';
import type { Choice, Fronts } from './offline-choices.ts';
import type { OfflineEnd } from './offline-parts.ts';
import type { OfflineProgress } from './offline-progress.ts';

/** What was found, and said, of where the guest ran last. */
export type Found = Pick<OfflineProgress, 'choices' | 'kept' | 'above'>;

interface Asking {
  readonly decide: (choices: readonly Choice[]) => OfflineEnd;
  readonly isOlder: boolean;
  /** Whether it may be an older copy: it is, or nothing tells. */
  readonly isUntold: boolean;
  readonly records: readonly JournalRecord[];
  readonly said: SaidAbove & { readonly front?: Fronts };
  readonly rightful: Rightful;
}

/** What the images say, and an administrator of them: on which sides the guest ran last, and on which overlays above these. */
export async function askBefore(
  row: SagaRow,
  plan: Plan,
  { decide, isOlder, isUntold, records, said, rightful }: Asking,
  { images, files }: { readonly images: Images; readonly files: Files },
): Promise<Found> {
  // What another file holds says nothing of where the guest ran, not to an administrator either.
  if (said.front === undefined)
    await expectRightFiles(decide([]).parts, rightful, { files, images }, 'first');
  else await expectBothSides({ plan, records, isOlder, front: said.front }, rightful, { files, images });
  const { overlays, unseen } = await findAbove(
    { id: row.id, plan, begunMs: row.createdAtMs, said, known: rightful.known },
    images,
    files,
  );
  const on = overlays.filter(({ file }) => said.ranOn?.includes(file));
  const { choices, kept } = await askAndChoose(
    row,
    decide,
    {
      ...{ front: said.front, isOlder, isUntold, on },
      isReplaced: file => isReplaced(file, rightful, { files, images }),
    },
    images,
  );
  const end = decide(choices).parts.at(-1);
  invariant(end !== undefined, 'a saga has a stage');
  const above = await decideAbove(row.id, end, overlays, said, images);
  const { ranOn, told } = above;
  return { choices, kept: [...kept, ...above.kept], above: { ranOn, told, unseen } };
}
