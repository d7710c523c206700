/** An image that the next boot would not find, in a sentence, with what to do while QEMU still has its file open. Pure. */
import type { Misnamed } from '../engine/running/misnamed.ts';

export function misnamedInWords({ disk, file, found, identity, unplugged }: Misnamed): string {
  const inode = identity?.split(':')[1];
  const directory = file.slice(0, file.lastIndexOf('/')) || '/';
  const look = inode === undefined ? '' : ` (find ${directory} -xdev -inum ${inode} looks for it)`;
  if (unplugged)
    return `ATTENTION: disk ${disk} was on ${file} when it left the guest, and under that name there is now ${found}. Move the right file back there${look}`;
  return `ATTENTION: the next boot would not find an image of disk ${disk}: under the name ${file} there is now ${found}. Before QEMU ends, move the right file back there${look}, or copy the disk to another image, which also works where the file was removed`;
}

/** The command that brings a disk to another image while its guest runs; null where the disk has left that. */
export function copyAway({ disk, unplugged }: Misnamed): string | null {
  return unplugged ? null : `blocksaga copy --qmp SOCK --disk ${disk},to=NEW`;
}
