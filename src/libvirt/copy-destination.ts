/**
 * Where a block copy goes: the destination and the typed parameters as libvirt takes them, checked and turned into a
 * request for the engine. It looks at files and changes none.
 */
import { isAbsolute } from 'node:path';
import type { Files } from '../images/files.ts';
import type { CopyRequest } from '../operations/requests.ts';
import type { GuestDisk } from '../operations/survey.ts';
import { type Bandwidth, bytesParameter } from './bandwidth.ts';
import { LibvirtError, refuse } from './errors.ts';

/** The destination of a block copy: what libvirt takes as `<disk>`. */
export interface CopyDestination {
  /** `file` unless said. */
  readonly type?: 'file' | 'block';
  /** The file, or with `type: 'block'` the device. */
  readonly file: string;
  /** The format; the source's own, or what an existing image is, when absent. */
  readonly driver?: 'qcow2' | 'raw';
  /** The image below, with SHALLOW only: it must be the source's backing image. */
  readonly backingStore?: string;
  /**
   * `strict` only, of the proposals: the image of the disk's chain that becomes the copy's backing image; what lies
   * above it is copied.
   */
  readonly base?: string;
  /** A group of file descriptors that libvirt was passed; not taken here. */
  readonly fdgroup?: string;
}

/** A parameter of `blockCopy` with its type, as in libvirt. */
export interface TypedParameter {
  readonly field: string;
  readonly type: 'uint' | 'ullong' | 'int' | 'llong' | 'double' | 'boolean' | 'string';
  readonly value: Bandwidth | string | boolean;
}

/** Bytes per second, bytes, bytes. */
export type CopyParameters = Pick<CopyRequest, 'bandwidth' | 'granularity' | 'bufSize'>;

/** What a copy is to be like, from either of the two calls. */
export interface CopyOrder {
  readonly disk: string;
  readonly destination: CopyDestination;
  readonly shallow: boolean;
  readonly reuse: boolean;
  readonly profile: 'strict' | 'compat';
}

const TYPES = { bandwidth: 'ullong', granularity: 'uint', 'buf-size': 'ullong' } as const;
const [GRANULARITY_MIN, GRANULARITY_MAX] = [512, 64 * 1024 * 1024];
const CHAIN_DEPTH_MAX = 200;

/** Throws ARGUMENT_UNSUPPORTED for a name that is not known, INVALID_ARG for a wrong type or value, or one given twice. */
export function readParameters(parameters: readonly TypedParameter[]): CopyParameters {
  if (!Array.isArray(parameters)) refuse('INVALID_ARG', 'blockCopy: the typed parameters must be a list');
  const values = new Map<keyof typeof TYPES, number>();
  for (const { field, type, value } of parameters) {
    if (!isParameter(field))
      refuse('ARGUMENT_UNSUPPORTED', `blockCopy does not know the parameter "${field}"`);
    if (type !== TYPES[field]) refuse('INVALID_ARG', `blockCopy: ${field} is ${TYPES[field]}, not ${type}`);
    if (values.has(field)) refuse('INVALID_ARG', `blockCopy: ${field} is given twice`);
    values.set(field, bytesParameter(field, value));
  }
  const granularity = values.get('granularity') ?? 0;
  if (granularity !== 0) {
    if (!Number.isInteger(Math.log2(granularity))) {
      refuse('INVALID_ARG', `blockCopy: granularity ${granularity} is no power of two`);
    }
    if (granularity < GRANULARITY_MIN || granularity > GRANULARITY_MAX) {
      refuse('INTERNAL_ERROR', `QEMU takes no granularity of ${granularity}: it must be 512 bytes to 64 MiB`);
    }
  }
  const bufSize = values.get('buf-size') ?? 0;
  return {
    bandwidth: values.get('bandwidth') ?? 0,
    ...(granularity === 0 ? {} : { granularity }),
    ...(bufSize === 0 ? {} : { bufSize }),
  };
}

/** Throws INVALID_ARG and CONFIG_UNSUPPORTED for a destination that makes no sense whatever the guest is. */
export function checkDestination(call: string, destination: CopyDestination): void {
  if (typeof destination !== 'object' || destination === null) {
    refuse('INVALID_ARG', `${call}: a destination must be given`);
  }
  if (destination.fdgroup !== undefined) {
    refuse('CONFIG_UNSUPPORTED', `${call}: a destination is a path, not a descriptor that was passed`);
  }
  const { type = 'file', driver = 'raw' } = destination;
  if (type !== 'file' && type !== 'block') {
    refuse('CONFIG_UNSUPPORTED', `${call}: a destination is of the type file or block, not ${type}`);
  }
  if (driver !== 'qcow2' && driver !== 'raw') {
    refuse('CONFIG_UNSUPPORTED', `${call}: a copy is qcow2 or raw, not ${driver}`);
  }
  if (typeof destination.file !== 'string' || !isAbsolute(destination.file)) {
    refuse('INVALID_ARG', `${call}: the destination must be an absolute path`);
  }
}

/** One disk of a copy for the engine. Throws in libvirt's terms what the guest and the files rule out. */
export async function planDestination(
  order: CopyOrder,
  source: GuestDisk,
  files: Files | null,
): Promise<CopyRequest['disks'][number]> {
  const { disk, destination } = order;
  refuseBase(order);
  if (source.readOnly) refuse('OPERATION_UNSUPPORTED', `disk ${disk} is read-only`);
  if (source.chain.length > CHAIN_DEPTH_MAX) {
    refuse('OPERATION_UNSUPPORTED', `disk ${disk} has a chain of more than ${CHAIN_DEPTH_MAX} images`);
  }
  const shallow = isShallow(order, source);
  const isDevice = await lookAtDestination(order, files);
  const format = destination.driver ?? (await formatOf(order, source, files));
  const { base } = destination;
  if (base !== undefined && format === 'raw')
    refuse('INVALID_ARG', `disk ${disk}: a raw copy cannot stand on ${base}`);
  const onBase = base === undefined ? {} : { base };
  // There is nothing to make of a device that is to hold raw data; onto another a new image is written.
  const initialize = isDevice && !order.reuse && format !== 'raw' ? { initialize: true } : {};
  return {
    disk,
    to: destination.file,
    format,
    shallow,
    ...onBase,
    ...initialize,
    reuse: order.reuse || isDevice,
  };
}

/** Throws CONFIG_UNSUPPORTED where libvirt knows no base, INVALID_ARG for one that contradicts the rest. */
function refuseBase({ disk, destination, shallow, profile }: CopyOrder): void {
  const { base, driver } = destination;
  if (base === undefined) return;
  if (profile !== 'strict') {
    refuse('CONFIG_UNSUPPORTED', 'copies onto a base are of the proposals: open the domain as "strict"');
  }
  if (driver === 'raw') refuse('INVALID_ARG', `disk ${disk}: a raw copy cannot stand on ${base}`);
  if (shallow) refuse('INVALID_ARG', `disk ${disk}: SHALLOW and a base exclude each other`);
}

/** SHALLOW of a disk without a backing image is a full copy. */
function isShallow({ disk, destination, shallow, reuse, profile }: CopyOrder, source: GuestDisk): boolean {
  const backing = source.chain[1];
  const { backingStore } = destination;
  if (backingStore !== undefined) {
    if (!shallow) refuse('INVALID_ARG', `disk ${disk}: a backing image is for SHALLOW copies`);
    if (backingStore !== backing?.file && !reuse) {
      refuse(
        'OPERATION_UNSUPPORTED',
        `disk ${disk}: a copy is put on ${backing?.file ?? 'no image'}, as the source is`,
      );
    }
  }
  if (!shallow) return false;
  const raw = destination.driver === 'raw' && !reuse;
  if (raw && profile === 'strict' && source.driver !== 'raw') {
    refuse('CONFIG_UNSUPPORTED', `disk ${disk} is ${source.driver}, so a shallow copy of it cannot be raw`);
  }
  if (raw && backing !== undefined) {
    refuse('CONFIG_UNSUPPORTED', `disk ${disk}: a raw image cannot stand on ${backing.file}`);
  }
  return backing !== undefined;
}

/** Whether the copy goes to a device, which is there already whatever the call says. */
async function lookAtDestination(
  { disk, destination, reuse }: CopyOrder,
  files: Files | null,
): Promise<boolean> {
  const { file, type = 'file' } = destination;
  const facts = await files?.stat(file);
  if (files !== null && facts === undefined && (type === 'block' || reuse)) {
    throw new LibvirtError('SYSTEM_ERROR', `disk ${disk}: ${file} is not there`, { errno: 'ENOENT' });
  }
  if (type === 'block' && facts !== undefined && facts.kind !== 'blockDevice') {
    refuse('INVALID_ARG', `disk ${disk}: ${file} is not a block device`);
  }
  return facts?.kind === 'blockDevice' || type === 'block';
}

/** What an existing image is, or the source's own format for a new one. */
async function formatOf(
  { disk, destination, reuse }: CopyOrder,
  source: GuestDisk,
  files: Files | null,
): Promise<'qcow2' | 'raw'> {
  const { file } = destination;
  if (!reuse) {
    if (source.driver === 'qcow2' || source.driver === 'raw') return source.driver;
    return refuse(
      'CONFIG_UNSUPPORTED',
      `disk ${disk} is ${source.driver}; say whether its copy is qcow2 or raw`,
    );
  }
  if (files === null) {
    return refuse(
      'CONFIG_UNSUPPORTED',
      `disk ${disk}: the format of ${file} must be said; its files are elsewhere`,
    );
  }
  return (await isQcow2(file, files)) ? 'qcow2' : 'raw';
}

/** A caller that names an existing file without its format asks for this guess; libvirt makes it too. */
async function isQcow2(file: string, files: Files): Promise<boolean> {
  try {
    const info = await files.imageInfo(file, 'qcow2');
    if (info === undefined)
      refuse('CONFIG_UNSUPPORTED', `the format of ${file} must be said: there is no qemu-img`);
    return true;
  } catch (error) {
    if (error instanceof LibvirtError) throw error;
    await files.imageInfo(file, 'raw'); // unreadable in any format: that error counts
    return false;
  }
}

function isParameter(field: string): field is keyof typeof TYPES {
  return Object.hasOwn(TYPES, field);
}
