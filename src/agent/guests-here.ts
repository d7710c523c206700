/**
 * The guests of a host by the names that a fleet knows them by: those that are named, those whose monitors are in a directory, and
 * those that a program tells. It looks anew each time that it is asked, as guests come and go; it asks no guest anything.
 */
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { BlocksagaError } from '../errors.ts';

const run = promisify(execFile);

const PROGRAM_MS = 10_000;
const TOLD_BYTES_MAX = 4 * 1024 * 1024;
/** The end of a monitor's name in a directory. */
const MONITOR = '.qmp';
/** What a name may be: it stands in an address, in file names and in logs. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

const TOLD = z.record(z.string(), z.string().min(1));

export interface GuestSources {
  /** Monitors by name. */
  readonly named: ReadonlyMap<string, string>;
  /** A directory in which NAME.qmp is the monitor of the guest NAME. */
  readonly directory?: string;
  /** A program that prints a JSON object of monitors by name; it is run without arguments, and without a shell. */
  readonly program?: string;
}

/** Monitors by the names of their guests. */
export type GuestsHere = () => Promise<ReadonlyMap<string, string>>;

/** What is named comes before what is found. Throws REQUEST_INVALID, also for a name that cannot be one. */
export function guestsHere({ named, directory, program }: GuestSources): GuestsHere {
  for (const name of named.keys()) expectName(name);
  return async () => {
    const found = [
      ...(directory === undefined ? [] : await inDirectory(directory)),
      ...(program === undefined ? [] : await toldBy(program)),
    ];
    return new Map([...found, ...named]);
  };
}

async function inDirectory(directory: string): Promise<readonly (readonly [string, string])[]> {
  try {
    const names = (await readdir(directory)).filter(name => name.endsWith(MONITOR)).sort();
    return names
      .map(name => [name.slice(0, -MONITOR.length), join(directory, name)] as const)
      .filter(([name]) => NAME.test(name));
  } catch (cause) {
    throw new BlocksagaError('REQUEST_INVALID', `the monitors in ${directory} cannot be listed: ${cause}`, {
      cause,
    });
  }
}

async function toldBy(program: string): Promise<readonly (readonly [string, string])[]> {
  try {
    const { stdout } = await run(program, [], { timeout: PROGRAM_MS, maxBuffer: TOLD_BYTES_MAX });
    const told = Object.entries(TOLD.parse(JSON.parse(stdout)));
    for (const [name] of told) expectName(name);
    return told;
  } catch (cause) {
    const why = (cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause))
      .trim()
      .replaceAll('\n', ' ');
    const wanted = 'it prints one JSON object, {"NAME": "MONITOR", ...}, and ends with status 0';
    throw new BlocksagaError('REQUEST_INVALID', `${program} tells no guests: ${why}; ${wanted}`, { cause });
  }
}

function expectName(name: string): void {
  if (NAME.test(name)) return;
  const why = `a guest cannot be called "${name}": letters, digits and . _ : - after a letter or digit, 128 at most`;
  throw new BlocksagaError('REQUEST_INVALID', why);
}
