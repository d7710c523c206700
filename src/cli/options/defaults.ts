/**
 * What an administrator has set for all commands: by the environment, or by a file of settings. The command line comes first, then
 * the environment, then the file. It only reads; what an option means, its command says.
 */
import { readFileSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import type { Command, Option } from 'commander';
import { z } from 'zod';
import { BlocksagaError } from '../../errors.ts';
import type { CliContext } from '../print/context.ts';
import { absoluteFile, collect, collectSet, homeIn, socketAddress } from './option-values.ts';
import { isMonitorOfGuest } from './shared-options.ts';

/** By the long name of an option, without its dashes; as it would stand on the command line. */
export type Defaults = ReadonlyMap<string, string>;

/** Larger files are none of ours. */
const FILE_BYTES_MAX = 65_536;

const value = z.union([z.string().min(1), z.int().min(0)]).transform(String);

/** What a file of settings may have: options of the host and of its habits, none of one request. */
const SETTINGS = z.strictObject({
  journal: value.optional(),
  qmp: value.optional(),
  'max-blackout': value.optional(),
  parallel: value.optional(),
  bandwidth: value.optional(),
  'on-commit': value.optional(),
  'on-commit-timeout': value.optional(),
  port: value.optional(),
  trace: value.optional(),
});

const BY_ENVIRONMENT = { journal: 'BLOCKSAGA_JOURNAL', qmp: 'BLOCKSAGA_QMP' } as const;

export const DEFAULTS_HELP = `
Defaults: BLOCKSAGA_JOURNAL stands for --journal, and BLOCKSAGA_QMP for --qmp where a command must have it (resume,
pivot and abort find their guest in the journal; the page needs a monitor of its own). A file of settings has more of
them: --config FILE, else BLOCKSAGA_CONFIG, else $XDG_CONFIG_HOME/blocksaga/config.json where it is there. It is JSON,
by the names of the options:
  { "journal": "/var/lib/blocksaga/journal.db", "bandwidth": "100M", "parallel": 4, "max-blackout": 500 }
It may have ${Object.keys(SETTINGS.shape).join(', ')}; a path in it counts from its folder. The command line comes
first, then the environment, then the file.`;

/** Throws REQUEST_INVALID for a file that was named and is not there, or is no such file. */
export function readDefaults(asked: string | undefined, context: CliContext): Defaults {
  const named = asked ?? (context.env['BLOCKSAGA_CONFIG'] || undefined);
  const file = named === undefined ? usualFile(context) : absoluteFile(named, context);
  const settings = new Map(file === undefined ? [] : readSettings(file, named !== undefined, context));
  for (const [option, variable] of Object.entries(BY_ENVIRONMENT)) {
    const given = context.env[variable];
    if (given !== undefined && given !== '') settings.set(option, given);
  }
  return settings;
}

/** Undefined for a user without a home. */
function usualFile(context: CliContext): string | undefined {
  const asked = context.env['XDG_CONFIG_HOME'];
  if (asked !== undefined && isAbsolute(asked)) return join(asked, 'blocksaga', 'config.json');
  const home = homeIn(context);
  return home === undefined ? undefined : join(home, '.config', 'blocksaga', 'config.json');
}

function readSettings(
  file: string,
  isNamed: boolean,
  context: CliContext,
): readonly (readonly [string, string])[] {
  const text = textOf(file, isNamed);
  if (text === null) return [];
  const read = SETTINGS.safeParse(parsed(text, file));
  if (!read.success) throw refused(file, z.prettifyError(read.error).replaceAll('\n', ' '));
  const place = { ...context, directory: dirname(file) };
  return Object.entries(read.data).flatMap(([option, text]) => {
    if (text === undefined) return [];
    if (option === 'journal' || option === 'trace') return [[option, absoluteFile(text, place)] as const];
    return [[option, option === 'qmp' ? socketAddress(text, place) : text] as const];
  });
}

function textOf(file: string, isNamed: boolean): string | null {
  try {
    const text = readFileSync(file, 'utf8');
    if (text.length <= FILE_BYTES_MAX) return text;
  } catch (error) {
    if (!isNamed && !isThere(file)) return null;
    throw refused(file, String(error), error);
  }
  throw refused(file, `it is larger than ${FILE_BYTES_MAX} bytes`);
}

/** A home that is closed to this user is not its own, and has no settings for it. */
function isThere(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'ENOTDIR' && code !== 'EACCES';
  }
}

function parsed(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw refused(file, `it is no JSON: ${String(error)}`, error);
  }
}

function refused(file: string, why: string, cause?: unknown): BlocksagaError {
  const named = `the settings in ${file} cannot be used: ${why}`;
  return new BlocksagaError('REQUEST_INVALID', named, cause === undefined ? {} : { cause });
}

/** What a command line is about: offline work has no guest, and guests of a group have their monitors in its file. */
export type About = 'guest' | 'offline' | 'group';

export function aboutOf(args: readonly string[]): About {
  if (args.includes('--offline')) return 'offline';
  return args.some(arg => arg === '--group' || arg.startsWith('--group=')) ? 'group' : 'guest';
}

/** Gives a command those of its options that are set. */
export function applyDefaults(command: Command, defaults: Defaults, about: About): void {
  for (const option of command.options) {
    const name = (option.long ?? '').replace(/^--/, '');
    const given = defaults.get(name);
    if (given === undefined || !takes(option, name, about)) continue;
    const isGathered = option.parseArg === collect;
    const read = isGathered ? collectSet(given) : (option.parseArg?.(given, undefined) ?? given);
    command.setOptionValueWithSource(option.attributeName(), read, 'config');
  }
}

const OF_ONE_GUEST: ReadonlySet<string> = new Set(['qmp', 'parallel', 'bandwidth']);

function takes(option: Option, name: string, about: About): boolean {
  if (name === 'journal' || name === 'port') return true;
  if (about === 'group') return !OF_ONE_GUEST.has(name);
  return about === 'guest' && (name !== 'qmp' || isMonitorOfGuest(option));
}
