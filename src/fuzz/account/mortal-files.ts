/**
 * The `Files` port as one process of the orchestrator has it: nothing passes once that is dead. It tells what is
 * touched.
 */
import type { Files } from '../../images/files.ts';

export function mortalFiles(
  files: Files,
  whileAlive: <T>(act: () => Promise<T>) => Promise<T>,
  passage: {
    fileTouched(what: 'create' | 'unlink', path: string, identity?: string): void;
    fileLooked(path: string): void;
  },
): Files {
  const { openInQemu, isShared, findMoved, overlaysIn, removeUnfinished } = files;
  return {
    stat: path =>
      whileAlive(() => {
        passage.fileLooked(path);
        return files.stat(path);
      }),
    imageInfo: (path, driver) => whileAlive(() => files.imageInfo(path, driver)),
    createExclusive: (path, like, claim) =>
      whileAlive(() => {
        passage.fileTouched('create', path);
        return files.createExclusive(path, like, claim);
      }),
    unlink: (path, identity) =>
      whileAlive(() => {
        passage.fileTouched('unlink', path, identity);
        return files.unlink(path, identity);
      }),
    syncDirectory: path => whileAlive(() => files.syncDirectory(path)),
    ...(openInQemu === undefined ? {} : { openInQemu: () => whileAlive(openInQemu) }),
    ...(removeUnfinished && {
      removeUnfinished: (path, claim) => whileAlive(() => removeUnfinished(path, claim)),
    }),
    ...(findMoved && { findMoved: (path, sought) => whileAlive(() => findMoved(path, sought)) }),
    ...(overlaysIn && {
      overlaysIn: (directory, sinceMs) => whileAlive(() => overlaysIn(directory, sinceMs)),
    }),
    ...(isShared === undefined ? {} : { isShared: path => whileAlive(() => isShared(path)) }),
  };
}
