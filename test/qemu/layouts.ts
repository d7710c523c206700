/** How managers lay a guest's disk out, as QEMU's arguments: one disk, the device `d0`, on an image of 16 MiB. They start nothing. */
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { qemuBinary, qemuImg } from '../../src/demo/qemu-tools.ts';

const SIZE = '16M';

interface LaidOut {
  readonly more: readonly string[];
  /** What QEMU is started by, where it needs help. */
  readonly qemu?: string;
  /** The device's path under /machine/peripheral, for what is written to it. */
  readonly path: string;
}

export interface Layout {
  readonly name: string;
  readonly lay: (folder: string) => Promise<LaidOut>;
}

async function image(folder: string, format: 'raw' | 'qcow2', size = SIZE): Promise<string> {
  const file = join(folder, `disk.${format}`);
  await qemuImg('create', '-q', '-f', format, file, size);
  return file;
}

const node = (options: object) => ['-blockdev', JSON.stringify(options)];
const BLK = ['-device', 'virtio-blk-pci,drive=top,id=d0'];
const onBlk = (more: readonly string[]): LaidOut => ({ more: [...more, ...BLK], path: 'd0/virtio-backend' });

const SCSI = ['-object', 'iothread,id=io0', '-device', 'virtio-scsi-pci,id=virtioscsi0,iothread=io0'];
const onScsi = (more: readonly string[], drive: string): LaidOut => ({
  more: [...more, ...SCSI, '-device', `scsi-hd,bus=virtioscsi0.0,scsi-id=0,drive=${drive},id=d0`],
  path: 'd0',
});

export const LAYOUTS: readonly Layout[] = [
  {
    name: 'Proxmox VE 8: `-drive`, raw, scsi-hd on a controller of its own in an iothread',
    async lay(folder) {
      const file = await image(folder, 'raw');
      const drive = `file=${file},if=none,id=drive-scsi0,format=raw,cache=none,aio=threads,detect-zeroes=on`;
      return onScsi(['-drive', drive], 'drive-scsi0');
    },
  },
  {
    name: 'Proxmox VE 9: a throttle filter on top, format and protocol nodes below, virtio-blk',
    async lay(folder) {
      const file = await image(folder, 'qcow2');
      return onBlk([
        ...['-object', 'throttle-group,id=throttle-drive-scsi0'],
        ...node({ driver: 'file', 'node-name': 'e0', filename: file, cache: { direct: false } }),
        ...node({ driver: 'qcow2', 'node-name': 'f0', file: 'e0' }),
        ...node({
          driver: 'throttle',
          'node-name': 'top',
          'throttle-group': 'throttle-drive-scsi0',
          file: 'f0',
        }),
      ]);
    },
  },
  {
    name: 'libvirt with format nodes',
    async lay(folder) {
      const file = await image(folder, 'qcow2');
      const common = { 'auto-read-only': true, discard: 'unmap' };
      return onBlk([
        ...node({ driver: 'file', 'node-name': 'libvirt-1-storage', filename: file, ...common }),
        ...node({ driver: 'qcow2', 'node-name': 'top', file: 'libvirt-1-storage', discard: 'unmap' }),
      ]);
    },
  },
  {
    name: 'libvirt without format nodes: a raw disk right on its storage node',
    async lay(folder) {
      const file = await image(folder, 'raw');
      return onBlk(node({ driver: 'file', 'node-name': 'top', filename: file, discard: 'unmap' }));
    },
  },
  {
    name: 'KubeVirt: a raw slice of a volume that is larger',
    async lay(folder) {
      const file = await image(folder, 'raw', '18M');
      return onBlk([
        ...node({ driver: 'file', 'node-name': 'libvirt-1-storage', filename: file }),
        ...node({ driver: 'raw', 'node-name': 'slice', size: 16 * 1024 * 1024, file: 'libvirt-1-storage' }),
        ...node({ driver: 'raw', 'node-name': 'top', file: 'slice' }),
      ]);
    },
  },
  {
    name: 'Incus: a file descriptor that was handed in (`/dev/fdset/1`), no format node',
    async lay(folder) {
      const file = await image(folder, 'raw');
      const qemu = join(folder, 'qemu-with-fd');
      await writeFile(qemu, `#!/bin/sh\nexec 9<>'${file}'\nexec '${qemuBinary()}' "$@"\n`);
      await chmod(qemu, 0o755);
      const open = { driver: 'file', 'node-name': 'top', filename: '/dev/fdset/1', locking: 'off' };
      return { ...onBlk(['-add-fd', 'fd=9,set=1', ...node(open)]), qemu };
    },
  },
];
