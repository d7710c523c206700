/**
 * What third parties do to images on a real host, and to the directory in which they are: rename, remove, replace, re-create. The
 * right file is always kept aside, so that an administrator can put it back and that what it holds can be judged.
 */
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Json } from '../../src/qmp/transport.ts';

/** What is done, and to which image; of a directory the one that the image is in. */
export interface FileAct {
  readonly how: string;
  readonly path: string;
}

/** By name, the hashes of the files that a third party has made. */
type Made = Readonly<Record<string, string>>;

const ACTS = {
  'file rename': path => {
    renameSync(path, asideOf(path));
    return [];
  },
  'file remove': path => {
    linkSync(path, asideOf(path));
    unlinkSync(path);
    return [];
  },
  'file replace': path => {
    renameSync(path, asideOf(path));
    cpSync(asideOf(path), path);
    return [path];
  },
  'file recreate': path => {
    const held = readFileSync(path);
    linkSync(path, asideOf(path));
    unlinkSync(path);
    writeFileSync(path, held);
    return [path];
  },
  'directory rename': path => {
    renameSync(dirname(path), asideOf(dirname(path)));
    return [];
  },
  'directory replace': path => {
    renameSync(dirname(path), asideOf(dirname(path)));
    cpSync(asideOf(dirname(path)), dirname(path), { recursive: true });
    return readdirSync(dirname(path)).map(name => join(dirname(path), name));
  },
  'directory link': path => {
    renameSync(dirname(path), asideOf(dirname(path)));
    symlinkSync(asideOf(dirname(path)), dirname(path));
    return [];
  },
} satisfies Readonly<Record<string, (path: string) => readonly string[]>>;

type How = keyof typeof ACTS;

export const FILE_ACTS: readonly string[] = Object.keys(ACTS);

export function isFileAct(command: string): command is How {
  return command in ACTS;
}

/** Does it, and answers as QEMU would: what was made, or that there was nothing to be done. */
export function actOnFile({ how, path }: FileAct): Json {
  if (!isFileAct(how) || !existsSync(path)) return { error: { desc: `nothing is under ${path}` } };
  const made = ACTS[how](path).map(file => [file, hashOf(file)] as const);
  return { return: Object.fromEntries(made) };
}

/** What a third party has made, by its answers. */
export function madeIn(answers: readonly Json[]): Made {
  return Object.assign({}, ...answers.map(answer => (answer as { readonly return?: Made }).return ?? {}));
}

/**
 * Whether a name leads elsewhere by now: with a directory all that were in it, but for a link to it. What was made since in the one
 * that has its name is right there. To be asked before anything is put back.
 */
export function leadsElsewhere({ how, path }: FileAct, name: string): boolean {
  if (how === 'directory link') return false;
  if (!how.startsWith('directory')) return name === path;
  return dirname(name) === dirname(path) && existsSync(join(asideOf(dirname(path)), basename(name)));
}

/**
 * As an administrator does: what a third party has put there goes aside, and the right one gets its name again; with a directory what
 * was made in the other one since. What that party has copied there is still its own, also where nothing else has that name by now.
 */
export function putBack({ how, path }: FileAct, made: Made): void {
  const name = how.startsWith('directory') ? dirname(path) : path;
  if (!existsSync(asideOf(name))) return;
  if (how === 'directory link') unlinkSync(name);
  else if (existsSync(name)) renameSync(name, ownOf(name));
  renameSync(asideOf(name), name);
  if (how !== 'directory replace') return;
  const isCopied = (file: string) => made[join(name, file)] === hashOf(join(ownOf(name), file));
  const since = readdirSync(ownOf(name)).filter(file => !existsSync(join(name, file)) && !isCopied(file));
  for (const file of since) renameSync(join(ownOf(name), file), join(name, file));
}

/** The files of a third party that are not as it made them, or gone; where they are now. */
export function changedOf({ how, path }: FileAct, made: Made): readonly string[] {
  const name = how.startsWith('directory') ? dirname(path) : path;
  const isBack = existsSync(ownOf(name));
  return Object.entries(made).flatMap(([file, hash]) => {
    const now = isBack ? file.replace(name, ownOf(name)) : file;
    return existsSync(now) && hashOf(now) === hash ? [] : [file];
  });
}

const asideOf = (name: string): string => `${name}-theirs-aside`;
const ownOf = (name: string): string => `${name}-theirs-own`;

function hashOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}
