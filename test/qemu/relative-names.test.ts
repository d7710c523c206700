/** Relative backing names on a real QEMU: what stands in the headers, and that a directory can be moved as a whole. */
import { execFile } from 'node:child_process';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { beside } from './chained.ts';
import { describeOnQemu } from './real-qemu.ts';
import { explain, type Stage, stage } from './witnessed.ts';

const run = promisify(execFile);

async function backingOf(file: string): Promise<{ readonly name: string; readonly full: string }> {
  const { stdout } = await run('qemu-img', ['info', '-U', '--output=json', file]);
  const info = JSON.parse(stdout) as Record<string, string>;
  return { name: info['backing-filename'] ?? '', full: info['full-backing-filename'] ?? '' };
}

/** So many images, with file names as long as these, have a longer name than the 4095 bytes that QEMU keeps. */
const DEEP = 20;
const LAYER = `a-layer-of-many-${'with-a-long-name-'.repeat(10)}`;

interface Block {
  readonly inserted: { readonly file: string; readonly 'node-name': string };
}

/** Puts overlays on the only disk whose headers name what is below by its bare file name, which is not how QEMU knows it. */
async function stackRelatively(on: Stage, count: number): Promise<readonly string[]> {
  const chain = [on.vm.disks[0]?.file ?? ''];
  const [front] = (await on.vm.witness.execute('query-block')) as unknown as readonly [Block];
  let node = front.inserted['node-name'];
  for (let layer = 1; layer <= count; layer += 1) {
    const file = join(on.directory, `${LAYER}${layer}.qcow2`);
    await run('qemu-img', [
      'create',
      '-qf',
      'qcow2',
      '-F',
      'qcow2',
      '-ub',
      beside(chain[0] ?? ''),
      file,
      '16M',
    ]);
    const overlay = `layer${layer}`;
    const options = { driver: 'qcow2', backing: null, file: { driver: 'file', filename: file } };
    await on.vm.witness.execute('blockdev-add', { ...options, 'node-name': overlay });
    await on.vm.witness.execute('blockdev-snapshot', { node, overlay });
    node = overlay;
    chain.unshift(file);
  }
  return chain;
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

  test('lead to the right images where the chain is deeper than QEMU can name it', async () => {
    await using on = await stage({ disks: 1 });
    const chain = await stackRelatively(on, DEEP);
    const [front] = (await on.vm.witness.execute('query-block')) as unknown as readonly [Block];
    expect(front.inserted.file).toMatch(/^json:.*\.\.\.$/);
    const to = on.newFile(0);
    const copied = await (await on.engine.copy(on.copyAll(() => ({ shallow: true })))).result;
    expect(copied, explain(copied)).toMatchObject({ outcome: 'committed', strategy: 'reopen', error: null });
    expect(copied.disks[0]?.after?.chain).toEqual([to, ...chain.slice(1)]);
    expect(copied.disks[0]?.before.file).toBe(chain[0]);
    const overlay = join(on.directory, 'overlay.qcow2');
    const taken = await (await on.engine.snapshot(on.snapshotAll(() => ({ overlay })))).result;
    expect(taken, explain(taken)).toMatchObject({ outcome: 'committed', error: null });
    expect(taken.disks[0]?.after?.chain).toEqual([overlay, to, ...chain.slice(1)]);
    const again = on.copyAll(() => ({ to: join(on.directory, 'again.qcow2'), shallow: true }));
    const left = await (await on.engine.copy({ ...again, finish: 'abort' })).result;
    expect(left, explain(left)).toMatchObject({ outcome: 'rolledBack' });
    expect(left.disks[0]?.after?.chain).toEqual([overlay, to, ...chain.slice(1)]);
    await on.vm.awaitWrites(4);
  });

  test('are refused where QEMU makes the overlays by itself', async () => {
    await using on = await stage({ disks: 1 });
    const asked = on.engine.snapshot({ ...on.snapshotAll(), relative: true, without: ['blockdev-add'] });
    await expect(asked).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' });
  });
});
