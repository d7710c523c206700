import { expect, test } from 'vitest';
import { findDisk } from '../../src/operations/choose-disks.ts';
import type { GuestDisk } from '../../src/operations/survey.ts';
import { deviceOfTarget } from '../../src/operations/target-name.ts';

const disk = {
  node: 'n',
  device: 'virtio-disk0',
  drive: '',
  qdev: null,
  file: '/a',
  chain: [],
  nodes: [],
  filters: [],
};

test.each([
  ['vda', 'virtio-disk0'],
  ['vdz', 'virtio-disk25'],
  ['vdaa', 'virtio-disk26'],
  ['vdab', 'virtio-disk27'],
  ['sda', null],
  ['vd', null],
  ['vda1', null],
])('the target %s is the device %s', (target, device) => {
  expect(deviceOfTarget(target)).toBe(device);
});

test('a disk is found by its target only where nothing has that name itself', () => {
  const disks = [
    disk,
    { ...disk, device: 'other', node: 'm', file: '/b' },
  ] as unknown as readonly GuestDisk[];
  expect(findDisk(disks, 'vda').node).toBe('n');
  const named = [disk, { ...disk, device: 'vda', node: 'm', file: '/b' }] as unknown as readonly GuestDisk[];
  expect(findDisk(named, 'vda').node).toBe('m');
  expect(() => findDisk(disks, 'vdb')).toThrow(/no disk "vdb"/);
  expect(() => findDisk(disks, 'sda')).toThrow(/known to libvirt alone/);
});
