/**
 * The host's disk as the engine sees it: the same questions and acts as on a real one, and nothing more. Its identities
 * are inode numbers, so a file that was replaced is not taken for the old one.
 */

import { BlocksagaError } from '../errors.ts';
import { BLANK, directoryOf, type Host } from './host.ts';
import { fileLength } from './image-io.ts';

/** The engine's `Files` port over the virtual directory, and what tests like to know. */
export interface VirtualFiles {
  stat(path: string): Promise<{ kind: 'file'; sizeBytes: number; identity: string } | undefined>;
  createExclusive(path: string, like: string): Promise<string>;
  unlink(path: string, identity: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  imageInfo(
    path: string,
    driver: string,
  ): Promise<{ virtualSizeBytes: number; backing: { file: string; driver: string | null } | null }>;
  exists(path: string): boolean;
  /** All files, sorted. */
  list(): readonly string[];
}

export function virtualFiles(host: Host): VirtualFiles {
  return {
    async stat(path) {
      const file = host.files.get(path);
      if (file === undefined) return undefined;
      return { kind: 'file', sizeBytes: fileLength(file.written), identity: `sim:${file.inode}` };
    },
    async createExclusive(path) {
      if (host.files.has(path)) throw new BlocksagaError('TARGET_EXISTS', `${path} exists already`);
      if (!host.directories.has(directoryOf(path))) {
        throw new BlocksagaError('FILES', `cannot create ${path}: no such directory`);
      }
      host.write(path, BLANK);
      return `sim:${host.files.get(path)?.inode ?? 0}`;
    },
    async unlink(path, identity) {
      const file = host.files.get(path);
      if (file !== undefined && `sim:${file.inode}` === identity) host.unlink(path);
    },
    async syncDirectory(path) {
      host.syncDirectory(host.directories.has(path) ? path : directoryOf(path));
    },
    async imageInfo(path, driver) {
      const image = host.image(path);
      if (image === undefined) throw new BlocksagaError('FILES', `cannot read ${path}: no such file`);
      if (driver === 'raw') return { virtualSizeBytes: fileLength(image), backing: null };
      if (image.format !== driver) throw new BlocksagaError('FILES', `${path} is not in ${driver} format`);
      const backing =
        image.backing === undefined ? null : { file: image.backing, driver: image.backingFormat ?? null };
      return { virtualSizeBytes: image.sizeBytes, backing };
    },
    exists: path => host.files.has(path),
    list: () => [...host.files.keys()].sort(),
  };
}
