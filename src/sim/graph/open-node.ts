/**
 * Opening images: blockdev-add's options become nodes, with the children that they name, hold inline or, for a backing
 * file, find in the image's header (bdrv_open(), block.c).
 */

import { nodeNamedIn, plainNameIn } from '../../images/backing-name.ts';
import type { Json } from '../../qmp/transport.ts';
import { fileLength } from '../host/host.ts';
import type { Arguments } from '../state/arguments.ts';
import { type Context, lookupNode } from '../state/context.ts';
import { Death, refuse } from '../state/refusal.ts';
import { BlockNode, type ChildLink, type NewNode } from '../state/state.ts';
import { unlock } from './encryption.ts';
import { addUser, automaticName, nodeEdge, patchNode } from './graph.ts';
import { imageOf, sizeOf } from './image-io.ts';
import { checkPermissions } from './permissions.ts';
import { loadBitmaps } from './stored-bitmaps.ts';

/** Drivers that understand a header with a backing file in it. */
export const BACKING_DRIVERS = new Set(['qcow2', 'qed', 'vmdk']);
const FORMAT_DRIVERS = new Set(['raw', 'qcow2', 'qed', 'vmdk', 'vdi', 'vhdx', 'luks']);
const NULL_DRIVERS = new Set(['null-co', 'null-aio']);
const NULL_BYTES = 1_073_741_824;

interface Place {
  readonly monitorOwned?: boolean;
  readonly inherits?: boolean;
  readonly readOnly?: boolean;
  readonly sharesAll?: boolean;
  readonly unmap?: boolean;
}

/** Opens a node and everything below it, and checks the permissions of all that was touched. */
export function openNode(ctx: Context, options: Arguments, place: Place = {}): BlockNode {
  const node = open(ctx, options, place);
  checkPermissions(ctx, [node.name]);
  return node;
}

function open(ctx: Context, options: Arguments, place: Place): BlockNode {
  const driver = String(options['driver']);
  const readOnly =
    options['read-only'] === undefined ? (place.readOnly ?? false) : options['read-only'] === true;
  const unmap = options['discard'] === undefined ? (place.unmap ?? false) : isUnmap(options['discard']);
  const sharesAll =
    options['force-share'] === undefined ? (place.sharesAll ?? false) : options['force-share'] === true;
  if (sharesAll && !readOnly) refuse('force-share=on can only be used with read-only images');
  const flags = {
    readOnly,
    sharesAll,
    unmap,
    monitorOwned: place.monitorOwned ?? false,
    inherits: place.inherits ?? false,
  };
  if (driver === 'file' || driver === 'host_device') {
    return openFile(ctx, options, { name: nodeName(ctx, options['node-name']), driver, ...flags });
  }
  if (NULL_DRIVERS.has(driver))
    return openNull(ctx, options, { name: nodeName(ctx, options['node-name']), driver, ...flags });
  for (const name of driver === 'raw' ? ['size', 'offset'] : []) {
    if (Number(options[name]) < 0) refuse(ctx.profile.texts.negative(name, Number(options[name])));
  }
  const file = openChild(ctx, options['file'], { readOnly, sharesAll, unmap, inherits: true });
  const name = nodeName(ctx, options['node-name']);
  const fields = { name, driver, ...flags };
  const group = options['throttle-group'];
  if (typeof group === 'string' && !ctx.q.throttleGroups.has(group)) {
    refuse(`Throttle group '${group}' does not exist`);
  }
  const under = ctx.q.nodes.get(file);
  if (under?.path !== undefined || (under !== undefined && NULL_DRIVERS.has(under.driver)))
    refuseWrongFormat(ctx, driver, under.name);
  const given = under === undefined ? undefined : unlock(ctx, driver, imageOf(ctx, under.name), options);
  const throttleGroup = typeof group === 'string' ? group : undefined;
  const { bottom } = options;
  if (typeof bottom === 'string' && !ctx.q.nodes.has(bottom)) refuse(`Bottom node '${bottom}' not found`);
  const isPart = driver === 'raw' && (options['size'] !== undefined || options['offset'] !== undefined);
  const node = add(ctx, {
    ...fields,
    throttleGroup,
    given: given ?? {},
    ...(isPart ? { sizeAtOpen: 0 } : {}),
  });
  const children: ChildLink[] = [{ role: 'file', child: file }];
  addUser(ctx, file, nodeEdge(name, 'file'));
  // Each child is checked as it comes; what there is below is opened after the file.
  if (isPart || typeof options['backing'] === 'string') checkPermissions(ctx, [file]);
  const backing = BACKING_DRIVERS.has(driver)
    ? openBacking(ctx, options['backing'], file, { unmap, sharesAll })
    : undefined;
  if (backing !== undefined) {
    children.push({ role: 'backing', child: backing });
    addUser(ctx, backing, nodeEdge(name, 'backing'));
  }
  const keepsSize = ctx.profile.throttleKeepsSize && throttleGroup !== undefined && under !== undefined;
  const sizeAtOpen =
    driver === 'raw' ? rawSize(ctx, options, under) : keepsSize ? sizeOf(ctx, under) : undefined;
  const opened = patchNode(ctx, node.name, { children, sizeAtOpen });
  if (driver !== 'qcow2') return opened;
  const bitmaps = loadBitmaps(ctx, opened, readOnly);
  return bitmaps.length === 0 ? opened : patchNode(ctx, node.name, { bitmaps });
}

/** raw_apply_options() (block/raw-format.c): a raw node may show no more than the beginning of its file. */
function rawSize(ctx: Context, options: Arguments, under: BlockNode | undefined): number | undefined {
  const { size, offset = 0 } = options;
  if ((size === undefined && offset === 0) || under === undefined) return undefined;
  const from = Number(offset);
  const real = sizeOf(ctx, under);
  const bytes = size === undefined ? real - from : Number(size);
  if (from + bytes > real) {
    refuse(
      `The sum of offset (${from}) and size (${bytes}) has to be smaller or equal to the  actual size of the containing file (${real})`,
    );
  }
  if (bytes % SECTOR_BYTES !== 0) refuse('Specified size is not multiple of 512');
  return bytes;
}

const SECTOR_BYTES = 512;

type NewFields = Omit<NewNode, 'serial'>;

function add(ctx: Context, fields: NewFields): BlockNode {
  const node = new BlockNode({ ...fields, serial: ctx.q.serial++ });
  ctx.q.edit('nodes').set(fields.name, node);
  return node;
}

/** A disk that holds nothing (block/null.c). */
function openNull(ctx: Context, options: Arguments, fields: NewFields): BlockNode {
  const { size = NULL_BYTES, 'latency-ns': latency = 0 } = options;
  if (Number(latency) < 0) refuse('latency-ns is invalid');
  if (Number(size) < 0) throw new Death('SIGABRT', `a ${fields.driver} node of less than nothing`);
  const sizeAtOpen = Math.ceil(Number(size) / SECTOR_BYTES) * SECTOR_BYTES;
  const given = Object.entries(options).filter(([name]) => NULL_OPTIONS.has(name));
  return add(ctx, { ...fields, sizeAtOpen, given: Object.fromEntries(given) });
}

/** Its name says of them what data there are. */
const NULL_OPTIONS: ReadonlySet<string> = new Set(['size', 'read-zeroes']);

function openFile(ctx: Context, options: Arguments, fields: NewFields): BlockNode {
  const path = String(options['filename']);
  if (path === '') refuse("The 'file' block driver requires a file name");
  if (ctx.host.directories.has(path)) refuse(`Could not open '${path}': Is a directory`);
  const file = ctx.host.files.get(path);
  if (file === undefined) refuse(`Could not open '${path}': No such file or directory`);
  return add(ctx, { ...fields, path, opened: file.birth });
}

function openChild(ctx: Context, value: Json | undefined, place: Place): string {
  if (typeof value === 'string') {
    return lookupNode(ctx, value, value).name;
  }
  return open(ctx, value as Arguments, place).name;
}

function openBacking(
  ctx: Context,
  value: Json | undefined,
  file: string,
  passedOn: Pick<Place, 'unmap' | 'sharesAll'>,
): string | undefined {
  if (value === null) return undefined;
  if (value !== undefined) return openChild(ctx, value, { readOnly: true, inherits: true, ...passedOn });
  const image = imageOf(ctx, file);
  if (image.backing === undefined) return undefined;
  const format = image.backingFormat ?? 'raw';
  return open(ctx, optionsInHeader(image.backing, format), {
    readOnly: true,
    inherits: true,
    ...passedOn,
  }).name;
}

/** A header may name a file or describe a node, with what is below that (bdrv_open_backing_file(), block.c). */
function optionsInHeader(stored: string, format: string): Arguments {
  const plain = plainNameIn(stored, format);
  const described = plain === stored ? nodeNamedIn(stored) : undefined;
  return described?.['file'] === undefined ? fileOptions(plain, format) : described;
}

/** The options that open a file with a format. */
export function fileOptions(path: string, format: string): Arguments {
  return { driver: format, file: { driver: 'file', filename: path } };
}

function refuseWrongFormat(ctx: Context, driver: string, file: string): void {
  const image = imageOf(ctx, file);
  if (!FORMAT_DRIVERS.has(driver) || driver === 'raw') return;
  if (driver === 'vmdk' && image.format === driver && image.sizeBytes === 0)
    refuse("Unsupported image type 'monolithicSparse'");
  if (image.format !== driver && driver === 'luks') refuse('Volume is not in LUKS format');
  if (image.format !== driver) {
    refuse(
      fileLength(image) === 0 && driver !== 'qcow2'
        ? `Image not in ${driver} format`
        : `Image is not in ${driver} format`,
    );
  }
}

function nodeName(ctx: Context, value: Json | undefined): string {
  if (value === undefined) return automaticName(ctx);
  const name = String(value);
  refuseBadName(ctx, name);
  return name;
}

/** The rules for a name that a client chose (bdrv_assign_node_name()). */
export function refuseBadName(ctx: Context, name: string): void {
  const { texts } = ctx.profile;
  if (!/^[A-Za-z][A-Za-z0-9._-]*$/.test(name)) refuse(texts.invalidNodeName(name));
  if ([...ctx.q.backends.values()].some(backend => backend.name === name)) {
    refuse(`node-name=${name} is conflicting with a device id`);
  }
  if (ctx.q.nodes.get(name) !== undefined) refuse(texts.duplicateNodeName(name));
  if (name.length > 31) refuse('Node name too long');
}

export function isUnmap(value: Json | undefined): boolean {
  return value === 'unmap' || value === 'on';
}
