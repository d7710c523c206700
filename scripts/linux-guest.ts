/**
 * Where the small Linux guest is that has Debian's guest agent in it, once `fetch-linux-guest.ts` has put it together. It only looks.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { QEMU_FOLDER } from './qemu-versions.ts';

/** The guest's parts; `toolsRoot` holds programs that look at its file systems, below `usr/sbin`. */
export interface LinuxGuestFiles {
  readonly kernel: string;
  readonly initrd: string;
  readonly toolsRoot: string;
}

export const LINUX_GUEST_FOLDER = join(QEMU_FOLDER, 'linux-guest');

export function linuxGuestFiles(folder = LINUX_GUEST_FOLDER): LinuxGuestFiles {
  return { kernel: join(folder, 'vmlinuz'), initrd: join(folder, 'initrd'), toolsRoot: join(folder, 'root') };
}

/** undefined where it has not been fetched. */
export function linuxGuestAtHand(): LinuxGuestFiles | undefined {
  const files = linuxGuestFiles();
  return existsSync(files.initrd) ? files : undefined;
}
