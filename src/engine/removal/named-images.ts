/**
 * Images that sagas of the journal have a part in while they have not ended, and what may therefore not be merged, or
 * removed, by another one. It removes files only when it is told to, each by its identity.
 */
import { BlocksagaError } from '../../errors.ts';
import { type Files, removeFile } from '../../images/files.ts';
import type { ImageSight, Images } from '../../images/images.ts';
import { overlaysOn, stoodOnBy } from '../../images/overlays-on.ts';
import { meet, type Place } from '../../images/places.ts';
import type { Journal, SagaRow } from '../../journal/journal.ts';
import type { OfflineCommitPlan, OfflineMerge } from '../../operations/plan-commit-offline.ts';
import { imagesOfDisk } from '../../plan/chain-of-image.ts';
import type { DiskPlan, Plan } from '../../plan/plan.ts';
import { HOLDS_SNAPSHOTS, readBy } from '../../steps/finish/kept-below.ts';
import { stagesOf } from '../../steps/stages.ts';
import { planOf } from '../durable/checked-journal.ts';

/** By file and by identity, the saga that has a part in it. */
export type NamedImages = ReadonlyMap<string, string>;

/** What all sagas but this one name that have not ended. */
export async function namedBySagas(journal: Journal, id: string, files: Files): Promise<NamedImages> {
  const named = new Map<string, string>();
  for (const row of unendedBut(journal, id)) {
    for (const disk of planOf(row).disks) {
      for (const file of filesOf(disk)) named.set(file, row.id);
    }
  }
  for (const [file, saga] of [...named]) {
    const identity = file.startsWith('/') ? (await files.stat(file))?.identity : undefined;
    if (identity !== undefined) named.set(identity, saga);
  }
  return named;
}

/**
 * The plan, or throws TARGET_IN_USE when a new image of it is, under whatever name, an image in which a saga that has not ended has
 * a part: of another guest, or of one that is gone. Chains may be shared; what is written to may not.
 */
export async function freeOfSagas<P extends Plan>(
  journal: Journal,
  id: string,
  files: Files | null,
  planned: Promise<P>,
): Promise<P> {
  const plan = await planned;
  const places = new Map<string, Promise<Place | undefined>>();
  const placeOf = (file: string) => {
    const known = places.get(file) ?? files?.place?.(file) ?? Promise.resolve(undefined);
    places.set(file, known);
    return known;
  };
  // A saga makes its files exclusively, so no other saga can have a part in them.
  const isOfChain = plan.operation === 'commit' || plan.operation === 'pull';
  const targets = isOfChain
    ? []
    : stagesOf(plan).flatMap(stage => stage.plan.disks.filter(({ image }) => !image.create));
  if (targets.length === 0) return plan;
  for (const row of unendedBut(journal, id)) {
    const theirs = new Set(stagesOf(planOf(row)).flatMap(stage => stage.plan.disks.flatMap(filesOf)));
    for (const { disk, image } of targets) {
      for (const file of theirs) {
        const [place, other] = [await placeOf(image.file), await placeOf(file)];
        const isSame =
          file === image.file || (place !== undefined && other !== undefined && meet(place, other));
        if (!isSame) continue;
        throw new BlocksagaError(
          'TARGET_IN_USE',
          `disk ${disk}: saga ${row.id} has not ended and has a part in ${file}${file === image.file ? '' : `, which is ${image.file} too`}: see "blocksaga show ${row.id}"`,
          { disk },
        );
      }
    }
  }
  return plan;
}

/** Throws VM_BUSY when another saga that has not ended names an image of these chains. */
export async function refuseNamed(
  journal: Journal,
  id: string,
  { disks }: Pick<OfflineCommitPlan, 'disks'>,
  files: Files,
): Promise<void> {
  const named = await namedBySagas(journal, id, files);
  for (const disk of disks) {
    for (const file of filesOf(disk)) {
      const saga = named.get(file) ?? named.get((await files.stat(file))?.identity ?? '');
      if (saga === undefined) continue;
      throw new BlocksagaError(
        'VM_BUSY',
        `disk ${disk.disk}: saga ${saga} has not ended and has a part in ${file}: see "blocksaga show ${saga}"`,
        { disk: disk.disk, saga },
      );
    }
  }
}

async function whyStoodOn(disk: DiskPlan, file: string, files: Files): Promise<string | undefined> {
  const [overlay] = await overlaysOn(files, file, new Set(imagesOfDisk(disk)));
  return overlay === undefined ? undefined : stoodOnBy(overlay);
}

/** Removes the files that have left one disk's chain; gives those that stay, in words where the reason is not plain. */
export async function leavingKept(
  { disk, merge }: { readonly disk: DiskPlan; readonly merge: OfflineMerge },
  written: boolean,
  named: NamedImages,
  { files, images }: { readonly files: Files; readonly images: Images },
): Promise<readonly string[]> {
  const kept: string[] = [];
  let above: string | undefined;
  for (const [at, image] of disk.chain.slice(merge.top, merge.base).entries()) {
    const { file } = image;
    const identity = merge.leaving[at] ?? '';
    const sight = await images.look(image);
    const saga = named.get(file) ?? named.get(identity);
    const why = written
      ? 'another program wrote to it after it had been merged: what was written is in it only'
      : saga !== undefined
        ? `saga ${saga} has a part in it`
        : (whyNeeded(sight) ??
          (above === undefined ? undefined : readBy(above)) ??
          (await whyStoodOn(disk, file, files)));
    if (why !== undefined) {
      kept.push(`${file} (${why})`);
      above ??= file;
      continue;
    }
    await removeFile(files, file, identity);
    if ((await files.stat(file)) !== undefined) kept.push(file);
    else if (sight.state === 'readable' && sight.dataFile !== undefined)
      kept.push(`${sight.dataFile} (it has the data of ${file}, which is removed: remove it too)`);
  }
  return kept;
}

function whyNeeded(sight: ImageSight): string | undefined {
  if (sight.state === 'inUse') return 'another program has it open';
  return sight.state === 'readable' && sight.snapshots !== undefined ? HOLDS_SNAPSHOTS : undefined;
}

function filesOf({ file, chain, image }: DiskPlan): readonly string[] {
  const below = [...chain, ...(image.backing === null ? [] : [image.backing]), ...image.below];
  return [file, image.file, ...below.map(each => each.file)];
}

/** The others that have not ended; a journal may have many thousands that have, which are not read. */
function unendedBut(journal: Journal, id: string): readonly SagaRow[] {
  const rows = [...journal.sagas({ state: 'open' }), ...journal.sagas({ state: 'needsRecovery' })];
  return rows.filter(row => row.id !== id);
}
