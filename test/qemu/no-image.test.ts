/**
 * What stands under an image's name and is none, or cannot be read: the port answers in time, and says so, also of an image whose chain has
 * it below. The simulator answers the same.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { localImages } from '../../src/images/local-images.ts';
import { createSim } from '../../src/sim/create-sim.ts';
import { EMPTY } from '../../src/sim/host/contents.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { describeOnQemu } from './real-qemu.ts';

const qcow2 = (file: string) => ({ file, driver: 'qcow2' }) as const;

const KINDS: Readonly<Record<string, (file: string) => void>> = {
  'a raw image': file => writeFileSync(file, Buffer.alloc(1024 * 1024, 7)),
  'an empty file': file => writeFileSync(file, ''),
  'a qcow2 image cut off in its header': file => {
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', file, '64M']);
    truncateSync(file, 60);
  },
  'a directory': file => mkdirSync(file),
  'a FIFO': file => execFileSync('mkfifo', [file]),
  'a link to nothing': file => symlinkSync(`${file}-gone`, file),
  'a link to itself': file => symlinkSync(file, file),
};

const RAW = {
  ...({ format: 'raw', sizeBytes: 1024, contents: EMPTY } as const),
  ...{ backing: undefined, backingFormat: undefined },
};

describeOnQemu('what is no image', () => {
  test.each(Object.entries(KINDS))('%s under the name of an image', async (what, put) => {
    const directory = temporaryFolder();
    const [base, overlay, other] = ['base', 'overlay', 'other'].map(name => join(directory, name));
    if (base === undefined || overlay === undefined || other === undefined) return;
    for (const file of [base, other]) execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', file, '64M']);
    const below = ['-b', base, '-F', 'qcow2'];
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...below, overlay, '64M']);
    execFileSync('qemu-io', ['-f', 'qcow2', '-c', 'write -P 1 0 64k', overlay], { stdio: 'ignore' });
    rmSync(base);
    put(base);
    const found = await localImages.look(qcow2(base));
    expect(found).toMatchObject({ state: 'unreadable' });
    expect('isNoFile' in found).toBe(/directory|FIFO|link/.test(what));
    expect(await localImages.look(qcow2(overlay))).toMatchObject({ state: 'readable' });
    expect(await localImages.compare(qcow2(overlay), qcow2(other))).toBe('unreadable');
    expect(await localImages.compare(qcow2(other), qcow2(overlay))).toBe('unreadable');
    expect(await localImages.compare(qcow2(base), qcow2(other))).toBe('unreadable');
    const seen = await localImages.overlaysIn?.(directory, 0);
    expect(seen?.overlays.map(({ file }) => file)).toEqual([overlay]);
  });

  test('is the same in the simulator', async () => {
    const sim = createSim({ disks: 2, backingLayers: 1 });
    sim.kill();
    const { host } = sim.world;
    const images = virtualImages(sim);
    const [base, overlay, other] = ['disk0-base0', 'disk0', 'disk1'].map(name => `/images/${name}.qcow2`);
    if (base === undefined || overlay === undefined || other === undefined) return;
    for (const put of [() => host.unlink(base), () => host.write(base, RAW)]) {
      put();
      expect(await images.look(qcow2(overlay))).toMatchObject({ state: 'readable' });
      expect(await images.compare(qcow2(overlay), qcow2(other))).toBe('unreadable');
      expect(await images.compare(qcow2(other), qcow2(overlay))).toBe('unreadable');
    }
  });
});
