/**
 * Looks at the guest: its disks with their chains, who else uses them, and by what name the VM is known. Only queries;
 * what follows from them is the planners' business.
 */

import { expectNoEndedStream } from '../guest/ended-stream.ts';
import { listNodes, plainName, qomPath } from '../guest/graph.ts';
import { expectNotMigrating, SIGHT, sightIn } from '../guest/migration.ts';
import { isDaemon } from '../guest/storage-daemon.ts';
import type { FilterNode } from '../plan/filters.ts';
import { formatOf, isBare, readImageName } from '../plan/image-ref.ts';
import type { CacheFlags, ChainImage } from '../plan/plan.ts';
import type { QmpClient, Reply } from '../qmp/client.ts';
import { valueIfKnown, valueIn } from '../qmp/reply-values.ts';
import type { BlockDirtyInfo, BlockInfo } from '../qmp/schema.generated.ts';
import { type ImageTraits, traitsOfChain } from './image-traits.ts';
import { markOutsideIothreads } from './iothread-use.ts';
import { NodeGraph, type OlderDeviceInfo } from './node-graph.ts';

/** A dirty bitmap of a client; its granularity is in bytes. */
interface Bitmap {
  readonly name: string;
  readonly granularity: number;
  readonly persistent: boolean;
  readonly recording: boolean;
  readonly inconsistent: boolean;
}

/** One disk of the guest as it stands. */
export interface GuestDisk {
  /** The name of its image's uppermost node; '' before QEMU 2.5 for one without a given name. */
  readonly node: string;
  /** The filters of the user's between that and the device, uppermost first. */
  readonly filters: readonly FilterNode[];
  /** Name of the block backend, '' for `-blockdev` guests. */
  readonly drive: string;
  readonly qdev: string | null;
  /** The id that the device was given, when it was. */
  readonly device: string | null;
  readonly file: string;
  /** Whether QEMU has no room for the name of that image. */
  readonly isCutShort: boolean;
  /** The format of its active image. */
  readonly driver: string;
  /** Whether its device is right on a protocol node: QEMU by itself would call the format of its image by that. */
  readonly isBare: boolean;
  /** 0 before QEMU 1.6, which does not tell. */
  readonly sizeBytes: number;
  /** What the active image takes on the host's disk; null where QEMU does not tell. */
  readonly allocatedBytes: number | null;
  readonly readOnly: boolean;
  readonly chain: readonly ChainImage[];
  /** The named bitmaps of its active image. */
  readonly bitmaps: readonly Bitmap[];
  /** What each image of the chain is made like, front first. */
  readonly traits: readonly ImageTraits[];
  /** What each image's header says of the one below it, word for word; null where it says nothing. */
  readonly stored: readonly (string | null)[];
  /** Every node of each image of the chain (format, then protocol), front first, as far as QEMU tells. */
  readonly nodes: readonly (readonly string[])[];
  readonly cache: CacheFlags;
  readonly detectZeroes: string;
  /** A block job that uses one of its nodes. */
  readonly job: string | null;
  /**
   * Whether its device hands the guest's commands through to a device of the host's, past the block layer (scsi-block,
   * scsi-generic): no mirror, filter or overlay sees what the guest writes.
   */
  readonly passesThrough: boolean;
  /** Whether anything besides the guest's device may write to it, such as an export. */
  readonly otherWriter: boolean;
  /**
   * Whether its device stays in an iothread while the guest is stopped, for all that is known (`iothread-use.ts`). virtio-blk comes back to the main loop then;
   * virtio-scsi does not (QEMU's hw/block/dataplane, hw/scsi), and a filter above such a disk kills QEMU.
   */
  readonly keepsIothread: boolean;
}

/** The VM as it stands. */
export interface Survey {
  /** QEMU's UUID or name, when it was given one. */
  readonly vmName: string | null;
  /** False for a storage daemon, whose disks are what it exports. */
  readonly hasGuest: boolean;
  readonly running: boolean;
  readonly runState: string;
  /** The status of the last live migration, `none` where there was none. */
  readonly migration: string;
  readonly iothreads: boolean;
  /** Whether finalizing a mirror below a filter of a disk that keeps its iothread hangs QEMU: 7.2 (scsi-hd), not 10.0 or 11.1. */
  readonly hangsBelowFilters: boolean;
  /** Whether it dies of listing its nodes while an ended stream has not been dismissed (`ended-stream.ts`). */
  readonly diesOfEndedStream: boolean;
  readonly disks: readonly GuestDisk[];
  /** Drives without a medium, each by the names that it can be called by. */
  readonly empty: readonly (readonly string[])[];
  /** The ids of the secret objects that images can be opened with. */
  readonly secrets: readonly string[];
  /** The nodes that are no format: QEMU by itself would call the format of an image that one is by its protocol. */
  readonly bareNodes: readonly string[];
  /** The file names of all nodes, used by the disk or not. */
  readonly filesInUse: readonly string[];
}

/** What QEMU before 4.0 did not tell of a bitmap: one that may be persistent is taken for such. */
type OlderDirtyInfo = Omit<BlockDirtyInfo, 'persistent' | 'recording'> &
  Partial<Pick<BlockDirtyInfo, 'persistent' | 'recording'>> & { readonly status?: string };

/** Before QEMU 4.2 bitmaps are told of with the device, not with its node. */
type OlderBlockInfo = BlockInfo & { readonly 'dirty-bitmaps'?: readonly OlderDirtyInfo[] };

/** `query-block` names only the device inside a virtio-blk proxy so; scsi-hd and the others have it not. */
const VIRTIO_BLK_BACKEND = '/virtio-backend';
const FILTERS_SAFE_SINCE = 10;
const STREAMS_SAFE_SINCE = 10;
const NO_UUID = '00000000-0000-0000-0000-000000000000';

/** Two round trips of queries. Throws DISK_BUSY while an ended stream makes it dangerous to ask. */
export async function survey(qmp: QmpClient): Promise<Survey> {
  await expectNoEndedStream(qmp);
  const [status, migration, uuid, vmName, blocks, nodes, debugGraph, objects] = await qmp.pipeline([
    ...SIGHT,
    { execute: 'query-uuid' },
    { execute: 'query-name' },
    { execute: 'query-block' },
    listNodes(qmp),
    { execute: 'x-debug-query-block-graph' },
    { execute: 'qom-list', arguments: { path: '/objects' } },
  ]);
  const sight = sightIn(valueIn(status), migration);
  const found = valueIn(blocks);
  const known = valueIfKnown(nodes) ?? [];
  const older = debugGraph.ok ? [] : await jobsByDevice(qmp);
  const graph = new NodeGraph(known, valueIfKnown(debugGraph), older);
  const id = valueIfKnown(uuid)?.UUID;
  const made = valueIfKnown(objects) ?? [];
  const iothreads = made.some(object => object.type === 'child<iothread>');
  return {
    vmName: id !== undefined && id !== NO_UUID ? id : (valueIfKnown(vmName)?.name ?? null),
    hasGuest: !isDaemon([uuid, vmName, migration]),
    running: sight.running,
    runState: sight.status,
    migration: sight.migration,
    iothreads,
    hangsBelowFilters: qmp.version.major < FILTERS_SAFE_SINCE,
    diesOfEndedStream: qmp.version.major >= 6 && qmp.version.major < STREAMS_SAFE_SINCE,
    empty: found.flatMap(emptyDrive),
    disks: await markOutsideIothreads(
      qmp,
      await markPassedThrough(
        qmp,
        found.flatMap(block => guestDisk(block, graph, iothreads)),
        graph,
      ),
    ),
    secrets: made.filter(({ type }) => SECRETS.has(type)).map(({ name }) => name),
    bareNodes: known.flatMap(({ drv, 'node-name': name = '' }) => (isBare(drv) ? [name] : [])),
    filesInUse: [...known.map(node => node.file), ...filesOf(found)].map(plainName),
  };
}

/** The names of a drive that has no medium. */
function emptyDrive({ device, qdev, inserted }: BlockInfo): readonly (readonly string[])[] {
  if (inserted !== undefined) return [];
  const path = qomPath(qdev);
  const id = path === null ? null : deviceId(path);
  return [[id, device, path].filter((name): name is string => name !== null && name !== '')];
}

const SECRETS: ReadonlySet<string> = new Set(['child<secret>', 'child<secret_keyring>']);

/** A survey of a guest whose disks may be changed. Throws MIGRATING, and as `survey`. */
export async function surveyStaying(qmp: QmpClient): Promise<Survey> {
  const seen = await survey(qmp);
  expectNotMigrating({ running: seen.running, status: seen.runState, migration: seen.migration });
  return seen;
}

/** Whether all disks are on the same chains in both, and in the hands of the same jobs. */
export function isSameGraph(a: Survey, b: Survey): boolean {
  return JSON.stringify(a.disks.map(graphOf)) === JSON.stringify(b.disks.map(graphOf));
}

function graphOf({ node, filters, file, chain, job }: GuestDisk) {
  return { node, filters, file, chain, job };
}

/** Before QEMU 4.0 no graph says which nodes a job uses; where jobs have no names (before 2.7) their devices are known. */
async function jobsByDevice(qmp: QmpClient): Promise<readonly string[]> {
  const [jobs] = await qmp.pipeline([{ execute: 'query-block-jobs' }]);
  return (valueIfKnown(jobs) ?? []).map(({ device }) => device);
}

const PASS_THROUGH: ReadonlySet<unknown> = new Set(['scsi-block', 'scsi-generic']);

/** Asks for the type of the devices that are on a device of the host's: others cannot hand anything through to one. */
async function markPassedThrough(
  qmp: QmpClient,
  disks: readonly GuestDisk[],
  graph: NodeGraph,
): Promise<readonly GuestDisk[]> {
  const suspects = disks.filter(
    ({ qdev, nodes }) => qdev !== null && nodes[0]?.some(node => graph.isOfHost(node)),
  );
  if (suspects.length === 0) return disks;
  const types = await qmp.pipeline(
    suspects.map(({ qdev }) => ({
      execute: 'qom-get' as const,
      arguments: { path: qdev ?? '', property: 'type' },
    })),
  );
  const passing = new Set(
    suspects.filter((_, at) => PASS_THROUGH.has(valueIfKnown(types[at] as Reply<unknown>))),
  );
  return disks.map(disk => (passing.has(disk) ? { ...disk, passesThrough: true } : disk));
}

/** What devices are on: all that is told before QEMU 2.0, where nodes cannot be listed. */
function filesOf(blocks: readonly BlockInfo[]): readonly string[] {
  return blocks.flatMap(({ inserted }) =>
    inserted === undefined
      ? []
      : [inserted.file, ...(inserted.backing_file === undefined ? [] : [inserted.backing_file])],
  );
}

function guestDisk(block: BlockInfo, graph: NodeGraph, hasIothreads: boolean): readonly GuestDisk[] {
  if (block.inserted === undefined) return [];
  const { filters, inserted } = graph.belowFilters(block.inserted);
  const node = inserted['node-name'] ?? '';
  const chain = graph.chain(node, inserted);
  const qdev = qomPath(block.qdev);
  return [
    {
      node,
      filters,
      drive: block.device,
      qdev,
      device: qdev === null ? null : deviceId(qdev),
      file: graph.fileOf(node || null, inserted.file),
      isCutShort: readImageName(inserted.file).isCutShort,
      driver: formatOf(inserted.drv),
      isBare: isBare(inserted.drv),
      sizeBytes: inserted.image?.['virtual-size'] ?? 0,
      allocatedBytes: inserted.image?.['actual-size'] ?? null,
      readOnly: inserted.ro,
      chain,
      traits: traitsOfChain(inserted.image),
      bitmaps: namedBitmaps(graph.bitmaps(node) ?? (block as OlderBlockInfo)['dirty-bitmaps'] ?? []),
      stored: storedNames(inserted),
      nodes: chain.map(image => graph.nodesOf(image)),
      cache: { direct: inserted.cache?.direct ?? false, noFlush: inserted.cache?.['no-flush'] ?? false },
      detectZeroes: inserted.detect_zeroes ?? 'off',
      job: graph.jobOn([...filters, ...chain], block.device),
      passesThrough: false,
      otherWriter: [{ node }, ...filters].some(each => graph.writers(each.node) > 1),
      keepsIothread: hasIothreads && !(qdev?.endsWith(VIRTIO_BLK_BACKEND) ?? false),
    },
  ];
}

function namedBitmaps(bitmaps: readonly OlderDirtyInfo[]): readonly Bitmap[] {
  return bitmaps.flatMap(
    ({ name, granularity, persistent = true, recording, status, inconsistent = false }) => {
      if (name === undefined) return [];
      const records = (recording ?? status === 'active') && !inconsistent;
      return [{ name, granularity, persistent, recording: records, inconsistent }];
    },
  );
}

function storedNames({ image }: OlderDeviceInfo): readonly (string | null)[] {
  const names: (string | null)[] = [];
  for (let each: typeof image | undefined = image; each !== undefined; each = each['backing-image']) {
    names.push(each['backing-filename'] ?? null);
  }
  return names;
}

/** `/machine/peripheral/dev0/virtio-backend` is the device `dev0`; QEMU names others itself. */
function deviceId(qdev: string): string | null {
  return /^\/machine\/peripheral\/([^/]+)/.exec(qdev)?.[1] ?? null;
}
