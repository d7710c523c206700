/** Reads the values of options: sizes, counts, lists, choices, places. Throws REQUEST_INVALID naming the option. */
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { FRONTS, type Front, type Fronts } from '../../engine/recovery/offline-choices.ts';
import { BlocksagaError } from '../../errors.ts';
import type { CliContext } from '../print/context.ts';

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** Bytes, with QEMU's suffixes: `64K`, `100M`, `2G` count in 1024s. */
export function readBytes(option: string): (text: string) => number {
  return text => {
    const [, digits = '', suffix = ''] = /^(\d+)([KMG]?)$/i.exec(text) ?? [];
    const bytes = Number(digits) * (UNITS[suffix.toUpperCase()] ?? Number.NaN);
    if (digits !== '' && Number.isSafeInteger(bytes)) return bytes;
    return refuse(option, text, 'a number of bytes such as 65536, 64K, 100M or 2G');
  };
}

/** A whole number; the request's own rules say which ones are sensible. */
export function readCount(option: string): (text: string) => number {
  return text => {
    const count = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(count)) return count;
    return refuse(option, text, 'a whole number');
  };
}

/** A whole number within limits. */
export function readBetween(option: string, least: number, most: number): (text: string) => number {
  const read = readCount(option);
  return text => {
    const count = read(text);
    if (count >= least && count <= most) return count;
    return refuse(option, text, `a whole number from ${least} to ${most}`);
  };
}

/** Names between commas. */
export function readNames(text: string): readonly string[] {
  return text
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '');
}

/** What was given, read; undefined where nothing was. */
export function ifGiven<T, R>(given: T | undefined, read: (given: T) => R): R | undefined {
  return given === undefined ? undefined : read(given);
}

/** One of a few words, which a shell can complete. */
export function readChoice<const W extends string>(option: string, words: readonly W[]): ChoiceReader<W> {
  const read = (text: string): W => {
    const word = words.find(each => each === text);
    return word ?? refuse(option, text, `one of ${words.join(', ')}`);
  };
  return Object.assign(read, { words });
}

/** Reads a word, and knows which there are. */
export interface ChoiceReader<W extends string> {
  (text: string): W;
  readonly words: readonly W[];
}

/** On which images a guest ran last: one word for all disks, or `DISK=WORD` for each, between commas. */
export function readFront(option: string): { (text: string): Fronts; readonly words: readonly Front[] } {
  const read = (text: string): Fronts => {
    const word = FRONTS.find(each => each === text);
    if (word !== undefined) return word;
    const said = readNames(text).map((each): readonly [string, Front] => {
      const [, disk = '', side = ''] = /^(.+)=([a-z]+)$/.exec(each) ?? [];
      const front = FRONTS.find(known => known === side);
      return front !== undefined ? [disk, front] : refuse(option, text, FRONT_WORDS);
    });
    const names = new Set(said.map(([disk]) => disk));
    return said.length > 0 && names.size === said.length
      ? Object.fromEntries(said)
      : refuse(option, text, FRONT_WORDS);
  };
  return Object.assign(read, { words: FRONTS });
}

const FRONT_WORDS = `one of ${FRONTS.join(', ')}, or one of them for each disk, as in disk0=new,disk1=old`;

/** Gathers an option that may be given more than once; what was set for it stands only where none is given. */
export function collect(text: string, before: readonly string[] | undefined): readonly string[] {
  return before === undefined || SET.has(before) ? [text] : [...before, text];
}

/** Values that no command line has given. */
const SET = new WeakSet<readonly string[]>();

/** Gathers what an administrator has set for such an option. */
export function collectSet(text: string): readonly string[] {
  const set = [text];
  SET.add(set);
  return set;
}

/** A file name as QEMU is to be told it: absolute. */
export function absoluteFile(file: string, { directory }: CliContext): string {
  return resolve(directory, file);
}

/** A monitor's or agent's address; the path of a UNIX socket is made absolute, HOST:PORT stays. */
export function socketAddress(address: string, { directory }: CliContext): string {
  if (address.startsWith('unix:')) return `unix:${resolve(directory, address.slice('unix:'.length))}`;
  if (address.startsWith('tcp:') || /^[^/]+:\d+$/.test(address)) return address;
  return resolve(directory, address);
}

/** Where the journal is unless `--journal` says otherwise (XDG Base Directory: a relative value is ignored). */
export function journalFile(asked: string | undefined, context: CliContext): string {
  if (asked !== undefined) return absoluteFile(asked, context);
  const state = context.env['XDG_STATE_HOME'];
  if (state !== undefined && isAbsolute(state)) return join(state, 'blocksaga', 'journal.db');
  const home = homeIn(context);
  if (home !== undefined) return join(home, '.local', 'state', 'blocksaga', 'journal.db');
  throw new BlocksagaError('REQUEST_INVALID', 'this user has no home: say --journal FILE, or set HOME');
}

/** Undefined for a user that the machine does not know, as in a container. */
export function homeIn({ env }: CliContext): string | undefined {
  if (env['HOME']) return env['HOME'];
  try {
    return homedir();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_SYSTEM_ERROR') return undefined;
    throw error;
  }
}

function refuse(option: string, text: string, wanted: string): never {
  throw new BlocksagaError('REQUEST_INVALID', `${option} "${text}": this must be ${wanted}`);
}
