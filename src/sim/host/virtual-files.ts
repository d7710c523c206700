/**
 * The host's disk as the engine sees it: the same questions and acts as on a real one, and nothing more. Its identities
 * are inode numbers with the time of birth, so a file that was replaced is not taken for the old one.
 */

import { BlocksagaError } from '../../errors.ts';
import { filesNamedIn, plainNameIn } from '../../images/backing-name.ts';
import { unfinishedName } from '../../images/claim-text.ts';
import type { ImageFacts } from '../../images/files.ts';
import { BLANK, directoryOf, fileLength, type Host, type HostFile } from './host.ts';

/** The engine's `Files` port over the virtual directory, and what tests like to know. */
export interface VirtualFiles {
  stat(
    path: string,
  ): Promise<{ kind: 'file' | 'other'; sizeBytes: number; identity: string; claim?: string } | undefined>;
  createExclusive(path: string, like: string, claim: string): Promise<string>;
  removeUnfinished(path: string, claim: string): Promise<void>;
  unlink(path: string, identity: string): Promise<void>;
  findMoved(
    path: string,
    sought: { readonly identity: string } | { readonly claim: string },
  ): Promise<{ file: string; identity: string } | undefined>;
  syncDirectory(path: string): Promise<void>;
  overlaysIn(directory: string, sinceMs: number): Promise<VirtualOverlays>;
  imageInfo(path: string, driver: string): Promise<ImageFacts>;
  exists(path: string): boolean;
  /** All files, sorted. */
  list(): readonly string[];
}

interface VirtualOverlays {
  readonly overlays: readonly {
    readonly file: string;
    readonly driver: string;
    readonly backing: readonly string[];
    readonly hasDataFile: false;
    readonly writtenAtMs: number;
  }[];
  readonly unseen: null;
}

/** `device` is what its identities begin with: another host's files are others whatever their numbers. */
export function virtualFiles(host: Host, device = 'sim'): VirtualFiles {
  const identityOf = (file: HostFile | undefined) => identityOn(device, file);
  return {
    async stat(path) {
      const file = host.files.get(path);
      if (host.directories.has(path)) return { kind: 'other', sizeBytes: 0, identity: path };
      if (file === undefined) return undefined;
      const { claim } = file.written;
      const facts = {
        kind: 'file',
        sizeBytes: fileLength(file.written),
        identity: identityOf(file),
      } as const;
      return claim === undefined ? facts : { ...facts, claim };
    },
    async createExclusive(path, _like, claim) {
      if (host.files.has(path)) throw new BlocksagaError('TARGET_EXISTS', `${path} exists already`);
      if (!host.directories.has(directoryOf(path))) {
        throw new BlocksagaError('FILES', `cannot create ${path}: no such directory`);
      }
      const unfinished = unfinishedBeside(path, claim);
      await this.removeUnfinished(path, claim);
      if (host.files.has(unfinished)) throw new BlocksagaError('TARGET_EXISTS', `${unfinished} is not ours`);
      host.write(unfinished, { ...BLANK, claim });
      host.flush(unfinished);
      host.rename(unfinished, path);
      return identityOf(host.files.get(path));
    },
    async removeUnfinished(path, claim) {
      const unfinished = unfinishedBeside(path, claim);
      const found = host.files.get(unfinished)?.written;
      const isOurs = found?.claim === claim || (found?.claim === undefined && found?.sizeBytes === 0);
      if (!isOurs) return;
      host.unlink(unfinished);
      host.syncDirectory(directoryOf(path));
    },
    async unlink(path, identity) {
      const file = host.files.get(path);
      if (file !== undefined && identityOf(file) === identity) host.unlink(path);
    },
    async findMoved(path, sought) {
      const isSought = (file: HostFile) =>
        'claim' in sought ? file.written.claim === sought.claim : identityOf(file) === sought.identity;
      for (const [name, file] of host.files) {
        if ('claim' in sought && name === unfinishedBeside(path, sought.claim)) continue;
        if (name === path || directoryOf(name) !== directoryOf(path) || !isSought(file)) continue;
        return { file: name, identity: identityOf(file) };
      }
      return undefined;
    },
    async syncDirectory(path) {
      host.syncDirectory(host.directories.has(path) ? path : directoryOf(path));
    },
    async overlaysIn(directory, sinceMs) {
      const overlays = [...host.files].flatMap(([file, { written, writtenAt }]) => {
        const { format, backing, claim } = written;
        const isOverlay = claim === undefined && format === 'qcow2' && backing !== undefined;
        if (!isOverlay || directoryOf(file) !== directory || writtenAt < sinceMs) return [];
        const [driver, hasDataFile] = ['qcow2', false] as const;
        return [{ file, driver, backing: filesNamedIn(backing), hasDataFile, writtenAtMs: writtenAt }];
      });
      return { overlays, unseen: null };
    },
    async imageInfo(path, driver) {
      const image = host.image(path);
      if (image === undefined) throw new BlocksagaError('FILES', `cannot read ${path}: no such file`);
      if (driver === 'raw') return { virtualSizeBytes: fileLength(image), backing: null };
      if (image.format !== driver) throw new BlocksagaError('FILES', `${path} is not in ${driver} format`);
      const driverBelow = image.backingFormat ?? null;
      const backing =
        image.backing === undefined
          ? null
          : { file: plainNameIn(image.backing, driverBelow), driver: driverBelow };
      return { virtualSizeBytes: image.sizeBytes, encrypted: image.passphrase !== undefined, backing };
    },
    exists: path => host.files.has(path),
    list: () => [...host.files.keys()].sort(),
  };
}

function unfinishedBeside(path: string, claim: string): string {
  return `${path.slice(0, path.lastIndexOf('/') + 1)}${unfinishedName(claim)}`;
}

/** As `stat` gives it. */
export function identityOf(file: HostFile | undefined): string {
  return identityOn('sim', file);
}

function identityOn(device: string, file: HostFile | undefined): string {
  return `${device}:${file?.inode ?? 0}:${file?.birth ?? 0}`;
}
