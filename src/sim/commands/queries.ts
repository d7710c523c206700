/** What the query commands answer, in QEMU's own shapes. Changes nothing. */

import type { Json } from '../../qmp/transport.ts';
import { luksSpecifics } from '../graph/encryption.ts';
import { fileName } from '../graph/file-name.ts';
import { below, childOf, skipImplicitFilters } from '../graph/graph.ts';
import { imageOf, sizeOf } from '../graph/image-io.ts';
import { covered } from '../host/contents.ts';
import { fileLength, type Image, type ImageLayout } from '../host/host.ts';
import { type Context, nodeOf } from '../state/context.ts';
import { type Came, since, withoutLaterMembers } from '../state/later-members.ts';
import { Death } from '../state/refusal.ts';
import type { BlockNode } from '../state/state.ts';
import type { Telling } from '../state/told.ts';
import { describeBitmaps, deviceBitmaps, hasBitmaps } from './query-bitmaps.ts';

/** A storage daemon has no device, and tells of none. */
export function queryBlock(ctx: Context): Json {
  if (ctx.profile.servesExports) return [];
  return [...ctx.q.backends.values()].map(backend => ({
    'io-status': 'ok',
    device: backend.name,
    locked: false,
    removable: false,
    ...(backend.node === undefined
      ? {}
      : { inserted: describeNode(ctx, skipImplicitFilters(ctx, backend.node), true) }),
    ...(since(ctx.profile, 2, 10) ? { qdev: backend.id } : {}),
    ...deviceBitmaps(ctx, backend.node),
    type: 'unknown',
  }));
}

export function queryNamedBlockNodes(ctx: Context, { flat }: { readonly [name: string]: Json }): Json {
  for (const node of ctx.q.nodes.values()) {
    if (node.isFilter && below(node) === undefined) {
      throw new Death('SIGSEGV', 'the nodes were listed while a job was concluded and not dismissed');
    }
  }
  return [...ctx.q.nodes.values()]
    .filter(node => since(ctx.profile, 2, 5) || !node.name.startsWith('#'))
    .sort((a, b) => b.serial - a.serial)
    .map(node => (flat === true ? describeAlone(ctx, node) : describeNode(ctx, node, false)));
}

/** A flat list tells of each node without what is below it, also of a filter (`bdrv_block_device_info`, block/qapi.c). */
function describeAlone(ctx: Context, node: BlockNode): Telling {
  const whole = describeNode(ctx, node, false);
  const told = node.told.again('flat', whole, undefined);
  if (told !== undefined) return told;
  const { 'backing-image': _, ...image } = whole['image'] as Telling;
  return node.told.keep('flat', whole, undefined, { ...whole, image, backing_file_depth: 0 });
}

/**
 * `hides`: leaves out the filters of jobs, as query-block does. What is told of a node follows from itself, what its file
 * holds, and what is told of the image below: whatever changes further down makes that another one.
 */
function describeNode(ctx: Context, node: BlockNode, hides: boolean): Telling {
  const image = describeImage(ctx, node, hides);
  // Bitmaps count what jobs do, which is not in the graph.
  if (hasBitmaps(node)) return composeNode(ctx, node, hides, image);
  const kind = hides ? 'nodeHiding' : 'node';
  return (
    node.told.again(kind, image, undefined) ??
    node.told.keep(kind, image, undefined, composeNode(ctx, node, hides, image))
  );
}

function composeNode(ctx: Context, node: BlockNode, hides: boolean, image: Json): Telling {
  const { version } = ctx.profile;
  const under = node.isFilter ? undefined : backingOf(ctx, node, hides);
  const bitmaps = describeBitmaps(ctx, node);
  const device: { [member: string]: Json } = {
    iops_rd: 0,
    detect_zeroes: 'off',
    image,
    iops_wr: 0,
    ro: node.readOnly,
    'node-name': node.name,
    backing_file_depth: depth(ctx, node, hides),
    drv: node.driver,
    iops: 0,
    bps_wr: 0,
    write_threshold: 0,
  };
  if (bitmaps.length > 0) device['dirty-bitmaps'] = bitmaps;
  if (under !== undefined) device['backing_file'] = fileName(ctx, under);
  device['encrypted'] = isEncrypted(node);
  device['bps'] = 0;
  device['bps_rd'] = 0;
  device['cache'] = CACHE;
  device['file'] = fileName(ctx, node);
  // Members of BlockDeviceInfo that came and went: qapi/block-core.json of 5.2, 10.0 and 11.1.
  if (version.major < 6) device['encryption_key_missing'] = false;
  if (version.major >= 10) device['active'] = true;
  if (version.major >= 11) device['children'] = childrenOf(node);
  // Until 2.5 a node without a given name had none.
  if (!since(ctx.profile, 2, 5) && node.name.startsWith('#')) delete device['node-name'];
  return withoutLaterMembers(ctx.profile, CAME, device);
}

const CACHE = { 'no-flush': false, direct: false, writeback: true };

/** When members of BlockDeviceInfo came (the `Since:` tags of QEMU's qapi/block-core.json). */
const CAME: Came = [
  ['backing_file_depth', 1, 2],
  ['image', 1, 6],
  ['node-name', 2, 0],
  ['detect_zeroes', 2, 1],
  ['cache', 2, 3],
  ['write_threshold', 2, 3],
  ['dirty-bitmaps', 4, 2],
];

function childrenOf(node: BlockNode): Json {
  return node.children.map(({ role, child }) => ({ child: role, 'node-name': child })).reverse();
}

function describeImage(ctx: Context, node: BlockNode, hides: boolean): Telling {
  const image = imageOf(ctx, node.name);
  const under = backingOf(ctx, node, hides);
  const backing = under === undefined ? undefined : describeImage(ctx, under, hides);
  const kind = hides ? 'imageHiding' : 'image';
  return (
    node.told.again(kind, image, backing, isToldAlike) ??
    node.told.keep(kind, image, backing, composeImage(ctx, node, image, backing))
  );
}

/** A write shows only in how much room the data take. */
function isToldAlike(a: Image, b: Image): boolean {
  return (
    a.format === b.format &&
    a.sizeBytes === b.sizeBytes &&
    a.backing === b.backing &&
    a.backingFormat === b.backingFormat &&
    a.layout === b.layout &&
    a.bitmaps === b.bitmaps &&
    actualSize(a) === actualSize(b)
  );
}

function composeImage(ctx: Context, node: BlockNode, image: Image, backing: Telling | undefined): Telling {
  const isQcow2 = node.driver === 'qcow2';
  const clustered = isQcow2 || (node.isFilter && !isPlain(belowFilters(ctx, node)));
  const header = isQcow2 ? image.backing : undefined;
  const telling: { [member: string]: Json } = {};
  if (backing !== undefined) telling['backing-image'] = backing;
  if (header !== undefined && image.backingFormat !== undefined) {
    telling['backing-filename-format'] = image.backingFormat;
  }
  telling['virtual-size'] = sizeOf(ctx, node);
  telling['filename'] = fileName(ctx, node);
  const clusterBytes = clusterBytesOf(image, node);
  if (clusterBytes !== undefined || clustered) telling['cluster-size'] = clusterBytes ?? 65_536;
  telling['format'] = node.driver;
  telling['actual-size'] = actualSize(image);
  const luks = isEncrypted(node) ? luksSpecifics(ctx.profile) : undefined;
  if (luks !== undefined) telling['encrypted'] = true;
  if (node.driver === 'vmdk') telling['format-specific'] = vmdkSpecifics(ctx, node);
  if (ctx.profile.version.major >= 11) telling['limits'] = limits(ctx, node);
  if (isQcow2) telling['format-specific'] = qcow2Specifics(image, luks);
  if (node.driver === 'luks') telling['format-specific'] = { type: 'luks', data: luks ?? {} };
  if (node.path !== undefined && ctx.profile.version.major >= 10) {
    telling['format-specific'] = FILE_SPECIFICS;
  }
  if (header !== undefined) {
    telling['full-backing-filename'] = header;
    telling['backing-filename'] = header;
  }
  if (hasInfo(ctx, node)) telling['dirty-flag'] = false;
  return telling;
}

/** Of a format whose driver tells of its clusters. */
function clusterBytesOf({ layout }: Image, { driver }: BlockNode): number | undefined {
  return isPlainDriver(driver) || driver.startsWith('null-') ? undefined : layout?.clusterBytes;
}

/** bdrv_get_info(): a null node has nothing to tell. */
function hasInfo(ctx: Context, node: BlockNode): boolean {
  if (node.driver.startsWith('null-')) return false;
  const child = node.driver === 'raw' || node.isFilter ? (below(node) ?? childOf(node, 'file')) : undefined;
  return child === undefined || hasInfo(ctx, nodeOf(ctx.q, child));
}

function actualSize(image: Image): number {
  return image.format === 'raw' ? covered(image.contents) : fileLength(image) + 3_584;
}

/** Opened with a secret. */
function isEncrypted({ given }: BlockNode): boolean {
  return given['key-secret'] !== undefined || given['encrypt.key-secret'] !== undefined;
}

function qcow2Specifics({ bitmaps = [], layout }: Image, luks: Telling | undefined): Telling {
  if (bitmaps.length === 0 && layout === undefined && luks === undefined) return QCOW2_SPECIFICS;
  const plain = layout === undefined ? QCOW2_SPECIFICS.data : qcow2Data(layout);
  const data = luks === undefined ? plain : { ...plain, encrypt: { format: 'luks', ...luks } };
  if (bitmaps.length === 0) return { type: 'qcow2', data };
  const told = bitmaps.map(({ name, granularity, inUse, recording }) => ({
    flags: [...(inUse ? ['in-use'] : []), ...(recording ? ['auto'] : [])],
    name,
    granularity,
  }));
  return { type: 'qcow2', data: { ...data, bitmaps: told } };
}

function qcow2Data(layout: ImageLayout): Telling {
  const {
    isOld,
    compressionType = 'zlib',
    refcountBits = 16,
    lazyRefcounts = false,
    extendedL2 = false,
  } = layout;
  const common = { 'compression-type': compressionType, 'refcount-bits': refcountBits };
  if (isOld === true) return { compat: '0.10', ...common };
  const { corrupt } = QCOW2_SPECIFICS.data;
  return { compat: '1.1', ...common, 'lazy-refcounts': lazyRefcounts, corrupt, 'extended-l2': extendedL2 };
}

function vmdkSpecifics(ctx: Context, node: BlockNode): Telling {
  const extent = {
    'cluster-size': 65_536,
    filename: fileName(ctx, node),
    format: '',
    'virtual-size': sizeOf(ctx, node),
  };
  const data = { cid: 1, 'create-type': 'monolithicSparse', extents: [extent], 'parent-cid': 4_294_967_295 };
  return { type: 'vmdk', data };
}

const FILE_SPECIFICS = { type: 'file', data: {} };

const QCOW2_SPECIFICS = {
  type: 'qcow2',
  data: {
    compat: '1.1',
    'compression-type': 'zlib',
    'lazy-refcounts': false,
    'refcount-bits': 16,
    corrupt: false,
    'extended-l2': false,
  },
};

/** 11.1 says what requests a node takes; all that it can, a filter takes over from below. */
function limits(ctx: Context, node: BlockNode): Json {
  const under = belowFilters(ctx, node);
  const clustered = under.driver === 'qcow2';
  const { clusterBytes = 65_536, extendedL2 = false } = imageOf(ctx, under.name).layout ?? {};
  const written = extendedL2 ? clusterBytes / 32 : clusterBytes;
  return {
    ...(node.driver === 'qcow2' ? { 'write-zeroes-alignment': written } : {}),
    // A cipher works by sectors.
    'request-alignment': isEncrypted(under) ? 512 : 1,
    'min-mem-alignment': hasInfo(ctx, node) ? 1 : 512,
    ...(clustered && node.driver !== 'mirror_top' ? { 'discard-alignment': clusterBytes } : {}),
    'opt-mem-alignment': 4_096,
    'max-iov': 1_024,
  };
}

/** The next image below for `backing-image`: a filter's child counts as well. */
function backingOf(ctx: Context, node: BlockNode, hides: boolean): BlockNode | undefined {
  const child = below(node);
  if (child === undefined) return undefined;
  const found = nodeOf(ctx.q, child);
  return hides && found.implicit ? skipImplicitFilters(ctx, child) : found;
}

function depth(ctx: Context, node: BlockNode, hides: boolean): number {
  let count = 0;
  for (let next = backingOf(ctx, node, hides); next !== undefined; next = backingOf(ctx, next, hides))
    count += 1;
  return count;
}

/** The first node below that is no filter. */
function belowFilters(ctx: Context, node: BlockNode): BlockNode {
  const child = node.isFilter ? below(node) : undefined;
  return child === undefined ? node : belowFilters(ctx, nodeOf(ctx.q, child));
}

/** Has no clusters. */
function isPlain(node: BlockNode): boolean {
  return isPlainDriver(node.driver);
}

function isPlainDriver(driver: string): boolean {
  return driver === 'file' || driver === 'host_device' || driver === 'raw';
}
