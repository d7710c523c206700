/**
 * Judges what a saga among third parties left: by a monitor that blocksaga does not use, by the files, and by the ordered
 * writer's counters in every image. What a third party may have brought about by itself is in one table with its reason;
 * what is lost is never excused. Changes nothing but that the guest is paused while it reads.
 */
import type { GuestVm } from '../../src/demo/guest-vm.ts';
import { checkCut, missingWrites, readCut } from '../../src/demo/ordered-cut.ts';
import type { Json } from '../../src/qmp/transport.ts';
import { type Ended, endingsOf } from './endings.ts';
import { type Heard, outcomeOf, why } from './lives.ts';
import type { Operation } from './operation.ts';
import type { Place } from './orders.ts';
import { filesIn, lookAround, type Outside } from './outside.ts';
import type { Round } from './rounds.ts';

/** What a round is about. */
export interface ThirdPartyCase {
  readonly operation: Operation;
  readonly before: Outside;
  readonly place: Place;
  readonly round: Round;
  /** What QEMU said to the third party. */
  readonly answers: readonly Json[];
  /** QEMU has opened a third party's file by the name of an image, as the result says: what the guest wrote since is in that. */
  isReadFromTheirs?: boolean;
  /** While QEMU lived a disk was on an overlay that stands on nothing, where that party had set it. */
  wasOnUnheld?: boolean;
  /** While QEMU lived a disk was on another side than the others, where that party had set it: a recovery boots one side of all. */
  wasSetApart?: boolean;
}

/**
 * `guest`: whether it runs is that party's choice. `chain`: the disk that it is about stands on what that party has put
 * there. `end`: the saga waits until that party lets go. `left`: what it holds can be neither closed nor removed.
 */
type Blame = 'guest' | 'chain' | 'end' | 'left';

/** What a command may bring about by itself where QEMU has taken it, and why. */
const BLAMED: Readonly<Record<string, { readonly for: readonly Blame[]; readonly reason: string }>> = {
  stop: { for: ['guest'], reason: 'who pauses a guest wants it paused' },
  cont: { for: ['guest', 'end'], reason: 'a guest that was resumed on some new images cannot be taken back' },
  quit: { for: ['guest'], reason: 'there is no guest any more' },
  device_del: { for: ['guest', 'chain'], reason: 'its device goes when the guest lets it' },
  eject: { for: ['chain'], reason: 'its medium is gone' },
  'qom-set': { for: ['chain', 'end'], reason: 'the drive of the device is what that party set' },
  'blockdev-reopen': { for: ['chain', 'end'], reason: 'the filter points where that party set it' },
  'blockdev-snapshot': { for: ['chain', 'end', 'left'], reason: 'an overlay of theirs is in front' },
  'blockdev-snapshot-sync': { for: ['chain', 'end', 'left'], reason: 'an overlay of theirs is in front' },
  block_resize: { for: ['end'], reason: 'the disk has another size than its target' },
  'block_resize image': { for: ['end'], reason: 'the target has another size than its disk' },
  'nbd-server-start, block-export-add': {
    for: ['end', 'left'],
    reason: 'QEMU does not close what is exported',
  },
  'block-export-add': { for: ['end', 'left'], reason: 'QEMU does not close what is exported' },
};

function isBlamed({ round, answers }: ThirdPartyCase, blame: Blame): boolean {
  const taken = answers.some(answer => typeof answer === 'object' && answer !== null && 'return' in answer);
  return taken && (BLAMED[round.foreign?.command ?? '']?.for.includes(blame) ?? false);
}

/** All that is wrong while QEMU lives. */
export async function judgeAmongThirdParties(
  vm: GuestVm,
  of: ThirdPartyCase,
  last: Heard,
): Promise<string[]> {
  const { operation, before, place, round } = of;
  const outcome = outcomeOf(last);
  const now = await lookAround(vm);
  const wrong: string[] = [];
  const isEnded = outcome === 'committed' || outcome === 'rolledBack' || outcome === 'untouched';
  if (!isEnded && !isBlamed(of, 'end')) wrong.push(`I6: the saga ends ${outcome}: ${why(last)}`);
  if (now.status !== before.status && !isBlamed(of, 'guest')) {
    wrong.push(`I5: the guest was ${before.status} and is ${now.status}`);
  }
  if (isEnded) {
    const [expected] = endingsOf(operation, outcome satisfies Ended, before.chains, place.files);
    const blamed = isBlamed(of, 'chain') ? round.foreign?.disk : undefined;
    for (const [disk, [file]] of expected.chains.entries()) {
      const found = now.chains[disk]?.[0];
      if (found === file || disk === blamed) continue;
      wrong.push(`I1: ${outcome}, but disk ${disk} is on ${found}, not on ${file}`);
    }
    if (!isBlamed(of, 'left')) wrong.push(...leftBehind(of, now, last));
  }
  await vm.witness.execute('stop');
  try {
    of.wasOnUnheld = !isEnded && isOnUnheld(of, now);
    of.wasSetApart = !isEnded && isSetApart(of, now);
    const fronts = now.chains.map(([front = '']) => front);
    wrong.push(
      ...(of.wasOnUnheld
        ? await judgeTogether(of, fronts, vm.acknowledged())
        : await judgeCounters(of, fronts, now.files, vm.acknowledged())),
    );
  } finally {
    if (now.status === 'running') await vm.witness.execute('cont');
  }
  return wrong;
}

/** I4: jobs, objects and files that the result does not name. */
function leftBehind({ before, operation, place }: ThirdPartyCase, now: Outside, last: Heard): string[] {
  if (last.says !== 'result') return [];
  const { outcome, leftovers } = last.result;
  if (outcome !== 'committed' && outcome !== 'rolledBack') return [];
  const [{ made, gone, allowed }] = endingsOf(operation, outcome, before.chains, place.files);
  const known = new Set([...before.files.filter(file => !gone.includes(file)), ...made, ...allowed]);
  const isTold = (name: string) => leftovers.some(words => words.includes(name));
  return [
    ...now.jobs.filter(job => !isTold(job)).map(job => `I4: the job ${job} is left, and not named`),
    ...now.objects
      .filter(name => !before.objects.includes(name) && !isTold(name))
      .map(name => `I4: the object ${name} is left, and not named`),
    ...now.files
      .filter(file => !known.has(file) && !isTold(file) && !file.includes('-theirs'))
      .map(file => `I4: the file ${file} is left, and not named`),
  ];
}

/**
 * Whether a third party has moved a disk onto an overlay that stands on nothing yet: what the guest writes there is on no image that
 * holds the rest, and a part of a cluster is filled up with zeros. The saga says that it cannot end.
 */
function isOnUnheld(of: ThirdPartyCase, { chains }: Outside): boolean {
  const { round, place, operation } = of;
  const chain = chains[round.foreign?.disk ?? -1] ?? [];
  const isTheirs = round.foreign?.command === 'qom-set' && isBlamed(of, 'chain');
  const isOverlay = operation.request.operation === 'snapshot' && chain.length === 1;
  return isTheirs && isOverlay && place.files.includes(chain[0] ?? '');
}

/** Whether a third party has set the drive of a disk to its old image with others on the new ones, or the other way round. */
function isSetApart(of: ThirdPartyCase, { chains }: Outside): boolean {
  const { round, place } = of;
  if (round.foreign?.command !== 'qom-set' || !isBlamed(of, 'chain')) return false;
  const areNew = chains.map(([front = '']) => place.files.includes(front));
  return areNew.some(isNew => isNew !== areNew[round.foreign?.disk ?? -1]);
}

/** I3 of the images in front and those that were there before: each write is in the ones or in the others. */
async function judgeTogether(
  of: ThirdPartyCase,
  fronts: readonly string[],
  acknowledged: number,
): Promise<string[]> {
  const lackedBy = async (images: readonly string[]) =>
    missingWrites(
      await readCut(
        images.map(file => ({ file })),
        { shared: true },
      ),
      acknowledged,
    );
  const lacked = new Set(await lackedBy(of.place.fronts));
  const lost = (await lackedBy(fronts)).filter(each => lacked.has(each));
  return lost.length === 0
    ? []
    : [`I3: ${lost.length} writes are in no image, the first is ${lost[0]} of ${acknowledged}`];
}

/**
 * The same of a guest whose QEMU is gone, and of the images that are named to be booted from. Those that a person has chosen where a disk
 * was on an overlay that stood on nothing lack what the other ones hold, which are kept.
 */
export async function judgeImagesLeft(
  vm: GuestVm,
  of: ThirdPartyCase,
  fronts: readonly string[],
): Promise<string[]> {
  if (of.wasOnUnheld || of.wasSetApart) return judgeTogether(of, fronts, vm.acknowledged());
  return judgeCounters(of, fronts, await filesIn(vm.directory), vm.acknowledged());
}

async function judgeCounters(
  { operation, isReadFromTheirs }: ThirdPartyCase,
  fronts: readonly string[],
  files: readonly string[],
  acknowledged: number,
): Promise<string[]> {
  // What was reverted shows an earlier moment: there its own judge looks.
  if (operation.request.operation === 'revert' || isReadFromTheirs) return [];
  const gone = fronts.find(file => !files.includes(file));
  if (gone !== undefined) return [`I3: ${gone} is in front of a disk, and not among the files`];
  const cut = await readCut(
    fronts.map(file => ({ file })),
    { shared: true },
  );
  const { consistent, why: reason } = checkCut(cut);
  const missing = missingWrites(cut, acknowledged);
  return [
    ...(consistent ? [] : [`I2: the images in front are no instant: ${reason}`]),
    ...(missing.length === 0
      ? []
      : [
          `I3: the images in front lack ${missing.length} writes, the first is ${missing[0]} of ${acknowledged}`,
        ]),
  ];
}
