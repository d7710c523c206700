/**
 * Whether an administrator who says on which side a guest ran last can have known it: the images of both sides have to stand under their
 * names. A third party's file, or a name that is empty, tells nothing of where a guest ran, and an image that has another name now may be
 * the newest. It only looks.
 */
import { BlocksagaError } from '../../errors.ts';
import { plainName } from '../../guest/graph.ts';
import { isSameFile } from '../../images/file-identity.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import { chainOfImage, filesOfImage } from '../../plan/chain-of-image.ts';
import type { DiskPlan, Plan, StagePlan } from '../../plan/plan.ts';
import { stagesOf } from '../../steps/stages.ts';
import { recordsOfStage } from '../durable/stages.ts';
import { unpluggedOf } from '../durable/unplugged.ts';
import { isReleased } from '../removal/claims.ts';
import { removedFiles } from '../removal/removed-files.ts';
import { type Headers, whyNotIt } from './expect-headers.ts';
import { inodeOf, type Rightful, unknownInWords } from './expect-right-files.ts';
import type { Front, Fronts } from './offline-choices.ts';

/** What is looked at: the saga's disks, and whether its journal is an older copy, which may lack that an image was made at all; and what was said. */
interface Asked {
  readonly plan: Plan;
  readonly records: readonly JournalRecord[];
  readonly isOlder: boolean;
  readonly front: Fronts;
}

/** Throws FILES, with all names that lead elsewhere. */
export async function expectBothSides(
  { plan, records, isOlder, front }: Asked,
  rightful: Rightful,
  at: Headers,
): Promise<void> {
  const { saga, known, accepted } = rightful;
  const left = new Set(unpluggedOf(records).map(({ index }) => index));
  const found = new Map<string, string>();
  let first: string | undefined;
  for (const stage of stagesOf(plan).filter(each => hasSides(each.plan))) {
    const own = recordsOfStage(records, stage.name);
    // QEMU had none of them open any more when they were removed: what has their names since tells nothing of a disk that is said to be on its new image.
    const removed = removedFiles(own);
    for (const disk of stage.plan.disks.filter(({ index }) => !left.has(index))) {
      for (const { file, isNew } of namesOf(disk)) {
        if (accepted.includes(file) || found.has(file)) continue;
        if (removed.has(file) && sideOf(front, disk) === 'new') continue;
        const knew = known.get(file);
        const stands = await at.files.stat(file);
        const led = await whyNotIt(file, rightful, at);
        const isFront = file === plainName(disk.image.file) || file === plainName(disk.file);
        const mayBeGone = isNew && isReleased(disk, own);
        const isMissed = isOlder ? knew !== undefined || isFront : knew !== undefined && isNew;
        const words =
          stands === undefined
            ? isMissed && !mayBeGone && missingInWords(knew)
            : knew === undefined
              ? isOlder && isNew && unprovedInWords(stands.identity)
              : !isSameFile(knew, stands.identity) && replacedInWords(knew, stands.identity);
        if (led !== undefined) found.set(file, `disk ${disk.disk}: ${unknownInWords(file, led)}`);
        else if (words === false) continue;
        else found.set(file, `disk ${disk.disk}: under the name ${file} there is ${words}`);
        first ??= disk.disk;
      }
    }
  }
  if (first === undefined) return;
  const images = [...found.keys()];
  const accepting = images.map(file => `--accept-image ${file}`).join(' ');
  throw new BlocksagaError(
    'FILES',
    `it was said on which images the guest of saga ${saga} ran last, and not all of them are there to tell it: ${[...found.values()].join('; ')}. ` +
      'What stands elsewhere now may be what the guest wrote last. Nothing has been changed. Find such a file (by its size, its time and what ' +
      '"qemu-img info" tells of its backing file, or with "find -inum") and put the right file back, then look again on which images the guest ran, and run this again. Where what stands there ' +
      "is right all the same, such as the saga's own image or a copy from a backup, or nothing there is (an image that the saga had not made yet, or has removed), " +
      `say so, with --front: "blocksaga resume --offline ${saga} ${accepting}"`,
    { saga, disk: first, images },
  );
}

/** Whether a guest can be on the one or on the other image of each disk: not with copies beside them, or a chain that is shortened. */
export function hasSides(plan: StagePlan): boolean {
  return !('rewrites' in plan) && !(plan.operation === 'copy' && plan.strategy === null);
}

/** What was said of that disk; whether that was said of each is asked elsewhere. */
function sideOf(front: Fronts, { disk }: DiskPlan): Front | undefined {
  return typeof front === 'string' ? front : front[disk];
}

/** Names of files, of the chains of both sides. */
function namesOf(disk: DiskPlan): readonly { readonly file: string; readonly isNew: boolean }[] {
  const sides = [...disk.chain, ...chainOfImage(disk)].filter(({ unnameable }) => unnameable === undefined);
  const names = sides.flatMap(filesOfImage).map(plainName);
  return [...new Set(names)]
    .filter(file => file.startsWith('/'))
    .map(file => ({ file, isNew: file === plainName(disk.image.file) }));
}

function missingInWords(knew: string | undefined): string {
  if (knew !== undefined) return `nothing any more, where ${inodeOf(knew)} was`;
  return 'nothing, and the journal, an older copy, may lack that there was';
}

function unprovedInWords(stands: string): string {
  return `${inodeOf(stands)}, which could not be proved to be the saga's: the journal, an older copy, does not know which file that had made there`;
}

function replacedInWords(knew: string, stands: string): string {
  return `${inodeOf(stands)} now, another file than ${inodeOf(knew)}, which the saga knew there`;
}
