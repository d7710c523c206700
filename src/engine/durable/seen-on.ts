/**
 * On which images a saga's guest was seen last by what the saga did not do, as its journal says it: a third party may set a drive to
 * an image of the saga's, or put one in front of a disk, and a saga that cannot undo that ends without having moved it back. A
 * recovery without QEMU removes no such image. Pure, but for the look itself.
 */
import type { ErrorRecord } from '../../errors.ts';
import { plainName } from '../../guest/graph.ts';
import { member } from '../../journal/body.ts';
import type { JournalRecord, NewRecord } from '../../journal/journal.ts';
import type { StagePlan } from '../../plan/plan.ts';
import type { QmpClient } from '../../qmp/client.ts';
import type { ImageInfo } from '../../qmp/schema.generated.ts';
import type { Json } from '../../qmp/transport.ts';
import { UNDO } from '../../steps/stages.ts';

/** What it stands under: no step of a machine, and of every stage. */
export const SEEN_ON = 'seenOn';

/** The files of all images that some device of the guest stands on. */
export async function lookAtDevices(qmp: QmpClient): Promise<NewRecord> {
  const blocks = await qmp.execute('query-block');
  const files = blocks.flatMap(({ inserted }) =>
    inserted === undefined ? [] : [inserted.file, ...below(inserted.image)],
  );
  return { kind: 'outcome', step: SEEN_ON, body: { value: { files: [...new Set(files.map(plainName))] } } };
}

/** QEMU before 1.6 tells none of them. */
function below(front: ImageInfo | undefined): readonly string[] {
  return front === undefined ? [] : [front.filename, ...below(front['backing-image'])];
}

/** What the records of one stage say of the disks, by index, whose new images were seen below a device of the guest. */
export interface SeenOn {
  /** At any look since the saga has undone what it had switched. */
  readonly ever: ReadonlySet<number>;
  /** At the last look. */
  readonly last: ReadonlySet<number>;
  /** Those of which an undo has said that neither of their images holds all that the guest wrote. */
  readonly halved: ReadonlySet<number>;
}

/** Of an image that the disk stands on anyway, as the one that a commit merges into, it tells nothing. */
export function seenOn({ disks, operation }: StagePlan, records: readonly JournalRecord[]): SeenOn {
  const [ever, last, halved] = [new Set<number>(), new Set<number>(), new Set<number>()];
  if (operation === 'commit') return { ever, last, halved };
  for (const { kind, step, body } of records) {
    if (kind === 'outcome' && step === SEEN_ON) {
      last.clear();
      const files = member(member(body, 'value'), 'files');
      for (const { index, image } of disks) {
        if (!Array.isArray(files) || !files.includes(plainName(image.file))) continue;
        last.add(index);
        ever.add(index);
      }
    } else if (kind === 'decision') {
      const onImage = member(body, 'onImage');
      for (const { index } of disks)
        if (!Array.isArray(onImage) || !onImage.includes(index)) last.delete(index);
      if (!Array.isArray(onImage)) for (const set of [ever, halved]) set.clear();
    } else if (kind === 'outcome' && step.startsWith(UNDO)) {
      halved.clear();
      const half = disks.find(({ disk }) => disk === refusedOn(body));
      if (half === undefined) continue;
      for (const set of [ever, last, halved]) set.add(half.index);
    }
  }
  return { ever, last, halved };
}

/** The disk for which an undo was refused since a third party has moved it; undefined where it was not. */
function refusedOn(body: Json): string | undefined {
  const error = member(body, 'error') as object | null as ErrorRecord | null;
  return error?.code === 'FOREIGN' ? error.disk : undefined;
}
