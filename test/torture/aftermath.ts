/**
 * After the death of a QEMU: which images the guest is to boot from, by the rules of ARCHITECTURE.md, and whether they
 * hold what the guest was told was done. It boots a new guest on them; it changes nothing but by that.
 */
import { stat } from 'node:fs/promises';
import type { GuestImage } from '../../src/demo/guest-images.ts';
import { type GuestVm, type GuestVmOptions, startGuestVm } from '../../src/demo/guest-vm.ts';
import { checkCut, readCut } from '../../src/demo/ordered-cut.ts';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import type { Journal } from '../../src/index.ts';
import { judgeImages } from './judge.ts';
import type { Operation } from './operations.ts';

const WRITES_AFTERWARDS = 12;

/** What the journal says of the set as a whole. */
export function decided(journal: Journal, id: string, { front }: Operation): 'old' | 'new' {
  const row = journal.saga(id);
  if (row === undefined || row.state === 'rolledBack') return 'old';
  if (row.state === 'committed') return front;
  const decision = journal.records(id).findLast(record => record.kind === 'decision')?.body;
  const forward =
    typeof decision === 'object' &&
    decision !== null &&
    'verdict' in decision &&
    decision.verdict === 'forward';
  return forward ? front : 'old';
}

/** The images to boot from. An overlay that is missing or cannot be read never held a flushed write: its base does. */
export async function imagesToBoot(
  vm: GuestVm,
  { request }: Operation,
  side: 'old' | 'new',
  files: readonly string[],
): Promise<readonly GuestImage[]> {
  const images: GuestImage[] = [];
  for (const [disk, { file: old, format }] of vm.disks.entries()) {
    const file = files[disk];
    if (side === 'old' || file === undefined) images.push({ file: old, format });
    else if (request.operation === 'copy') images.push({ file, format: 'qcow2' });
    else if (await isImage(file)) images.push({ file, format: 'qcow2', base: old });
    else images.push({ file: old, format });
  }
  return images;
}

async function isImage(file: string): Promise<boolean> {
  try {
    await qemuImg('info', '-f', 'qcow2', '--', file);
    return true;
  } catch {
    return false; // missing, empty, or half made
  }
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
