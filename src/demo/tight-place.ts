/**
 * A real place where QEMU runs out of room: a small file system of its own where this process may mount one, else a
 * limit on the size of the files that QEMU may write (`RLIMIT_FSIZE`, which needs no rights). Also the demo's only
 * cleaner, which works however the demo ends.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BlocksagaError } from '../errors.ts';
import { TIGHT_BYTES } from './demo-images.ts';

const run = promisify(execFile);
const TIMEOUT_MS = 60_000;
const MIB = 1024 * 1024;

/** How a place is made tight. */
export type TightMeans = 'mount' | 'limit';

/** A directory in which files cannot grow beyond {@link TIGHT_BYTES}, once it has been tightened. */
export interface TightPlace {
  readonly means: TightMeans;
  readonly directory: string;
  /** What it is, for people. */
  readonly words: string;
  /** The binary to start as QEMU. */
  readonly qemu: string;
  /** From now on QEMU (process `pid`) runs out of room here. */
  tighten(pid: number): Promise<void>;
  /** Until now. */
  loosen(pid: number): Promise<void>;
}

/**
 * Makes a tight place below `directory`; the means is the first that works unless it is said. Throws
 * `CAPABILITY_MISSING` when there is none.
 */
export async function makeTightPlace(
  directory: string,
  qemu: string,
  wanted?: TightMeans,
): Promise<TightPlace> {
  const place = join(directory, 'tight');
  await mkdir(place);
  const problems: string[] = [];
  for (const [means, make] of [
    ['mount', mountSmall],
    ['limit', limitFileSize],
  ] as const) {
    if (wanted !== undefined && wanted !== means) continue;
    try {
      return await make(place, qemu, directory);
    } catch (error) {
      problems.push(error instanceof Error ? error.message.trim() : String(error));
    }
  }
  throw new BlocksagaError(
    'CAPABILITY_MISSING',
    `nowhere to run out of room: neither a small tmpfs nor prlimit (util-linux) can be used: ${problems.join('; ')}`,
  );
}

async function mountSmall(place: string, qemu: string): Promise<TightPlace> {
  const options = `size=${TIGHT_BYTES},mode=700`;
  await run('mount', ['-t', 'tmpfs', '-o', options, 'blocksaga-demo', place], { timeout: TIMEOUT_MS });
  return {
    means: 'mount',
    directory: place,
    words: `a file system of ${TIGHT_BYTES / MIB} MiB`,
    qemu,
    tighten: async () => undefined,
    loosen: async () => undefined,
  };
}

/** QEMU must ignore SIGXFSZ, which would end it: ignored signals stay ignored across `exec`, so a shell starts it. */
async function limitFileSize(place: string, qemu: string, directory: string): Promise<TightPlace> {
  const before = await fileSizeLimit('self');
  const wrapper = join(directory, 'qemu');
  await writeFile(wrapper, `#!/bin/sh\ntrap '' XFSZ\nexec ${shellWord(qemu)} "$@"\n`);
  await chmod(wrapper, 0o700);
  const set = async (pid: number, bytes: string) => {
    await run('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`], { timeout: TIMEOUT_MS });
  };
  return {
    means: 'limit',
    directory: place,
    words: `a limit of ${TIGHT_BYTES / MIB} MiB on QEMU's files`,
    qemu: wrapper,
    tighten: pid => set(pid, String(TIGHT_BYTES)),
    loosen: pid => set(pid, before),
  };
}

async function fileSizeLimit(pid: 'self' | number): Promise<string> {
  const of = pid === 'self' ? [] : ['--pid', String(pid)];
  const { stdout } = await run('prlimit', [...of, '--fsize', '--output', 'SOFT', '--noheadings', '--raw'], {
    timeout: TIMEOUT_MS,
  });
  return stdout.trim();
}

function shellWord(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** What takes the demo's directory away: when it is told to, or when this process is gone. */
export interface Cleaner {
  /** Unmounts and removes, and waits until that is done. */
  clean(): Promise<void>;
}

/** A shell that unmounts the tight place and removes `directory` when its standard input ends, however we end. */
export function startCleaner(directory: string): Cleaner {
  const script = 'read -r _; umount -l "$0/tight" 2>/dev/null; rm -rf -- "$0"';
  const shell = spawn('/bin/sh', ['-c', script, directory], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true, // Ctrl-C reaches us, not it
  });
  shell.unref();
  const ended = once(shell, 'exit');
  ended.catch(() => undefined); // `clean` hears of a shell that cannot be started
  return {
    async clean() {
      shell.ref();
      shell.stdin?.end();
      await ended;
    },
  };
}
