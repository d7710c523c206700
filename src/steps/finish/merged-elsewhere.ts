/**
 * What stays, and is named, where another file stood under the name of an image while QEMU merged into that: which of the two QEMU
 * opened is not known. It removes nothing.
 */
import { plainName } from '../../guest/graph.ts';
import type { Files } from '../../images/files.ts';
import { filesOfImage, leavingImages } from '../../plan/chain-of-image.ts';
import type { Plan } from '../../plan/plan.ts';

/** Those of which it is not known by now that QEMU has the one open that stands under the name. */
export async function stillInDoubt(
  noted: ReadonlySet<string>,
  files: Files | null,
): Promise<readonly string[]> {
  const open = noted.size === 0 ? undefined : await files?.openInQemu?.();
  const doubted: string[] = [];
  for (const file of noted) {
    const stands = await files?.stat(file);
    if (stands === undefined || open?.has(stands.identity) !== true) doubted.push(file);
  }
  return doubted;
}

/** The files that leave the chain of a disk, each with the image that another file may have been merged into instead of. */
export function mergedIntoDoubt(
  { disks }: Pick<Plan, 'disks'>,
  doubted: readonly string[],
): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const disk of disks) {
    const file = disk.chain
      .flatMap(filesOfImage)
      .map(plainName)
      .find(name => doubted.includes(name));
    if (file === undefined) continue;
    for (const name of leavingImages(disk).flatMap(filesOfImage)) found.set(plainName(name), file);
  }
  return found;
}

/** Why such a file stays. */
export function mayBeMissing(file: string): string {
  return `another file stood under the name ${file} while this was merged, which QEMU may have merged it into instead: what it holds may be nowhere else that a boot reads`;
}

/** The image itself, for who is to look at it; `qemuLives`: whether QEMU reads still what it has merged. */
export function maybeNotMerged(file: string, qemuLives: boolean): string {
  const remedy = qemuLives
    ? 'before QEMU ends, see to it that what it reads is under this name, or copy the disk to another image'
    : 'see to it that the one with what was merged is under this name before the guest is started';
  return `${file} (another file stood under this name while QEMU merged into it, and it could not be proved which of the two QEMU opened: ${remedy})`;
}
