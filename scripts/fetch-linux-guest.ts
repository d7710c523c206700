/**
 * Puts a small Linux guest together from Debian's packages, in `.qemu/linux-guest/`: a kernel, and a RAM disk with Debian's
 * qemu-guest-agent, ext4 and xfs. Nothing is installed. Run: `node scripts/fetch-linux-guest.ts`. Needs Debian's apt and dpkg on
 * amd64; no root.
 */
import { execFile } from 'node:child_process';
import {
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { BlocksagaError } from '../src/errors.ts';
import { fetchPackages } from './debian-packages.ts';
import { LINUX_GUEST_FOLDER, linuxGuestAtHand, linuxGuestFiles } from './linux-guest.ts';
import { QEMU_FOLDER } from './qemu-versions.ts';

const run = promisify(execFile);

const SUITE = 'bookworm';
const PACKAGES = [
  ...['linux-image-cloud-amd64', 'qemu-guest-agent', 'busybox-static', 'xfsprogs', 'e2fsprogs', 'libc6'],
];
const LIBRARIES = 'usr/lib/x86_64-linux-gnu';
const LOADER = 'lib64/ld-linux-x86-64.so.2';
/** In the order in which they are loaded. */
const MODULES = [
  ...['drivers/virtio/virtio', 'drivers/virtio/virtio_ring', 'drivers/virtio/virtio_pci_modern_dev'],
  ...['drivers/virtio/virtio_pci_legacy_dev', 'drivers/virtio/virtio_pci', 'drivers/block/virtio_blk'],
  ...['drivers/char/virtio_console', 'lib/libcrc32c', 'fs/xfs/xfs'],
];
const IN_GUEST = ['qemu-ga', 'mke2fs', 'mkfs.xfs'];
/** For whom looks at the guest's images from outside. */
const TOOLS = ['e2fsck', 'dumpe2fs', 'debugfs', 'xfs_repair'];

/**
 * Makes a file system on each disk (ext4 on even ones, xfs on odd ones), mounts it at /disk0, /disk1 and so on, and then runs what
 * comes over the serial line, line by line, each answered by `done STATUS`.
 */
const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty -echo -onlcr
for module in ${MODULES.map(module => basename(module)).join(' ')}; do insmod /modules/$module.ko; done
disk=0
for device in /dev/vd?; do
  mkdir /disk$disk
  # Busybox takes programs of its own first: these are named by their paths.
  if [ $((disk % 2)) = 0 ]; then
    /usr/sbin/mke2fs -q -t ext4 $device && mount -t ext4 $device /disk$disk || break
  else
    /usr/sbin/mkfs.xfs -q $device && mount -t xfs $device /disk$disk || break
  fi
  disk=$((disk + 1))
done
echo "ready $disk"
while read -r line; do eval "$line"; echo "done $?"; done
`;

if (linuxGuestAtHand() !== undefined) {
  console.log('is there already');
} else {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  try {
    await assemble(stop.signal);
    console.log(`the guest is in ${LINUX_GUEST_FOLDER}`);
  } catch (error) {
    if (!(stop.signal.aborted || error instanceof BlocksagaError)) throw error;
    console.error(stop.signal.aborted ? 'interrupted' : (error as Error).message);
    process.exitCode = 1;
  }
}

/** Beside its place, and then there as a whole. */
async function assemble(signal: AbortSignal): Promise<void> {
  await mkdir(QEMU_FOLDER, { recursive: true });
  const work = await mkdtemp(join(QEMU_FOLDER, '.fetching-'));
  try {
    const packages = join(work, 'packages');
    await mkdir(packages);
    await fetchPackages({ suites: [SUITE], packages: PACKAGES, work, root: packages, signal });
    const folder = join(work, 'linux-guest');
    const { kernel, initrd, toolsRoot } = linuxGuestFiles(folder);
    await mkdir(folder);
    const [release] = await readdir(join(packages, 'lib/modules'));
    if (release === undefined) throw new BlocksagaError('FILES', `the kernel of ${SUITE} has no modules`);
    await copyFile(join(packages, `boot/vmlinuz-${release}`), kernel);
    const root = join(work, 'initrd');
    await programs(packages, root, IN_GUEST);
    await programs(packages, toolsRoot, TOOLS);
    await mkdir(join(root, 'modules'));
    for (const module of MODULES) {
      const from = join(packages, 'lib/modules', release, 'kernel', `${module}.ko`);
      await copyFile(from, join(root, 'modules', `${basename(module)}.ko`));
    }
    for (const empty of ['proc', 'sys', 'dev', 'run', 'tmp']) await mkdir(join(root, empty));
    await cp(join(packages, 'etc/mke2fs.conf'), join(root, 'etc/mke2fs.conf'));
    await mkdir(join(root, 'bin'));
    const busybox = join(packages, 'usr/bin/busybox');
    await copyFile(busybox, join(root, 'bin/busybox'));
    await writeFile(join(root, 'init'), INIT, { mode: 0o755 });
    await writeFile(initrd, gzipSync(await archive(busybox, root, join(work, 'cpio'))));
    await rename(folder, LINUX_GUEST_FOLDER);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** These programs of the packages, with the loader and the libraries that they need, as below `/`. */
async function programs(packages: string, root: string, names: readonly string[]): Promise<void> {
  const libraries = join(root, LIBRARIES);
  for (const folder of [libraries, join(root, 'usr/sbin'), join(root, 'lib64')]) {
    await mkdir(folder, { recursive: true });
  }
  await symlink('usr/lib', join(root, 'lib'));
  // The one in `lib64` is a link to the host's own.
  const loader = join(packages, LIBRARIES, basename(LOADER));
  await copyFile(loader, join(root, LOADER));
  for (const name of names) {
    const program = join(packages, 'usr/sbin', name);
    await copyFile(program, join(root, 'usr/sbin', name));
    const { stdout } = await run(loader, ['--library-path', join(packages, LIBRARIES), '--list', program]);
    for (const [, library = ''] of stdout.matchAll(/=> (\S+)/g)) {
      await copyFile(library, join(libraries, basename(library)));
    }
  }
}

/** As the kernel unpacks it. */
async function archive(busybox: string, root: string, into: string): Promise<Buffer> {
  const script = 'cd "$1" && find . | "$0" cpio -o -H newc > "$2"';
  await run('bash', ['-o', 'pipefail', '-c', script, busybox, root, into]);
  return readFile(into);
}
