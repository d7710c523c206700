/**
 * QEMU's command line for a demo guest: names as in the rest of the project (`disk0` over `disk0-file`, devices `dev0`,
 * `drive0` for `-drive`). Pure; starts nothing. No option that one of QEMU 5.2 to 11.1 does not know.
 */
import { BlocksagaError } from '../errors.ts';
import type { GuestImage } from './guest-images.ts';
import { DISKS_MAX } from './ordered-writer.ts';
import { optionValue } from './qemu-tools.ts';

const IDE_DISKS_MAX = 4;
const AHCI_PORTS = 6;
const USB_PORTS = 15;

/** The devices that a demo guest may have its disks on. */
export type GuestBus = 'virtio-blk' | 'scsi-hd' | 'nvme' | 'ide-hd' | 'usb-storage' | 'vhost-user-blk';

/** How QEMU's page cache use is set: `writeback` is QEMU's default, `none` bypasses it, `unsafe` ignores flushes. */
export type GuestCache = 'writeback' | 'none' | 'unsafe';

/** What starts the guest: `small-bios.s`, for disks on virtio-blk and virtio-scsi alone, or the SeaBIOS that QEMU brings. */
export type GuestBios = 'small' | 'seabios';

/** A filter that an administrator may have above an image; a throttle gets a group of its own, whose limit is never reached. */
export type GuestFilter = 'throttle' | 'copy-on-read';

/** All that decides the command line. */
export interface CommandLineOptions {
  readonly bus: GuestBus;
  readonly style: 'blockdev' | 'drive' | 'protocol';
  /** Filters between each device and its image, uppermost first; only for nodes of `-blockdev`. */
  readonly filters: readonly GuestFilter[];
  /** Which disks have them. */
  readonly filtered: readonly number[];
  /** Whether each disk's nodes are one tree of options, whose root alone QEMU's monitor owns, as Proxmox VE 9 starts them. */
  readonly inline: boolean;
  readonly iothreads: boolean;
  readonly cache: GuestCache;
  readonly writeCache: boolean;
  readonly accel: 'tcg' | 'kvm' | 'auto';
  readonly paused: boolean;
  readonly images: readonly GuestImage[];
  readonly bios: GuestBios;
  /** The image of the small BIOS with the guest in it, or the guest's option ROM. */
  readonly program: string;
  /** The pipe for the guest's reports. */
  readonly reports: string;
  readonly monitors: readonly string[];
  readonly extraArguments: readonly string[];
}

/** The most disks of a bus that SeaBIOS 1.16 was seen to find and the guest to write to. */
const BUS_DISKS_MAX: Readonly<Record<GuestBus, number>> = {
  'virtio-blk': DISKS_MAX,
  'scsi-hd': DISKS_MAX,
  nvme: 13, // beyond it SeaBIOS runs out of its low memory
  'ide-hd': 13,
  'usb-storage': USB_PORTS,
  'vhost-user-blk': DISKS_MAX,
};

/** The arguments after the name of the binary. Throws `REQUEST_INVALID` for what cannot be. */
export function guestCommandLine(options: CommandLineOptions): readonly string[] {
  const { bus, iothreads, images } = options;
  if (images.length < 1 || images.length > BUS_DISKS_MAX[bus]) {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `${images.length} disks; ${bus} takes 1 to ${BUS_DISKS_MAX[bus]}`,
    );
  }
  if (iothreads && bus !== 'virtio-blk' && bus !== 'scsi-hd') {
    throw new BlocksagaError('REQUEST_INVALID', `${bus} knows no iothreads`);
  }
  const accelerators = options.accel === 'auto' ? ['kvm', 'tcg'] : [options.accel];
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'pc', '-m', '64'],
    ...accelerators.flatMap(accelerator => ['-accel', accelerator]),
    ...options.monitors.flatMap(path => ['-qmp', `unix:${optionValue(path)},server=on,wait=off`]),
    ...['-chardev', `file,id=reports,path=${optionValue(options.reports)}`],
    ...['-device', 'isa-debugcon,iobase=0xe9,chardev=reports'],
    ...(options.bios === 'small'
      ? ['-bios', options.program]
      : ['-option-rom', `romfile=${optionValue(options.program)},bootindex=0`]),
    ...(iothreads ? images.flatMap((_, disk) => ['-object', `iothread,id=iothread${disk}`]) : []),
    ...images.flatMap((image, disk) => backend(options, image, disk)),
    ...devices(options),
    ...(options.paused ? ['-S'] : []),
    ...options.extraArguments,
  ];
}

type Node = { readonly 'node-name': string; readonly [option: string]: unknown };

function backend(options: CommandLineOptions, image: GuestImage, disk: number): string[] {
  const { style, cache } = options;
  // The image is the socket of a program that has the disk.
  if (options.bus === 'vhost-user-blk')
    return ['-chardev', `socket,id=disk${disk},path=${optionValue(image.file)}`];
  if (style === 'drive') {
    const settings = `format=${image.format},cache=${cache},discard=unmap`;
    return ['-drive', `if=none,id=drive${disk},file=${optionValue(image.file)},${settings}`];
  }
  // Every node has a name: `blockdev-reopen` has to restate what is below a node, and can do so only by name.
  const flags = { direct: cache === 'none', 'no-flush': cache === 'unsafe' };
  const layers: Node[] = [];
  if (image.base !== undefined) {
    const common = { 'read-only': true, cache: flags };
    layers.push({ driver: 'file', 'node-name': `base${disk}-file`, filename: image.base, ...common });
    layers.push({ driver: 'qcow2', 'node-name': `base${disk}`, file: `base${disk}-file`, ...common });
  }
  const common = { discard: 'unmap', cache: flags };
  if (style === 'protocol') {
    layers.push({ driver: 'file', 'node-name': `disk${disk}`, filename: image.file, ...common });
    return withFilters(options, layers, disk);
  }
  const backing = image.base === undefined ? {} : { backing: `base${disk}` };
  layers.push({ driver: 'file', 'node-name': `disk${disk}-file`, filename: image.file, ...common });
  layers.push({
    driver: image.format,
    'node-name': `disk${disk}`,
    file: `disk${disk}-file`,
    ...backing,
    ...common,
  });
  return withFilters(options, layers, disk);
}

function withFilters(options: CommandLineOptions, layers: readonly Node[], disk: number): string[] {
  const [groups, filters] = filtersAbove(options, disk);
  const nodes = [...layers, ...filters];
  const written = options.inline ? nested(nodes) : nodes;
  return [...groups, ...written.flatMap(node => ['-blockdev', JSON.stringify(node)])];
}

/** `disk0-filter0` is the uppermost one of `disk0`. */
function filtersAbove(
  options: CommandLineOptions,
  disk: number,
): readonly [groups: readonly string[], nodes: readonly Node[]] {
  const groups: string[] = [];
  const nodes = filtersOf(options, disk).map((driver, at, { length }): Node => {
    const file = at + 1 < length ? `disk${disk}-filter${at + 1}` : `disk${disk}`;
    const node = { driver, 'node-name': `disk${disk}-filter${at}`, file };
    if (driver !== 'throttle') return node;
    const group = `disk${disk}-limits${at}`;
    groups.push('-object', `throttle-group,id=${group},x-iops-total=1000000`);
    return { ...node, 'throttle-group': group };
  });
  return [groups, nodes.toReversed()];
}

function filtersOf({ filters, filtered }: CommandLineOptions, disk: number): readonly GuestFilter[] {
  return filtered.includes(disk) ? filters : [];
}

/** The same nodes as one tree: each in the place of its name in the one above it. */
function nested(nodes: readonly Node[]): readonly Node[] {
  const built = new Map<unknown, Node>();
  for (const node of nodes) {
    const members = Object.entries(node).map(([member, value]) => {
      const child = member === 'file' || member === 'backing' ? built.get(value) : undefined;
      if (child !== undefined) built.delete(value);
      return [member, child ?? value];
    });
    built.set(node['node-name'], { ...node, ...Object.fromEntries(members) });
  }
  return [...built.values()];
}

function devices(options: CommandLineOptions): string[] {
  const { bus, style, iothreads, images, writeCache } = options;
  const above = (disk: number) => (filtersOf(options, disk).length > 0 ? '-filter0' : '');
  const drive = (disk: number) =>
    `id=dev${disk},drive=${style === 'drive' ? 'drive' : 'disk'}${disk}${above(disk)},write-cache=${writeCache ? 'on' : 'off'}`;
  const thread = (disk: number) => (iothreads ? `,iothread=iothread${disk}` : '');
  const each = (make: (disk: number) => string[]) => images.flatMap((_, disk) => make(disk));
  switch (bus) {
    case 'virtio-blk':
      return each(disk => ['-device', `virtio-blk-pci,${drive(disk)}${thread(disk)}`]);
    case 'scsi-hd': {
      // One controller for all, unless each disk is to have a thread of its own: threads belong to controllers.
      if (iothreads) {
        return each(disk => [
          ...['-device', `virtio-scsi-pci,id=scsi${disk}${thread(disk)}`],
          ...['-device', `scsi-hd,bus=scsi${disk}.0,${drive(disk)}`],
        ]);
      }
      const controller = ['-device', 'virtio-scsi-pci,id=scsi0'];
      return [
        ...controller,
        ...each(disk => ['-device', `scsi-hd,bus=scsi0.0,scsi-id=${disk},${drive(disk)}`]),
      ];
    }
    case 'vhost-user-blk':
      return [
        ...[
          '-object',
          'memory-backend-memfd,id=memory,size=64M,share=on',
          '-machine',
          'memory-backend=memory',
        ],
        ...each(disk => ['-device', `vhost-user-blk-pci,id=dev${disk},chardev=disk${disk}`]),
      ];
    case 'nvme':
      return each(disk => ['-device', `nvme,serial=blocksaga${disk},${drive(disk)}`]);
    case 'ide-hd': {
      if (images.length <= IDE_DISKS_MAX) {
        return each(disk => ['-device', `ide-hd,bus=ide.${disk >> 1},unit=${disk & 1},${drive(disk)}`]);
      }
      const controllers = Array.from({ length: Math.ceil(images.length / AHCI_PORTS) }, (_, n) => n);
      return [
        ...controllers.flatMap(n => ['-device', `ich9-ahci,id=ahci${n}`]),
        ...each(disk => {
          const port = `ahci${Math.floor(disk / AHCI_PORTS)}.${disk % AHCI_PORTS}`;
          return ['-device', `ide-hd,bus=${port},${drive(disk)}`];
        }),
      ];
    }
    case 'usb-storage':
      return [
        // usb-storage makes a scsi-hd of its own and does not hand its setting on to it.
        ...['-global', `scsi-hd.write-cache=${writeCache ? 'on' : 'off'}`],
        ...['-device', `qemu-xhci,id=xhci,p2=${USB_PORTS},p3=${USB_PORTS}`],
        ...each(disk => ['-device', `usb-storage,bus=xhci.0,${drive(disk)}`]),
      ];
  }
}
