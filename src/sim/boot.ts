/** How a simulated QEMU starts: its images, nodes and devices, as `-blockdev`, `-drive` and `-device` would make them. */

import { EXPORT_NEEDS } from './commands/export-commands.ts';
import { DEVICE_NEEDS } from './commands/machine-commands.ts';
import { addUser, patchNode } from './graph/graph.ts';
import { fileOptions, openNode } from './graph/open-node.ts';
import { EMPTY } from './host/contents.ts';
import type { Host } from './host/host.ts';
import { NO_MIGRATION } from './machine/migration.ts';
import type { Arguments } from './state/arguments.ts';
import type { Context } from './state/context.ts';
import { Backend, Device } from './state/devices.ts';
import type { RunState } from './state/run-states.ts';
import { type Qemu, WRITE } from './state/state.ts';

/** `scsi-block` passes a device of the host's through, whose part a file plays here. */
export type Bus = 'virtio-blk' | 'scsi-hd' | 'ide-hd' | 'nvme' | 'usb-storage' | 'sd-card' | 'scsi-block';

/** One disk of the guest. */
export interface DiskDefinition {
  readonly path: string;
  readonly format: 'qcow2' | 'raw';
}

export interface MachineDefinition {
  readonly disks: readonly DiskDefinition[];
  readonly style: 'blockdev' | 'drive';
  readonly drivePrefix: string;
  readonly bus: Bus;
  readonly iothreads: boolean;
  readonly settableDrive: boolean;
  readonly shareRw: boolean;
  readonly runState: RunState;
  /** Its images are encrypted with `DISK_SECRET`. */
  readonly encrypted: boolean;
  /** Filters between the device of each of the `filtered` disks and its image, uppermost first. */
  readonly filters: readonly FilterDriver[];
  readonly filtered: readonly number[];
  /** Each disk's nodes are one tree of options, as Proxmox VE 9 starts them. */
  readonly inline: boolean;
}

/** What an administrator may have above an image. */
export type FilterDriver = 'throttle' | 'copy-on-read';

const TYPES: Readonly<Record<Bus, readonly [type: string, backendType: string]>> = {
  'virtio-blk': ['virtio-blk-pci', 'virtio-blk-device'],
  'scsi-hd': ['scsi-hd', 'scsi-hd'],
  'ide-hd': ['ide-hd', 'ide-hd'],
  nvme: ['nvme', 'nvme'],
  'usb-storage': ['usb-storage', 'usb-storage'],
  'sd-card': ['sd-card', 'sd-card'],
  'scsi-block': ['scsi-block', 'scsi-block'],
};

export function emptyQemu(runState: RunState): Qemu {
  return {
    nodes: new Map(),
    backends: new Map(),
    devices: new Map(),
    jobs: new Map(),
    throttleGroups: new Map(),
    secrets: new Map(),
    exports: new Map(),
    nbdServer: false,
    runState,
    wasSuspended: false,
    migration: NO_MIGRATION,
    serial: 0,
  };
}

/** The secret object of a guest whose disks are encrypted, and what it holds. */
const DISK_SECRET = 'secret0';
const DISK_PASSPHRASE = 'of the disks';

export function bootMachine(ctx: Context, machine: MachineDefinition): void {
  if (machine.encrypted) ctx.q.edit('secrets').set(DISK_SECRET, DISK_PASSPHRASE);
  machine.disks.forEach((disk, index) => {
    const node =
      machine.style === 'blockdev' ? openBlockdev(ctx, machine, disk, index) : openDrive(ctx, disk);
    const [type, backendType] = TYPES[machine.bus];
    const id = `dev${index}`;
    const path = `/machine/peripheral/${id}${machine.bus === 'virtio-blk' ? '/virtio-backend' : ''}`;
    ctx.q.edit('devices').set(
      id,
      new Device({
        id,
        type,
        backendType,
        path,
        iothread: machine.iothreads,
        settableDrive: machine.settableDrive,
      }),
    );
    ctx.q
      .edit('backends')
      .set(path, new Backend(path, machine.style === 'drive' ? `${machine.drivePrefix}${index}` : '', node));
    const { perm, shared } = ctx.profile.servesExports ? EXPORT_NEEDS : DEVICE_NEEDS;
    const sharing = shared | (machine.shareRw ? WRITE : 0);
    addUser(ctx, node, { kind: 'backend', parent: path, role: 'root', perm, shared: sharing });
  });
}

/** The node that the device is on: the uppermost filter, or the image. */
function openBlockdev(ctx: Context, machine: MachineDefinition, disk: DiskDefinition, index: number): string {
  const protocol: Node = {
    driver: machine.bus === 'scsi-block' ? 'host_device' : 'file',
    'node-name': `disk${index}-file`,
    filename: disk.path,
    discard: 'unmap',
  };
  const image: Node = {
    driver: disk.format,
    'node-name': `disk${index}`,
    discard: 'unmap',
    ...openedWith(ctx.host, disk.path),
  };
  const nodes = [protocol, image, ...filtersOf(ctx, machine, index)];
  let below: Node | undefined;
  for (const node of nodes) {
    const child = below === undefined ? {} : { file: machine.inline ? below : below['node-name'] };
    below = { ...node, ...child };
    if (!machine.inline || node === nodes.at(-1)) openNode(ctx, below, { monitorOwned: true });
  }
  return String(below?.['node-name']);
}

/** What opens an image that is encrypted, and the images below it, of which a header says only where they are. */
function openedWith(host: Context['host'], path: string): Arguments {
  const image = host.image(path);
  if (image?.passphrase === undefined) return {};
  const { backing, backingFormat = 'raw' } = image;
  return {
    encrypt: { format: 'luks', 'key-secret': DISK_SECRET },
    ...(backing === undefined
      ? {}
      : { backing: { ...fileOptions(backing, backingFormat), ...openedWith(host, backing) } }),
  };
}

interface Node extends Arguments {
  readonly 'node-name': string;
}

/** Those of a disk, lowest first, each throttle with a group of its own. */
function filtersOf(ctx: Context, { filters, filtered }: MachineDefinition, index: number): readonly Node[] {
  if (!filtered.includes(index)) return [];
  return filters
    .map((driver, at): Node => {
      const node = { driver, 'node-name': `disk${index}-filter${at}` };
      if (driver !== 'throttle') return node;
      const group = `disk${index}-limits${at}`;
      ctx.q.edit('throttleGroups').set(group, 0);
      return { ...node, 'throttle-group': group };
    })
    .toReversed();
}

/** A -drive's nodes have no names and go when nothing uses them. */
function openDrive(ctx: Context, disk: DiskDefinition): string {
  const file = { driver: 'file', filename: disk.path };
  const options = { driver: disk.format, file, discard: 'unmap', ...openedWith(ctx.host, disk.path) };
  const node = openNode(ctx, options, { monitorOwned: false });
  return patchNode(ctx, node.name, { inherits: false }).name;
}

/** Writes the image files of a fresh machine: `layers` images below each disk, empty. */
export function makeImages(
  host: Host,
  machine: Pick<MachineDefinition, 'disks' | 'encrypted'> & {
    readonly sizeBytes: number;
    readonly layers: number;
  },
): void {
  machine.disks.forEach((disk, index) => {
    const below: string[] = [];
    for (let layer = 0; layer < machine.layers; layer += 1) {
      below.push(disk.path.replace(/[^/]*$/, `disk${index}-base${layer}.qcow2`));
    }
    for (const [layer, path] of [...below, disk.path].entries()) {
      const backing = layer === 0 ? undefined : below[layer - 1];
      const format = path === disk.path ? disk.format : 'qcow2';
      host.write(path, {
        format,
        sizeBytes: machine.sizeBytes,
        backing: format === 'raw' ? undefined : backing,
        backingFormat: backing === undefined || format === 'raw' ? undefined : 'qcow2',
        contents: EMPTY,
        ...(machine.encrypted && format === 'qcow2' ? { passphrase: DISK_PASSPHRASE } : {}),
      });
      host.flush(path);
    }
    host.syncDirectory(disk.path.replace(/\/[^/]*$/, ''));
  });
}
