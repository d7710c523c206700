/**
 * How an image that QEMU has open can be named in the header of another one. QEMU describes what it has open by a plain
 * file name only where opening that name with the image's format gives the same bytes; else by the options that it takes
 * (`json:{...}`, bdrv_refresh_filename in block.c). This reads either. Pure; whether a boot finds the same bytes is
 * proved by `prove-headers.ts`.
 */
import { posix } from 'node:path';

/** One image by the name that QEMU makes up for it. */
export interface ImageRef {
  /** The file that holds it, without any options. */
  readonly file: string;
  /** Why a header that names this file would not lead to these bytes; null where it does. */
  readonly unnameable: string | null;
  /** The id of the secret object that it was opened with; null for none, or where the name does not tell. */
  readonly secret: string | null;
  /** QEMU had no room for all of the name, as for images high above others: it tells nothing then. */
  readonly isCutShort: boolean;
}

const MADE_UP = 'json:';
const FORMATS: ReadonlySet<string> = new Set(
  'bochs cloop dmg luks parallels qcow qcow2 qed raw vdi vhdx vmdk vpc'.split(' '),
);
const FILTERS: ReadonlySet<string> = new Set(
  'blkdebug blklogwrites blkreplay blkverify compress copy-before-write copy-on-read preallocate commit_top mirror_top quorum replication snapshot-access throttle'.split(
    ' ',
  ),
);
/** Protocols whose plain name leads to the same bytes. */
const FILE_PROTOCOLS: ReadonlySet<unknown> = new Set(['file', 'host_device']);
/** Members of a made-up name that a boot finds out by itself, or that are told of in another way. */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  'driver',
  'file',
  'filename',
  'backing',
  'key-secret',
  'encrypt.key-secret',
  'encrypt',
  'encrypt.format',
]);

/** Whether a driver only stands above an image, and is none. */
export function isFilter(driver: string): boolean {
  return FILTERS.has(driver);
}

/** What a header calls the format of an image whose uppermost node has this driver: on a protocol node it is raw. */
export function formatOf(driver: string): string {
  return FORMATS.has(driver) || FILTERS.has(driver) || driver === '' ? driver : 'raw';
}

/** Whether a node with this driver is no format, so that QEMU itself would write the protocol as the format. */
export function isBare(driver: string): boolean {
  return driver !== formatOf(driver);
}

/** Reads the name that QEMU gives to an image, or to its file. */
export function readImageName(name: string): ImageRef {
  if (!name.startsWith(MADE_UP)) {
    return { file: name, unnameable: whyNoPath(name), secret: null, isCutShort: false };
  }
  const options = parsed(name.slice(MADE_UP.length));
  if (options === undefined) return { file: name, unnameable: CUT_SHORT, secret: null, isCutShort: true };
  const file = fileIn(options) ?? name;
  const unnameable = whyNotPlain(options, file) ?? whyNoPath(file);
  return { file, unnameable, secret: secretIn(options), isCutShort: false };
}

const CUT_SHORT = 'its name is longer than QEMU keeps';

/** A relative path as a header may hold it: a colon in its first part would be read as the end of a protocol's name. */
export function relativeInHeader(path: string): string {
  return hasProtocol(path) ? `./${path}` : path;
}

/** Where a boot looks for the image that a header names (path_combine, block.c); undefined for what is no path. */
export function pathInHeader(stored: string, header: string): string | undefined {
  if (hasProtocol(stored)) return undefined;
  return posix.isAbsolute(stored) ? stored : posix.join(posix.dirname(header), stored);
}

/** As path_has_protocol (block.c). */
function hasProtocol(path: string): boolean {
  return /^[^/:]*:/.test(path);
}

function whyNoPath(file: string): string | null {
  if (/^\/dev\/fdset\//.test(file) || /^\/(dev|proc\/[^/]+)\/fd\//.test(file)) {
    return `${file} was handed to QEMU as a file descriptor, which no later boot has`;
  }
  if (/^[a-z][a-z+]*:\/\//.test(file) || posix.isAbsolute(file)) return null;
  return `${file} is no absolute path, so that a header would lead elsewhere`;
}

/** The group of a throttle node, in the name that QEMU makes up for it; undefined where that is cut short. */
export function throttleGroupIn(name: string): string | undefined {
  if (!name.startsWith(MADE_UP)) return undefined;
  const group = parsed(name.slice(MADE_UP.length))?.['throttle-group'];
  return typeof group === 'string' ? group : undefined;
}

type Options = { readonly [member: string]: unknown };

function whyNotPlain(options: Options, file: string): string | null {
  const slice = sliceIn(options);
  if (slice !== null) return `it is a slice of ${file} (${slice}), and a header names whole files`;
  const strange = Object.keys(options).find(member => !UNDERSTOOD.has(member));
  if (strange !== undefined) return `it was opened with "${strange}", which a header cannot say`;
  const below = options['file'];
  if (isOptions(below)) {
    const isPlain = FILE_PROTOCOLS.has(below['driver']) || below['driver'] === 'raw';
    return isPlain
      ? whyNotPlain(below, file)
      : `it is on ${String(below['driver'])}, which a header cannot name plainly`;
  }
  return typeof options['filename'] === 'string' ? null : 'its name tells no file';
}

function sliceIn(options: Options): string | null {
  if (options['driver'] !== 'raw') return null;
  const { offset, size } = options;
  const parts = [
    ...(offset === undefined ? [] : [`offset ${String(offset)}`]),
    ...(size === undefined ? [] : [`size ${String(size)}`]),
  ];
  return parts.length === 0 ? null : parts.join(', ');
}

function fileIn(options: Options): string | undefined {
  const below = options['file'];
  if (isOptions(below)) return fileIn(below);
  const { filename } = options;
  return typeof filename === 'string' ? filename : undefined;
}

function secretIn(options: Options): string | null {
  const encrypt = options['encrypt'];
  const inside = isOptions(encrypt) ? encrypt['key-secret'] : options['encrypt.key-secret'];
  const secret = inside ?? options['key-secret'];
  return typeof secret === 'string' ? secret : null;
}

function isOptions(value: unknown): value is Options {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parsed(text: string): Options | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isOptions(value) ? value : {};
  } catch (error) {
    if (error instanceof SyntaxError) return undefined; // QEMU keeps 4095 bytes
    throw error;
  }
}
