import { expect, test } from 'vitest';
import { type CommandLineOptions, guestCommandLine } from '../../src/demo/guest-command-line.ts';

const image = (name: string) => ({ file: `/vm/${name}.qcow2`, format: 'qcow2' as const });

function commandLine(options: Partial<CommandLineOptions>): readonly string[] {
  return guestCommandLine({
    bus: 'virtio-blk',
    style: 'blockdev',
    filters: [],
    filtered: [0],
    inline: false,
    iothreads: false,
    cache: 'writeback',
    writeCache: false,
    accel: 'tcg',
    paused: false,
    images: [image('a')],
    bios: 'seabios',
    program: '/run/rom',
    reports: '/run/reports',
    monitors: ['/run/qmp'],
    extraArguments: [],
    ...options,
  });
}

test('a file name with commas stays one value', () => {
  const line = commandLine({
    style: 'drive',
    images: [image('a,format=raw')],
    program: '/r,1',
    monitors: ['/m,1'],
  });
  expect(line.join(' ')).toContain('file=/vm/a,,format=raw.qcow2,format=qcow2,');
  expect(line).toContain('romfile=/r,,1,bootindex=0');
  expect(line).toContain('unix:/m,,1,server=on,wait=off');
  expect(commandLine({ bios: 'small', program: '/r,1' })).toContain('/r,1'); // no list of options
});

test('every node of a -blockdev guest has a name, so that it can be reopened', () => {
  const line = commandLine({ images: [{ ...image('top'), base: '/vm/base.qcow2' }] });
  const nodes = line.filter((_, index) => line[index - 1] === '-blockdev').map(text => JSON.parse(text));
  expect(nodes.map(node => [node['node-name'], node.file ?? node.filename, node.backing])).toEqual([
    ['base0-file', '/vm/base.qcow2', undefined],
    ['base0', 'base0-file', undefined],
    ['disk0-file', '/vm/top.qcow2', undefined],
    ['disk0', 'disk0-file', 'base0'],
  ]);
});

test('more disks than the BIOS finds are refused', () => {
  const images = Array.from({ length: 14 }, (_, index) => image(String(index)));
  expect(() => commandLine({ bus: 'nvme', images })).toThrow('14 disks; nvme takes 1 to 13');
  expect(() => commandLine({ images: [] })).toThrow('0 disks; virtio-blk takes 1 to 16');
  expect(commandLine({ images }).filter(text => text.startsWith('virtio-blk-pci'))).toHaveLength(14);
});

test('iothreads are refused on a bus that has none, and are one for each disk on the others', () => {
  expect(() => commandLine({ bus: 'usb-storage', iothreads: true })).toThrow(
    'usb-storage knows no iothreads',
  );
  const line = commandLine({ bus: 'scsi-hd', iothreads: true, images: [image('a'), image('b')] });
  expect(line.filter(text => text.startsWith('virtio-scsi-pci'))).toEqual([
    'virtio-scsi-pci,id=scsi0,iothread=iothread0',
    'virtio-scsi-pci,id=scsi1,iothread=iothread1',
  ]);
});

test('filters stand above the disks that have them, each node by its name or all as one tree', () => {
  const images = [image('a'), image('b')];
  const nodesOf = (inline: boolean) =>
    commandLine({ images, filters: ['copy-on-read', 'throttle'], filtered: [1], inline }).flatMap(
      (text, at, line) => (line[at - 1] === '-blockdev' ? [JSON.parse(text)] : []),
    );
  const below = (node: { readonly file?: unknown }): readonly unknown[] =>
    typeof node.file === 'object' && node.file !== null ? [node, ...below(node.file)] : [node];
  const byName = nodesOf(false).map(node => [node['node-name'], node.file ?? node.filename]);
  expect(byName.slice(2)).toEqual([
    ['disk1-file', '/vm/b.qcow2'],
    ['disk1', 'disk1-file'],
    ['disk1-filter1', 'disk1'],
    ['disk1-filter0', 'disk1-filter1'],
  ]);
  const trees = nodesOf(true).map(tree => below(tree));
  expect(trees).toMatchObject([
    [{ 'node-name': 'disk0' }, { 'node-name': 'disk0-file' }],
    [
      { 'node-name': 'disk1-filter0', driver: 'copy-on-read' },
      { 'node-name': 'disk1-filter1', driver: 'throttle', 'throttle-group': 'disk1-limits1' },
      { 'node-name': 'disk1' },
      { 'node-name': 'disk1-file', filename: '/vm/b.qcow2' },
    ],
  ]);
});
