/**
 * Images that are more than their file names, on a real QEMU: a header that is written names the same bytes as QEMU has open,
 * as a boot from it shows, or nothing is written.
 */
import { existsSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import { bootShows, type OddDisk, oddGuest, SIZE_BYTES } from './odd-disks.ts';
import { describeOnQemu } from './real-qemu.ts';

const SIZE = String(SIZE_BYTES);
const OFFSET = 1024 * 1024;
const under = (filename: string) => ({ driver: 'file', filename });
const make = (file: string, ...more: readonly string[]) =>
  qemuImg('create', '-q', '-f', 'qcow2', ...more, file, SIZE);

async function slices(folder: string): Promise<readonly OddDisk[]> {
  const [raw, holder] = [join(folder, 'holder.raw'), join(folder, 'holder2.raw')];
  await qemuImg('create', '-q', '-f', 'raw', raw, '32M');
  const inner = join(folder, 'inner.qcow2');
  await make(inner);
  await copyFile(inner, holder);
  await qemuImg('resize', '-q', '-f', 'raw', holder, '32M');
  return [
    { ...under(raw), 'node-name': 'odd-holder' },
    { ...under(holder), 'node-name': 'odd-storage' },
    { driver: 'raw', size: SIZE_BYTES, file: 'odd-storage', 'node-name': 'odd-slice' },
    { driver: 'raw', offset: OFFSET, size: SIZE_BYTES, file: 'odd-holder' },
    { driver: 'qcow2', file: 'odd-slice' },
  ];
}

describeOnQemu('an image that is more than its file name', () => {
  test('a slice is copied whole and closed, and takes no overlay whose header would lose its offset', async () => {
    const on = await oddGuest(slices);
    const qmp = on.vm.monitor;
    await on.write('odd0');
    await on.write('odd1');
    const before = await on.nodes();
    for (const disk of ['odd0', 'odd1']) {
      const overlay = join(on.folder, `${disk}.over.qcow2`);
      for (const without of [[], ['blockdev-create'], ['transaction']])
        await expect(on.engine.snapshot({ qmp, without, disks: [{ disk, overlay }] })).rejects.toThrow(
          /slice of/,
        );
      expect(existsSync(overlay)).toBe(false);
    }
    expect(await on.nodes()).toEqual(before);
    const disks = ['odd0', 'odd1'].map(disk => ({ disk, to: join(on.folder, `${disk}.new`) }));
    const copied = await (await on.engine.copy({ qmp, disks })).result;
    expect(copied, JSON.stringify(copied.error)).toMatchObject({ outcome: 'committed', leftovers: [] });
    expect((await on.nodes()).filter(node => before.includes(node) && /odd/.test(node))).toEqual([]);
    expect(
      await on.ask<readonly { file: string }[]>('query-named-block-nodes', { flat: true }),
    ).not.toContainEqual(expect.objectContaining({ file: expect.stringContaining('holder') }));
    await on.vm.kill();
    expect(await bootShows({ driver: 'raw', file: under(disks[0]?.to ?? '') }, on.folder)).toBe(true);
    expect(await bootShows({ driver: 'qcow2', file: under(disks[1]?.to ?? '') }, on.folder)).toBe(true);
  });

  test('a disk right on a protocol node is raw, in headers too', async () => {
    const on = await oddGuest(async folder => {
      const raw = join(folder, 'bare.raw');
      await qemuImg('create', '-q', '-f', 'raw', raw, SIZE);
      return [under(raw)];
    });
    const qmp = on.vm.monitor;
    await on.write('odd0');
    const disks = [{ disk: 'odd0', overlay: join(on.folder, 'over.qcow2') }];
    for (const without of [['blockdev-create'], ['transaction']])
      await expect(on.engine.snapshot({ qmp, without, disks })).rejects.toMatchObject({
        code: 'CAPABILITY_MISSING',
      });
    const taken = await (await on.engine.snapshot({ qmp, disks })).result;
    expect(taken, JSON.stringify(taken.error)).toMatchObject({ outcome: 'committed', leftovers: [] });
    const to = join(on.folder, 'copy.qcow2');
    const copied = await (await on.engine.copy({ qmp, disks: [{ disk: 'odd0', to }] })).result;
    expect(copied, JSON.stringify(copied.error)).toMatchObject({ outcome: 'committed' });
    await on.vm.kill();
    const said = JSON.parse(await qemuImg('info', '--output=json', '-f', 'qcow2', disks[0]?.overlay ?? ''));
    expect(said).toMatchObject({
      'backing-filename': join(on.folder, 'bare.raw'),
      'backing-filename-format': 'raw',
    });
    expect(await bootShows({ driver: 'qcow2', file: under(disks[0]?.overlay ?? '') }, on.folder)).toBe(true);
    expect(await bootShows({ driver: 'qcow2', file: under(to) }, on.folder)).toBe(true);
  });

  test('what a header below says otherwise than QEMU was told is found before anything depends on it', async () => {
    const on = await oddGuest(async folder => {
      const [base, other, top] = ['base', 'other', 'top'].map(name => join(folder, `${name}.qcow2`));
      await make(base ?? '');
      await make(other ?? '');
      await make(top ?? '', '-u', '-b', other ?? '', '-F', 'qcow2');
      return [
        { driver: 'qcow2', file: under(top ?? ''), backing: { driver: 'qcow2', file: under(base ?? '') } },
      ];
    });
    const before = await on.nodes();
    const overlay = join(on.folder, 'over.qcow2');
    const saga = await on.engine.snapshot({ qmp: on.vm.monitor, disks: [{ disk: 'odd0', overlay }] });
    const result = await saga.result;
    expect(result).toMatchObject({
      outcome: 'rolledBack',
      error: { code: 'VERIFY_FAILED', disk: 'odd0' },
      leftovers: [],
    });
    expect(result.error?.message).toContain('other.qcow2');
    expect(existsSync(overlay)).toBe(false);
    expect(await on.nodes()).toEqual(before);
  });

  test('a commit and a pull below overlays that QEMU was told of write plain names', async () => {
    const on = await oddGuest(async folder => {
      const files = [0, 1, 2, 3].map(layer => join(folder, `layer${layer}.qcow2`));
      const [lowest = ''] = files;
      await make(lowest);
      let options: OddDisk = { driver: 'qcow2', file: under(lowest) };
      for (const [at, file] of files.entries()) {
        if (at === 0) continue;
        // By its path from elsewhere: QEMU takes the image below for another than the header's.
        await make(file, '-u', '-b', `./layer${at - 1}.qcow2`, '-F', 'qcow2');
        options = { driver: 'qcow2', file: under(file), backing: options };
      }
      return [options];
    });
    const qmp = on.vm.monitor;
    const layer = (at: number) => join(on.folder, `layer${at}.qcow2`);
    const commit = { qmp, disks: [{ disk: 'odd0', top: layer(2), base: layer(1) }] };
    const merged = await (await on.engine.commit(commit)).result;
    expect(merged, JSON.stringify(merged.error)).toMatchObject({ outcome: 'committed', error: null });
    expect(await storedBackingShared(layer(3))).toBe(layer(1));
    const pulled = await (await on.engine.pull({ qmp, disks: [{ disk: 'odd0', base: layer(0) }] })).result;
    expect(pulled, JSON.stringify(pulled.error)).toMatchObject({ outcome: 'committed', error: null });
    expect(await storedBackingShared(layer(3))).toBe(layer(0));
  });

  test('an image whose data are in a file of their own is copied, and both are closed', async () => {
    const on = await oddGuest(async folder => {
      const [file, data] = [join(folder, 'meta.qcow2'), join(folder, 'data.raw')];
      await make(file, '-o', `data_file=${data},data_file_raw=on`);
      return [
        { ...under(data), 'node-name': 'the-data' },
        { driver: 'qcow2', file: under(file), 'data-file': 'the-data' },
      ];
    });
    const qmp = on.vm.monitor;
    await on.write('odd0');
    const overlay = join(on.folder, 'over.qcow2');
    const taken = await (await on.engine.snapshot({ qmp, disks: [{ disk: 'odd0', overlay }] })).result.catch(
      String,
    );
    const to = join(on.folder, 'copy.qcow2');
    const copied = await (await on.engine.copy({ qmp, disks: [{ disk: 'odd0', to }] })).result;
    expect(copied, JSON.stringify(copied.error)).toMatchObject({ outcome: 'committed', leftovers: [] });
    expect(await on.nodes()).not.toContain('the-data');
    await on.vm.kill();
    expect(taken).toMatchObject({ outcome: 'committed' });
    expect(await bootShows({ driver: 'qcow2', file: under(overlay) }, on.folder)).toBe(true);
    expect(await bootShows({ driver: 'qcow2', file: under(to) }, on.folder)).toBe(true);
  });
});

/** What the header of an image names that QEMU has open. */
async function storedBackingShared(file: string): Promise<string | undefined> {
  const said = await qemuImg('info', '-U', '--output=json', '-f', 'qcow2', file);
  return (JSON.parse(said) as { readonly 'backing-filename'?: string })['backing-filename'];
}
