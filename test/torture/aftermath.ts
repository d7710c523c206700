/**
 * After the death of a QEMU: the images that the offline recovery names, or that a saga which had ended before left in
 * front, are on one side, hold what the guest was told was done, and boot. It changes nothing but by that boot.
 */
import { stat } from 'node:fs/promises';
import type { GuestImage } from '../../src/demo/guest-images.ts';
import { type GuestVm, type GuestVmOptions, startGuestVm } from '../../src/demo/guest-vm.ts';
import { checkCut, readCut } from '../../src/demo/ordered-cut.ts';
import type { SagaResult } from '../../src/index.ts';
import { filesIn, judgeImages, type Outside } from './judge.ts';
import type { Operation } from './operations.ts';

const WRITES_AFTERWARDS = 12;

/** The files in front, by disk, for a saga that has ended so; of one that never was, the old ones. */
export function frontsOf(
  { front }: Operation,
  outcome: string,
  disks: GuestVm['disks'],
  files: readonly string[],
): readonly string[] {
  if (outcome === 'committed' && front === 'new') return files;
  return disks.map(({ file, base }) => (outcome === 'committed' && front === 'base' ? (base ?? '') : file));
}

/** I1 and I4 of a recovery: it names one side for all disks, the side of its outcome, and leaves nothing else. */
export async function judgeRecovery(
  vm: GuestVm,
  operation: Operation,
  before: Outside,
  result: SagaResult,
  files: readonly string[],
): Promise<string[]> {
  const { outcome, boot = [], leftovers } = result;
  const fronts = frontsOf(operation, outcome, vm.disks, files);
  const named = boot.map(image => image.file);
  const kept = outcome === 'committed' && operation.front !== 'base' ? files : [];
  const expected = new Set([...before.files, ...kept]);
  const there = await filesIn(vm.directory);
  const left = there.filter(file => !expected.has(file) && !leftovers.some(words => words.includes(file)));
  return [
    ...(outcome === 'committed' || outcome === 'rolledBack' ? [] : [`I6: the recovery ends ${outcome}`]),
    ...(JSON.stringify(named) === JSON.stringify(fronts)
      ? []
      : [`I1: ${outcome}, but to boot from are ${named.join(', ')}`]),
    ...left.map(file => `I4: the file ${file} is left`),
    ...leftovers.map(words => `I4: the recovery leaves ${words}`),
  ];
}

/** I3 and the second half of I6: nothing is gone, and the images boot, as one instant that has every acknowledged write. */
export async function judgeDead(
  vm: GuestVm,
  guest: Partial<GuestVmOptions>,
  images: readonly GuestImage[],
): Promise<string[]> {
  const wrong: string[] = [];
  for (const { file } of vm.disks) {
    const there = await stat(file).then(
      () => true,
      () => false,
    );
    if (!there) wrong.push(`I3: ${file}, on which the guest was, is gone`);
  }
  wrong.push(...(await judgeImages('the images to boot from', images, vm.acknowledged())));
  if (wrong.length > 0) return wrong;

  const { upTo } = checkCut(await readCut(images));
  try {
    await using again = await startGuestVm({
      ...guest,
      disks: images.length,
      images,
      firstSequence: upTo + 1,
    });
    await again.awaitWrites(WRITES_AFTERWARDS);
    await again.kill();
    wrong.push(...(await judgeImages('the images, after a new boot', images, again.acknowledged())));
  } catch (error) {
    wrong.push(`I6: the images do not boot: ${String(error)}`);
  }
  return wrong;
}
