/**
 * What an image is made like goes along into the one that takes its place, or the plan and the result say that it does not:
 * the new images are read from outside, by qemu-img and the file system.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { bootShows, oddGuest } from './odd-disks.ts';
import { describeOnQemu } from './real-qemu.ts';

const SIZE = '16M';

interface Info {
  readonly 'cluster-size': number;
  readonly 'format-specific': { readonly data: Readonly<Record<string, unknown>> };
}

async function infoOf(file: string): Promise<Info> {
  return JSON.parse(await qemuImg('info', '-U', '--output=json', '-f', 'qcow2', file)) as Info;
}

async function layoutOf(file: string) {
  const { 'cluster-size': clusterBytes, 'format-specific': specific } = await infoOf(file);
  const { data } = specific;
  return {
    clusterBytes,
    extendedL2: data['extended-l2'] ?? false,
    lazyRefcounts: data['lazy-refcounts'],
    refcountBits: data['refcount-bits'],
    compression: data['compression-type'],
  };
}

const LAYOUTS = [
  'cluster_size=2M',
  'cluster_size=128k,extended_l2=on',
  'lazy_refcounts=on,refcount_bits=64',
  'cluster_size=1M,compression_type=zstd',
];

async function canMake(options: string): Promise<boolean> {
  const file = join(temporaryFolder(), 'probe.qcow2');
  return qemuImg('create', '-q', '-f', 'qcow2', '-o', options, file, SIZE).then(
    () => true,
    () => false,
  );
}

/** One disk over an image that was made so. */
function guestOn(options: string, more: readonly string[] = []) {
  return oddGuest(async folder => {
    const file = join(folder, 'old.qcow2');
    await qemuImg('create', '-q', '-f', 'qcow2', '-o', options, file, SIZE);
    for (const name of more) await qemuImg('snapshot', '-c', name, file);
    return [{ driver: 'qcow2', file: { driver: 'file', filename: file } }];
  });
}

describeOnQemu('what an image is made like', () => {
  test.for(LAYOUTS)('goes along into copies and overlays: %s', async (options, { skip }) => {
    skip(!(await canMake(options)), 'this QEMU makes no such images');
    const { vm, folder, engine, write } = await guestOn(options);
    const old = await layoutOf(join(folder, 'old.qcow2'));
    await write('odd0');
    const guest = { qmp: vm.monitor, maxBlackoutMs: 30_000 };
    const overlay = join(folder, 'over.qcow2');
    const taken = await engine.snapshot({ ...guest, disks: [{ disk: 'odd0', overlay }] });
    expect(await taken.result).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
    expect(await layoutOf(overlay)).toEqual(old);
    const to = join(folder, 'new.qcow2');
    const result = await (await engine.copy({ ...guest, disks: [{ disk: 'odd0', to }] })).result;
    expect(result).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
    expect(result).not.toHaveProperty('losses');
    expect(await layoutOf(to)).toEqual(old);
    await vm.kill();
    expect(await bootShows({ driver: 'qcow2', file: { driver: 'file', filename: to } }, folder)).toBe(true);
  });

  test('as far as it does not go along is said before and after', async () => {
    const { vm, folder, engine } = await guestOn('cluster_size=64k', ['before', 'after']);
    const to = join(folder, 'new.qcow2');
    const request = { qmp: vm.monitor, maxBlackoutMs: 30_000, disks: [{ disk: 'odd0', to }] };
    const losses = [
      expect.stringMatching(/the internal snapshots of .*old\.qcow2 stay there.*: before, after$/),
    ];
    expect((await engine.planCopy(request)).losses).toEqual(losses);
    const result = await (await engine.copy(request)).result;
    expect(result).toMatchObject({ outcome: 'committed', losses });
  });

  test('in a file of its own for the data is said', async () => {
    const { vm, folder, engine, write } = await oddGuest(async place => {
      const file = join(place, 'old.qcow2');
      const data = join(place, 'old.data');
      await qemuImg('create', '-q', '-f', 'qcow2', '-o', `data_file=${data},data_file_raw=on`, file, SIZE);
      return [{ driver: 'qcow2', file: { driver: 'file', filename: file } }];
    });
    await write('odd0');
    const to = join(folder, 'new.qcow2');
    const request = { qmp: vm.monitor, maxBlackoutMs: 30_000, disks: [{ disk: 'odd0', to }] };
    const result = await (await engine.copy(request)).result;
    expect(result).toMatchObject({ outcome: 'committed', leftovers: [] });
    expect(result.losses).toEqual([
      expect.stringMatching(/keeps its data in a file of its own, .*old\.data/),
    ]);
    await vm.kill();
    expect(await bootShows({ driver: 'qcow2', file: { driver: 'file', filename: to } }, folder)).toBe(true);
  });
});

describeOnQemu('what is said of a new image', () => {
  test('is how its node is opened and its file is made: aio, discard, owner, mode', async ({ skip }) => {
    skip(process.getuid?.() !== 0, 'only root may give files away');
    const { vm, folder, engine, ask } = await guestOn('cluster_size=64k');
    const to = join(folder, 'new.raw');
    const wishes = { aio: 'threads', discard: 'ignore', owner: '107:108', mode: '0640' } as const;
    const request = {
      qmp: vm.monitor,
      maxBlackoutMs: 30_000,
      disks: [{ disk: 'odd0', to, raw: true, ...wishes }],
    };
    const result = await (await engine.copy(request)).result;
    expect(result).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
    const { uid, gid, mode } = await stat(to);
    expect([uid, gid, mode & 0o777]).toEqual([107, 108, 0o640]);
    expect(await ask('query-status')).toMatchObject({ running: true });
  });

  test.each(['falloc', 'full'] as const)(
    'preallocation=%s keeps its space, also where zeroes are copied',
    async preallocation => {
      const { vm, folder, engine, write } = await guestOn('cluster_size=64k');
      await write('odd0');
      const to = join(folder, 'new.raw');
      const request = {
        qmp: vm.monitor,
        maxBlackoutMs: 30_000,
        disks: [{ disk: 'odd0', to, raw: true, preallocation }],
      };
      const result = await (await engine.copy(request)).result;
      expect(result).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
      const { blocks, size } = await stat(to);
      expect(blocks * 512).toBeGreaterThanOrEqual(size);
      await vm.kill();
      expect(await bootShows({ driver: 'raw', file: { driver: 'file', filename: to } }, folder)).toBe(true);
    },
  );

  test('and cannot be is refused: of files that are there, and of space in a raw image', async () => {
    const { vm, folder, engine } = await guestOn('cluster_size=64k');
    const guest = { qmp: vm.monitor };
    const there = join(folder, 'there.qcow2');
    await qemuImg('create', '-q', '-f', 'qcow2', there, SIZE);
    const refused = { code: 'REQUEST_INVALID' };
    const plan = (disk: object) =>
      engine.planCopy({ ...guest, disks: [{ disk: 'odd0', to: there, ...disk }] });
    await expect(plan({ reuse: true, mode: '0600' })).rejects.toMatchObject(refused);
    await expect(plan({ reuse: true, preallocation: 'full' })).rejects.toMatchObject(refused);
    await expect(
      plan({ to: join(folder, 'x.raw'), raw: true, preallocation: 'metadata' }),
    ).rejects.toMatchObject(refused);
    await expect(plan({ to: join(folder, 'x'), mode: '0777' })).rejects.toMatchObject(refused);
    await expect(plan({ to: join(folder, 'x'), owner: 'qemu' })).rejects.toMatchObject(refused);
  });
});
