/**
 * Whether there is a journal. One that does not exist is an empty one to who only reads; one that cannot be looked at may
 * hold every saga of this machine, and is never taken for empty. It opens and makes nothing.
 */

import { lstatSync, type Stats, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { BlocksagaError } from '../errors.ts';

/** False when nothing has that name. Throws `JOURNAL`, with what to do, when that cannot be told, or it is no file. */
export function isJournalThere(file: string): boolean {
  const path = resolve(file);
  const found = look(path, () => statSync(path, { throwIfNoEntry: false }));
  if (found !== undefined) return expectFile(path, found);
  const itself = look(path, () => lstatSync(path, { throwIfNoEntry: false }));
  if (itself === undefined) return false;
  if (itself.isSymbolicLink())
    throw noFile(path, 'is a link that leads nowhere (is its file system mounted?)');
  return expectFile(path, itself); // another process has made it since the first look
}

function expectFile(path: string, found: Stats): true {
  if (found.isFile()) return true;
  throw noFile(path, `is ${found.isDirectory() ? 'a directory' : 'no file'}`);
}

function look<T>(path: string, stat: () => T): T {
  try {
    return stat();
  } catch (cause) {
    throw new BlocksagaError(
      'JOURNAL',
      `cannot look at the journal ${path}: ${(cause as Error).message}; whether it holds sagas is not known: run as the user who owns it, or name another with --journal`,
      { effect: 'notApplied', cause },
    );
  }
}

function noFile(path: string, what: string): BlocksagaError {
  return new BlocksagaError(
    'JOURNAL',
    `the journal ${path} ${what}: put it where it was, or name a file with --journal`,
    { effect: 'notApplied' },
  );
}
