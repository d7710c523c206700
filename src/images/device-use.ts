/**
 * Whether a device or file that QEMU is to write to is used by something that QEMU does not know of: a mounted file system,
 * swap, a mapping or an array, a loop device, another process. QEMU itself looks at none of these. It only looks.
 */
import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { meet, type Place, type PlaceParts, placeOfDevice } from './places.ts';

/** Why what is there must not be written to; undefined when nothing says so. */
export async function whyInUse(path: string, place: Place, parts: PlaceParts): Promise<string | undefined> {
  const standing = await parts.stand(path);
  if (standing === undefined) return undefined;
  if (standing.kind === 'file') return (await swapOn(path, parts)) ?? (await loopOver('', place, parts));
  const { numbers } = standing;
  return (
    (await mountOf(numbers, parts)) ??
    (await holderOf(numbers, parts)) ??
    (await swapOn(path, parts)) ??
    (await whyNotExclusive(path)) ??
    (await loopOver(numbers, place, parts)) ??
    (await writerOf(numbers, parts))
  );
}

/** Linux gives a block device to one exclusive opener at a time, and what mounts, swaps or maps it is one (open(2)). */
async function whyNotExclusive(path: string): Promise<string | undefined> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_EXCL | constants.O_NONBLOCK);
    await handle.close();
    return undefined;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'EBUSY') return 'something on this machine has opened it exclusively';
    // Another user's device: what sysfs says must do.
    if (code === 'EACCES' || code === 'EPERM' || code === 'ENOENT' || code === 'ENXIO') return undefined;
    throw error;
  }
}

/** Field 3 of each line is the device's numbers, field 5 where it is mounted (proc(5)). */
async function mountOf(numbers: string, { sysfs }: PlaceParts): Promise<string | undefined> {
  const lines = ((await sysfs.read('/proc/self/mountinfo')) ?? '').split('\n').map(line => line.split(' '));
  const found = lines.find(fields => fields[2] === numbers);
  return found === undefined ? undefined : `it is mounted at ${found[4]}`;
}

async function holderOf(numbers: string, { sysfs }: PlaceParts): Promise<string | undefined> {
  const [holder] = await sysfs.list(`/sys/dev/block/${numbers}/holders`);
  return holder === undefined ? undefined : `it is a part of /dev/${holder}`;
}

async function swapOn(path: string, parts: PlaceParts): Promise<string | undefined> {
  const [, ...lines] = ((await parts.sysfs.read('/proc/swaps')) ?? '').split('\n');
  const mine = JSON.stringify(await parts.stand(path));
  for (const line of lines) {
    const [file = ''] = line.split(/\s/);
    if (file !== '' && JSON.stringify(await parts.stand(file)) === mine) return 'it is swap of this machine';
  }
  return undefined;
}

/** Another loop device through which the same bytes can be written. */
async function loopOver(numbers: string, place: Place, parts: PlaceParts): Promise<string | undefined> {
  for (const name of await parts.sysfs.list('/sys/block')) {
    if (!name.startsWith('loop')) continue;
    const loop = await parts.sysfs.read(`/sys/block/${name}/dev`);
    const isSet = (await parts.sysfs.read(`/sys/block/${name}/loop/backing_file`)) !== undefined;
    if (loop === undefined || loop === numbers || !isSet) continue;
    if (meet(await placeOfDevice(loop, parts), place)) return `/dev/${name} is over it`;
  }
  return undefined;
}

const WRITES = /^flags:\s*\d*[12]$/m;

/** Another process that may write to it; one that only reads, as udev does now and then, is let be. */
async function writerOf(numbers: string, { sysfs }: PlaceParts): Promise<string | undefined> {
  for (const pid of await sysfs.list('/proc')) {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) continue;
    for (const fd of await sysfs.list(`/proc/${pid}/fd`)) {
      if ((await deviceBehind(`/proc/${pid}/fd/${fd}`)) !== numbers) continue;
      if (!WRITES.test((await sysfs.read(`/proc/${pid}/fdinfo/${fd}`)) ?? '')) continue;
      const name = (await sysfs.read(`/proc/${pid}/comm`)) ?? 'a program';
      return `process ${pid} (${name}) has it open for writing`;
    }
  }
  return undefined;
}

/** The numbers of the block device that a path leads to; undefined for anything else. */
async function deviceBehind(path: string): Promise<string | undefined> {
  try {
    const facts = await stat(path, { bigint: true });
    return facts.isBlockDevice() ? numbersOf(facts.rdev) : undefined;
  } catch {
    return undefined; // it went away while it was looked at, or may not be looked at
  }
}

/** As glibc takes a device number apart (`gnu_dev_major`, `gnu_dev_minor`). */
export function numbersOf(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
  return `${major}:${minor}`;
}
