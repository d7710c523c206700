/**
 * Which versions of QEMU can stand side by side in `.qemu/`, which suite of Debian has each, and where a fetched one is.
 * It only looks; `fetch-qemu.ts` fetches.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Each version with the suites that have it; the last one is where QEMU itself comes from. */
export const QEMU_SUITES = {
  '5.2': ['bullseye'],
  '7.2': ['bookworm'],
  '10.0': ['trixie'],
  '11.1': ['trixie', 'trixie-backports'],
} as const satisfies Record<string, readonly string[]>;

export type QemuVersion = keyof typeof QEMU_SUITES;

/** All of them, oldest first. */
export const QEMU_VERSIONS = Object.keys(QEMU_SUITES) as QemuVersion[];

/** The folder that holds the fetched versions; git does not see it. */
export const QEMU_FOLDER = fileURLToPath(new URL('../.qemu', import.meta.url));

/** The programs of a fetched version, for `QEMU_BINARY` and `QEMU_IMG`. */
export interface FetchedQemu {
  readonly version: QemuVersion;
  readonly binary: string;
  readonly img: string;
  readonly daemon: string;
}

/** Where a version is, or will be. */
export function placeOf(version: QemuVersion, folder = join(QEMU_FOLDER, version)): FetchedQemu {
  const place = (program: string) => join(folder, program);
  return {
    version,
    binary: place('qemu-system-x86_64'),
    img: place('qemu-img'),
    daemon: place('qemu-storage-daemon'),
  };
}

/** The versions that have been fetched, oldest first. */
export function fetchedQemus(): readonly FetchedQemu[] {
  return QEMU_VERSIONS.map(version => placeOf(version)).filter(({ binary }) => existsSync(binary));
}
