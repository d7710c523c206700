/**
 * Puts other versions of QEMU beside the machine's own, from Debian's suites, into `.qemu/VERSION/`; nothing is
 * installed. Run: `node scripts/fetch-qemu.ts [VERSION ...]` (all versions if none is named) or `--list`. Afterwards
 * `QEMU_BINARY=.qemu/10.0/qemu-system-x86_64` runs one in any test. Needs Debian's apt and dpkg on amd64; no root.
 */
import { mkdir, mkdtemp, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startGuestVm } from '../src/demo/guest-vm.ts';
import { BlocksagaError } from '../src/errors.ts';
import { fetchPackages } from './debian-packages.ts';
import {
  fetchedQemus,
  placeOf,
  QEMU_FOLDER,
  QEMU_SUITES,
  QEMU_VERSIONS,
  type QemuVersion,
} from './qemu-versions.ts';

const PACKAGES = ['qemu-system-x86', 'qemu-utils', 'libc6'];
const LIBRARIES = 'usr/lib/x86_64-linux-gnu';
/** Where the loader may be. In `lib64` it can be a link to the host's own, by its absolute path. */
const LOADERS = [`${LIBRARIES}/ld-linux-x86-64.so.2`, 'usr/lib64/ld-linux-x86-64.so.2'];
const FIRMWARE = ['usr/share/qemu', 'usr/share/seabios', 'usr/lib/ipxe/qemu'];

const { values, positionals } = parseArgs({ options: { list: { type: 'boolean' } }, allowPositionals: true });
const unknown = positionals.filter(name => !QEMU_VERSIONS.some(version => version === name));
if (unknown.length > 0) {
  console.error(`no such version: ${unknown.join(', ')}; there are ${QEMU_VERSIONS.join(', ')}`);
  process.exitCode = 2;
} else if (values.list) {
  for (const qemu of fetchedQemus()) console.log(`${qemu.version}\t${qemu.binary}`);
} else {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const wanted = QEMU_VERSIONS.filter(version => positionals.length === 0 || positionals.includes(version));
  const missing = await fetchAll(wanted, stop.signal);
  if (missing.length > 0) {
    console.error(`missing: ${missing.join(', ')}`);
    process.exitCode = 1;
  }
}

/** Fetches one after the other; returns those that are not there in the end. */
async function fetchAll(wanted: readonly QemuVersion[], signal: AbortSignal): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const version of wanted) {
    if (fetchedQemus().some(qemu => qemu.version === version)) {
      console.log(`${version}\tis there already`);
      continue;
    }
    try {
      console.log(`${version}\t${await fetchVersion(version, signal)}`);
    } catch (error) {
      if (!signal.aborted && !(error instanceof BlocksagaError)) throw error;
      missing.push(version);
      console.error(`${version}\t${signal.aborted ? 'interrupted' : oneLine(error)}`);
    }
  }
  return missing;
}

/** Fetches one version beside its place, tries it, and moves it there whole. Returns what it calls itself. */
async function fetchVersion(version: QemuVersion, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  await mkdir(QEMU_FOLDER, { recursive: true });
  const work = await mkdtemp(join(QEMU_FOLDER, '.fetching-'));
  try {
    const folder = join(work, version);
    const root = join(folder, 'root');
    await mkdir(root, { recursive: true });
    await fetchPackages({ suites: QEMU_SUITES[version], packages: PACKAGES, work, root, signal });
    await writeWrappers(version, folder);
    const found = await askVersion(version, folder);
    await rename(folder, join(QEMU_FOLDER, version));
    return found;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Runs the guest of the demo on it, for the monitor's word on its version. Throws `FILES` when it is another. */
async function askVersion(version: QemuVersion, folder: string): Promise<string> {
  await using vm = await startGuestVm({ disks: 1, qemu: placeOf(version, folder).binary });
  const said = (await vm.witness.execute('query-version')) as {
    readonly qemu: { readonly major: number; readonly minor: number; readonly micro: number };
    readonly package: string;
  };
  const { major, minor, micro } = said.qemu;
  if (`${major}.${minor}` === version) return `QEMU ${major}.${minor}.${micro} (${said.package})`;
  const suite = QEMU_SUITES[version].at(-1);
  throw new BlocksagaError('FILES', `Debian's ${suite} has QEMU ${major}.${minor}.${micro} now`);
}

/** The programs, run with the loader and libraries that came with them, so that the host's need not fit. */
async function writeWrappers(version: QemuVersion, folder: string): Promise<void> {
  const loader = await findLoader(join(folder, 'root'));
  const start = [
    '#!/bin/sh',
    'here=$(cd "$(dirname "$0")" && pwd) || exit 1',
    'root=$here/root',
    `export QEMU_MODULE_DIR="$root/${LIBRARIES}/qemu"`,
    `exec "$root/${loader}" --library-path "$root/${LIBRARIES}"`,
  ].join('\n');
  const firmware = FIRMWARE.map(path => `-L "$root/${path}"`).join(' ');
  const { binary, img, daemon } = placeOf(version, folder);
  const mode = 0o755;
  await writeFile(binary, `${start} "$root/usr/bin/qemu-system-x86_64" ${firmware} "$@"\n`, { mode });
  await writeFile(img, `${start} "$root/usr/bin/qemu-img" "$@"\n`, { mode });
  await writeFile(daemon, `${start} "$root/usr/bin/qemu-storage-daemon" "$@"\n`, { mode });
}

async function findLoader(root: string): Promise<string> {
  for (const loader of LOADERS) {
    const real = await realpath(join(root, loader)).catch(() => '');
    if (real.startsWith(`${await realpath(root)}/`)) return loader;
  }
  throw new BlocksagaError('FILES', `the packages hold none of ${LOADERS.join(', ')}`);
}

function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, ' ');
}
