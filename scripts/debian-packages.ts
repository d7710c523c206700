/**
 * Fetches packages of a Debian suite and unpacks them into a folder of their own, without installing anything: apt runs
 * on a private configuration, so the machine's lists, packages and pins stay as they are. Which mirror to ask is read
 * from the machine's own apt sources; none is written down here.
 */
import { execFile } from 'node:child_process';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BlocksagaError } from '../src/errors.ts';

const APT_DEADLINE_MS = 15 * 60_000;
const UNPACK_DEADLINE_MS = 2 * 60_000;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const MIRRORS_MAX = 4;

/** Top-level folders that have moved into /usr, and whose packages may still name the old place. */
const MERGED_FOLDERS = ['bin', 'sbin', 'lib', 'lib64'];

/** What only people read. */
const UNWANTED = ['doc', 'man', 'locale', 'info', 'icons', 'lintian', 'applications'];

/** Which packages, and where from. */
export interface PackageRequest {
  /** The suites that may be drawn from; the last one is preferred. */
  readonly suites: readonly string[];
  readonly packages: readonly string[];
  /** An empty folder for apt's own files. */
  readonly work: string;
  /** Where the packages' files go, as below `/`. */
  readonly root: string;
  readonly signal: AbortSignal;
}

/**
 * Fetches the packages with all that they depend on, and unpacks them. Throws `FILES` with apt's words when no mirror
 * of this machine has the suites or the packages.
 *
 * @example
 * ```ts
 * const { signal } = new AbortController();
 * await fetchPackages({ suites: ['bookworm'], packages: ['seabios'], work: '/tmp/apt', root: '/tmp/root', signal });
 * ```
 */
export async function fetchPackages(request: PackageRequest): Promise<void> {
  const files = await download(request);
  for (const folder of MERGED_FOLDERS) {
    await mkdir(join(request.root, 'usr', folder), { recursive: true });
    await symlink(`usr/${folder}`, join(request.root, folder));
  }
  for (const file of files) await unpack(file, request);
}

async function download(request: PackageRequest): Promise<readonly string[]> {
  const mirrors = (await machineMirrors(request.signal)).slice(0, MIRRORS_MAX);
  const refusals: string[] = [];
  for (const [index, mirror] of mirrors.entries()) {
    const work = join(request.work, `apt${index}`);
    try {
      return await downloadFrom(mirror, work, request);
    } catch (error) {
      request.signal.throwIfAborted();
      if (!(error instanceof BlocksagaError)) throw error;
      refusals.push(error.message);
    }
  }
  throw new BlocksagaError('FILES', refusals.join('; ') || "the machine's apt sources name no mirror");
}

/** The base addresses in the machine's apt sources, those that look like Debian's own archive first. */
async function machineMirrors(signal: AbortSignal): Promise<readonly string[]> {
  const uris = await run('apt-get', ['update', '--print-uris'], signal);
  const bases = [...uris.matchAll(/^'([^']+?)\/dists\/[^']*'/gm)].map(([, base]) => base ?? '');
  const isDebian = (base: string) => Number(/debian$/.test(base));
  return [...new Set(bases)].sort((a, b) => isDebian(b) - isDebian(a));
}

async function downloadFrom(
  mirror: string,
  work: string,
  { suites, packages, signal }: PackageRequest,
): Promise<readonly string[]> {
  const archives = join(work, 'cache/archives');
  await mkdir(join(work, 'lists/partial'), { recursive: true });
  await mkdir(join(archives, 'partial'), { recursive: true });
  await writeFile(join(work, 'status'), '');
  await writeFile(
    join(work, 'sources.list'),
    suites.map(suite => `deb [arch=amd64] ${mirror} ${suite} main\n`).join(''),
  );
  await writeFile(join(work, 'apt.conf'), await privateConfiguration(work, signal));
  const env = { ...process.env, APT_CONFIG: join(work, 'apt.conf'), LC_ALL: 'C' };
  await run('apt-get', ['update', '-q'], signal, env);
  const chosen = ['-t', suites.at(-1) ?? ''];
  await run('apt-get', ['install', '-qq', '--download-only', ...chosen, ...packages], signal, env);
  const names = await readdir(archives);
  return names.filter(name => name.endsWith('.deb')).map(name => join(archives, name));
}

/** The machine's ways of fetching (proxies and so on), and nothing else of it: no lists, no packages, no hooks. */
async function privateConfiguration(work: string, signal: AbortSignal): Promise<string> {
  const machine = await run('apt-config', ['dump'], signal);
  const settings = {
    'Dir::Etc::main': '/dev/null',
    'Dir::Etc::parts': '/dev/null',
    'Dir::Etc::sourcelist': join(work, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'Dir::State': work,
    'Dir::State::lists': join(work, 'lists'),
    'Dir::State::status': join(work, 'status'), // empty: everything that is needed counts as missing
    'Dir::Cache': join(work, 'cache'),
    'APT::Architecture': 'amd64',
    'APT::Install-Recommends': 'false',
    'APT::Get::Assume-Yes': 'true',
    'APT::Sandbox::User': 'root', // the folder is not open to apt's own user
    'APT::Update::Error-Mode': 'any',
    'Debug::NoLocking': 'true',
  };
  const own = Object.entries(settings).map(([name, value]) => `${name} "${value}";`);
  const fetching = machine.split('\n').filter(line => line.startsWith('Acquire::'));
  return [...fetching, 'Acquire::Languages "none";', ...own, ''].join('\n');
}

async function unpack(file: string, { root, signal }: PackageRequest): Promise<void> {
  const unwanted = UNWANTED.map(name => `--exclude=./usr/share/${name}`);
  const script = 'set -o pipefail; deb=$1; shift; dpkg-deb --fsys-tarfile "$deb" | tar -x "$@"';
  const args = ['--keep-directory-symlink', '--no-same-owner', '-C', root, ...unwanted];
  await run('bash', ['-c', script, 'unpack', file, ...args], signal);
}

/** Runs a program with bounded time; throws `FILES` with the last that it said on standard error. */
async function run(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const timeout = program === 'apt-get' ? APT_DEADLINE_MS : UNPACK_DEADLINE_MS;
  try {
    const options = { timeout, maxBuffer: OUTPUT_BYTES_MAX, signal, env };
    return (await promisify(execFile)(program, args, options)).stdout;
  } catch (cause) {
    signal.throwIfAborted();
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr) : '';
    const errors = said.split('\n').filter(line => /^(E:|Err:)/.test(line));
    const why = errors.slice(0, 2).join(' ') || said.trim().split('\n').at(-1) || String(cause);
    throw new BlocksagaError('FILES', `${program} ${args[0] ?? ''} failed: ${why}`, { cause });
  }
}
