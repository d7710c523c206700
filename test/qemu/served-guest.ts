/**
 * A guest whose disks are what a qemu-storage-daemon exports, by NBD or vhost-user-blk: the ordered writer is in one process, the
 * images in another. The daemon is asked on a second monitor of its own, and its images are judged when it has ended.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { createImages, type GuestImage } from '../../src/demo/guest-images.ts';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { checkCut, missingWrites, readCut } from '../../src/demo/ordered-cut.ts';
import { connectWhenUp, type Qemu, startQemu } from '../../src/demo/qemu-process.ts';
import { qemuBinary } from '../../src/demo/qemu-tools.ts';
import type { Reports } from '../../src/demo/reports.ts';
import type { Witness } from '../../src/demo/witness.ts';
import type { BlockDeviceInfo, BlockExportInfo } from '../../src/qmp/schema.generated.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { PACING_US } from './pace.ts';

const SIZE_BYTES = 8 * 1024 * 1024;

export interface ServedOptions {
  readonly disks: number;
  readonly by: 'nbd' | 'vhost-user-blk';
  /** `QEMU_BINARY` unless said. */
  readonly qemu?: string;
  /** Whether each image stands on a base with data. */
  readonly backing?: boolean;
  /** A throttle filter above each image, which the export is on. */
  readonly filtered?: boolean;
}

export interface Served {
  readonly folder: string;
  /** The daemon's monitor for blocksaga. */
  readonly monitor: string;
  readonly witness: Witness;
  readonly daemon: Qemu;
  readonly images: readonly GuestImage[];
  readonly vm: GuestVm;
  /** By export: the node that it serves, and the files of its chain. */
  fronts(): Promise<readonly { readonly node: string; readonly chain: readonly string[] }[]>;
  /** The names of all nodes, jobs and objects of the daemon, and of all files. */
  world(): Promise<readonly string[]>;
}

/** The daemon beside a QEMU; undefined where there is none. */
export function daemonBeside(binary = qemuBinary()): string | undefined {
  const places = [dirname(binary), '/usr/bin'].map(place => join(place, 'qemu-storage-daemon'));
  return places.find(existsSync);
}

/** Its exports are `export0`, `export1`, ..., of the nodes `disk0`, `disk1`, ... */
export async function servedGuest({
  disks,
  by,
  qemu,
  backing = false,
  filtered = false,
}: ServedOptions): Promise<Served> {
  const folder = temporaryFolder();
  const images = await createImages({
    directory: folder,
    disks,
    format: 'qcow2',
    sizeBytes: SIZE_BYTES,
    backing,
  });
  const [monitor, second] = [join(folder, 'qmp'), join(folder, 'witness')];
  const program =
    daemonBeside(qemu) ?? expect.unreachable('there is no qemu-storage-daemon beside this QEMU');
  const daemon = startQemu(
    program,
    daemonArguments({ images, by, filtered, folder, monitors: [monitor, second] }),
    NO_REPORTS,
    folder,
  );
  onTestFinished(() => daemon.kill());
  const witness = await connectWhenUp(second, daemon);
  onTestFinished(() => witness.close());
  const ask = async <T>(command: string, args: object = {}) => (await witness.execute(command, args)) as T;
  const vm = await startGuestVm({
    disks,
    sizeBytes: SIZE_BYTES,
    pacingUs: PACING_US,
    ...(qemu === undefined ? {} : { qemu }),
    ...(by === 'nbd' ? { style: 'drive' } : { bus: by }),
    images: images.map((_, disk) => ({ file: addressOf(folder, by, disk), format: 'raw' })),
  });
  onTestFinished(() => vm[Symbol.asyncDispose]());
  return {
    ...{ folder, monitor, witness, daemon, images, vm },
    async fronts() {
      const exports = await ask<readonly BlockExportInfo[]>('query-block-exports');
      const nodes = await ask<readonly BlockDeviceInfo[]>('query-named-block-nodes');
      return exports
        .toSorted((a, b) => (a.id < b.id ? -1 : 1))
        .map(each => {
          const chain: string[] = [];
          let image = nodes.find(node => node['node-name'] === each['node-name'])?.image;
          for (; image !== undefined; image = image['backing-image']) chain.push(image.filename);
          return { node: each['node-name'], chain };
        });
    },
    async world() {
      const nodes = await ask<readonly BlockDeviceInfo[]>('query-named-block-nodes', { flat: true });
      const jobs = await ask<readonly { id: string }[]>('query-jobs');
      // Until the first object is made, some versions have no place for them.
      const objects = await ask<readonly { name: string; type: string }[]>('qom-list', {
        path: '/objects',
      }).catch(() => []);
      return [
        ...nodes.map(node => `node ${node['node-name']}`),
        ...jobs.map(({ id }) => `job ${id}`),
        ...objects
          .filter(({ type }) => type.startsWith('child<throttle'))
          .map(({ name }) => `object ${name}`),
        ...(await readdir(folder)).map(name => `file ${name}`),
      ].toSorted();
    },
  };
}

/** The images, front first, hold all that the guest was told of; those behind hold one instant. Ends the guest and the daemon. */
export async function expectServedSets(
  on: Served,
  front: readonly string[],
  behind: readonly string[] | null,
  acknowledgedBefore: number,
): Promise<void> {
  await on.vm.kill();
  await on.daemon.kill();
  const cut = await readCut(front.map(file => ({ file })));
  const verdict = checkCut(cut);
  expect(verdict, verdict.why).toMatchObject({ consistent: true });
  expect(missingWrites(cut, on.vm.acknowledged())).toEqual([]);
  if (behind === null) return;
  const old = await readCut(behind.map(file => ({ file })));
  const oldVerdict = checkCut(old);
  expect(oldVerdict, oldVerdict.why).toMatchObject({ consistent: true });
  expect(missingWrites(old, acknowledgedBefore)).toEqual([]);
  expect(oldVerdict.upTo).toBeLessThanOrEqual(verdict.upTo);
}

interface DaemonOptions {
  readonly images: readonly GuestImage[];
  readonly by: 'nbd' | 'vhost-user-blk';
  readonly filtered: boolean;
  readonly folder: string;
  readonly monitors: readonly string[];
}

function daemonArguments({ images, by, filtered, folder, monitors }: DaemonOptions): readonly string[] {
  const node = (options: object) => ['--blockdev', JSON.stringify(options)];
  return [
    ...images.flatMap(({ file, base }, at) => [
      ...(base === undefined
        ? []
        : [
            ...node({
              driver: 'file',
              'node-name': `base${at}-file`,
              filename: base,
              'auto-read-only': true,
            }),
            ...node({ driver: 'qcow2', 'node-name': `base${at}`, file: `base${at}-file`, 'read-only': true }),
          ]),
      ...node({ driver: 'file', 'node-name': `disk${at}-file`, filename: file }),
      ...node({
        ...{ driver: 'qcow2', 'node-name': `disk${at}`, file: `disk${at}-file` },
        ...(base === undefined ? {} : { backing: `base${at}` }),
      }),
      ...(filtered
        ? [
            ...['--object', `throttle-group,id=limits${at}`],
            ...node({
              driver: 'throttle',
              'node-name': `filter${at}`,
              'throttle-group': `limits${at}`,
              file: `disk${at}`,
            }),
          ]
        : []),
    ]),
    ...(by === 'nbd' ? ['--nbd-server', `addr.type=unix,addr.path=${join(folder, 'nbd')}`] : []),
    ...images.flatMap((_, at) => {
      const place =
        by === 'nbd' ? `name=export${at}` : `addr.type=unix,addr.path=${addressOf(folder, by, at)}`;
      const what = `type=${by},id=export${at},node-name=${filtered ? 'filter' : 'disk'}${at}`;
      // What a guest was told to be written survives the daemon's death, whether or not the guest can flush.
      return ['--export', `${what},writable=on,writethrough=on,${place}`];
    }),
    ...monitors.flatMap((path, at) => [
      ...['--chardev', `socket,id=monitor${at},path=${path},server=on,wait=off`],
      ...['--monitor', `chardev=monitor${at}`],
    ]),
  ];
}

function addressOf(folder: string, by: 'nbd' | 'vhost-user-blk', disk: number): string {
  return by === 'nbd'
    ? `nbd+unix:///export${disk}?socket=${join(folder, 'nbd')}`
    : join(folder, `disk${disk}.sock`);
}

/** A daemon reports nothing. */
const NO_REPORTS: Pick<Reports, 'end' | 'endNow'> = { end: async () => undefined, endNow: () => undefined };
