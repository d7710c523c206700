/** Relative backing names on a real QEMU: what stands in the headers, and that a directory can be moved as a whole. */
import { execFile } from 'node:child_process';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { describeOnQemu } from './real-qemu.ts';
import { stage } from './witnessed.ts';

const run = promisify(execFile);

async function backingOf(file: string): Promise<{ readonly name: string; readonly full: string }> {
  const { stdout } = await run('qemu-img', ['info', '-U', '--output=json', file]);
  const info = JSON.parse(stdout) as Record<string, string>;
  return { name: info['backing-filename'] ?? '', full: info['full-backing-filename'] ?? '' };
}

describeOnQemu('relative backing names', () => {
  test('stand in the overlays of a snapshot and in shallow copies, and lead to the right images', async () => {
    await using on = await stage({ disks: 1 });
    const base = on.vm.disks[0]?.file ?? '';
    const folder = join(on.directory, 'sub');
    await mkdir(folder);
    const overlay = join(folder, 'overlay.qcow2');
    const snapshot = on.snapshotAll(() => ({ overlay }));
    const taken = await (await on.engine.snapshot({ ...snapshot, relative: true })).result;
    expect(taken).toMatchObject({ outcome: 'committed', error: null });
    const to = join(on.directory, 'copy.qcow2');
    const copy = on.copyAll(() => ({ to, shallow: true, relative: true }));
    expect(await (await on.engine.copy(copy)).result).toMatchObject({ outcome: 'committed', error: null });
    const file = base.slice(base.lastIndexOf('/') + 1);
    expect(await backingOf(overlay)).toEqual({ name: `../${file}`, full: `${folder}/../${file}` });
    expect(await backingOf(to)).toMatchObject({ name: file, full: base });
    await on.vm.awaitWrites(4);
    await on.vm.kill();
    const moved = `${on.directory}-moved`;
    await rename(on.directory, moved);
    try {
      expect(await backingOf(join(moved, 'copy.qcow2'))).toMatchObject({ full: join(moved, file) });
      await run('qemu-img', ['info', '--backing-chain', join(moved, 'copy.qcow2')]);
    } finally {
      await rename(moved, on.directory);
    }
  });

  test('are refused where QEMU makes the overlays by itself', async () => {
    await using on = await stage({ disks: 1 });
    const asked = on.engine.snapshot({ ...on.snapshotAll(), relative: true, without: ['blockdev-add'] });
    await expect(asked).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' });
  });
});
