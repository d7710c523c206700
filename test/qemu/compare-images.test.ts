/**
 * What tells a copy that was under way from one that a guest has written to since, by images that real qemu-img makes: a shallow copy
 * does not hold what both stand on, and is whole without it.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { localImages } from '../../src/images/local-images.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { describeOnQemu } from './real-qemu.ts';

const qcow2 = (file: string) => ({ file, driver: 'qcow2' }) as const;

function make(file: string, below: string | undefined, ...commands: readonly string[]): void {
  const backing = below === undefined ? [] : ['-b', below, '-F', 'qcow2'];
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...backing, file, '512M']);
  for (const command of commands)
    execFileSync('qemu-io', ['-f', 'qcow2', '-c', command, file], { stdio: 'ignore' });
}

describeOnQemu('what one image holds beside another one', () => {
  test('differs where it is a finished shallow copy, and the guest has written to it since', async () => {
    const directory = temporaryFolder();
    const [base, overlay, copy] = ['base', 'overlay', 'copy'].map(name => join(directory, name));
    if (base === undefined || overlay === undefined || copy === undefined) return;
    make(base, undefined, 'write -P 1 400M 1M');
    make(overlay, base, 'write -P 2 1M 1M');
    make(copy, base, 'write -P 2 1M 1M', 'write -P 3 1M 64k');
    expect(await localImages.compare(qcow2(copy), qcow2(overlay))).toBe('differs');
    // The other way round: what it has been written over with is missing, and nothing else.
    expect(await localImages.compare(qcow2(overlay), qcow2(copy))).toBe('differs');
  });

  test('is part of it where a shallow copy has not come to the end of what it is to hold', async () => {
    const directory = temporaryFolder();
    const [base, overlay, copy] = ['base', 'overlay', 'copy'].map(name => join(directory, name));
    if (base === undefined || overlay === undefined || copy === undefined) return;
    make(base, undefined, 'write -P 1 400M 1M');
    make(overlay, base, 'write -P 2 1M 1M', 'write -P 2 300M 1M');
    make(copy, base, 'write -P 9 1M 1M');
    expect(await localImages.compare(qcow2(copy), qcow2(overlay))).toBe('partly');
  });

  test('is nothing where QEMU had only begun to format it, and it has no size yet', async () => {
    const directory = temporaryFolder();
    const [disk, begun] = ['disk', 'begun'].map(name => join(directory, name));
    if (disk === undefined || begun === undefined) return;
    make(disk, undefined, 'write -P 1 0 1M');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', begun, '0']);
    expect(await localImages.compare(qcow2(begun), qcow2(disk))).toBe('within');
  });

  test('is part of it where a full copy has not come to what lies below', async () => {
    const directory = temporaryFolder();
    const [base, overlay, copy] = ['base', 'overlay', 'copy'].map(name => join(directory, name));
    if (base === undefined || overlay === undefined || copy === undefined) return;
    make(base, undefined, 'write -P 1 400M 1M');
    make(overlay, base, 'write -P 2 1M 1M');
    make(copy, undefined, 'write -P 9 1M 1M');
    expect(await localImages.compare(qcow2(copy), qcow2(overlay))).toBe('partly');
  });
});
