/** The question whether KVM can be used: it leaves no trace, and is answered by a guest that runs. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { qemuBinary } from '../../src/demo/qemu-tools.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { whyNoGuest, whyNoKvm } from './kvm.ts';
import { describeOnQemu } from './real-qemu.ts';

describeOnQemu('whether KVM can be used', () => {
  test('is asked without making the device', () => {
    const folder = temporaryFolder();
    const device = join(folder, 'kvm');
    expect(whyNoKvm(qemuBinary(), device)).toBe(`there is no ${device}`);
    expect(existsSync(device)).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('is denied by a file in the place of the device, which stays as it is', () => {
    const device = join(temporaryFolder(), 'kvm');
    writeFileSync(device, 'a file');
    expect(whyNoKvm(qemuBinary(), device)).toBe(`${device} is no character device`);
    expect(readFileSync(device, 'utf8')).toBe('a file');
  });

  test('is answered by a guest that runs', () => {
    expect(whyNoGuest(qemuBinary(), 'tcg')).toBeUndefined();
  });

  test('is denied by a QEMU that ends without having run one', () => {
    expect(whyNoGuest('/bin/true', 'kvm')).toContain('exit status 0');
    expect(whyNoGuest('/no/such/qemu', 'kvm')).toContain('ENOENT');
  });
});
