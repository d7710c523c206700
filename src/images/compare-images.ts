/**
 * Compares two image files on this machine through `qemu-img`, without changing either: is there anything in the one that
 * the other does not show? An image is opened over the other one for that, so that only what it holds itself counts.
 */
import { execFile } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Comparison, ImageName } from './images.ts';

const COMPARE_DEADLINE_MS = 24 * 60 * 60_000;
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;
/** What a mirror may have under way at once, out of order (`MAX_IN_FLIGHT`, block/mirror.c), with room for larger buffers. */
const IN_FLIGHT_BYTES = 64 * 1024 * 1024;
const execute = promisify(execFile);

export async function compareImages(image: ImageName, other: ImageName): Promise<Comparison> {
  const extents = await mapOf(image);
  // QEMU gives an image that it formats its size last (qcow2_co_create(), block/qcow2.c).
  if (extents.every(({ length }) => length === 0)) return 'within';
  const held = extents.filter(extent => extent.depth === 0 && extent.data);
  const endBytes = held.reduce((end, extent) => Math.max(end, extent.start + extent.length), 0);
  if (await readsTheSame(viewOver(image, other, endBytes), cutAt(plain(other), image, endBytes))) {
    return 'within';
  }
  // A shallow copy stands on an image of the other one's chain, and has from there what it does not hold itself.
  const depth = await depthOfShared(image, other);
  const wanted = (await mapOf(other)).filter(extent => extent.data && extent.depth < depth);
  return isTailMissing(held, wanted, endBytes) ? 'partly' : 'differs';
}

/** How many images of its chain the other one has above the first that the image stands on too; endless where there is none. */
async function depthOfShared(image: ImageName, other: ImageName): Promise<number> {
  const [, ...below] = await chainOf(image);
  const depths = (await chainOf(other)).flatMap((file, depth) => (below.includes(file) ? [depth] : []));
  return Math.min(...depths);
}

/** The files of a chain, front first, each by its one name. */
async function chainOf({ file, driver }: ImageName): Promise<readonly string[]> {
  const { stdout } = await qemuImg(['info', '--output=json', '--backing-chain', '-f', driver, '--', file]);
  const entries: unknown = JSON.parse(stdout);
  if (!Array.isArray(entries)) throw new Error(`qemu-img info of ${file} told no list`);
  const names = entries.map((entry: Readonly<Record<string, unknown>>) => String(entry['filename']));
  return Promise.all(names.map(name => (name.startsWith('/') ? realpath(name) : name)));
}

/** One entry of `qemu-img map`. */
interface MapEntry {
  readonly start: number;
  readonly length: number;
  readonly depth: number;
  readonly data: boolean;
}

async function mapOf({ file, driver }: ImageName): Promise<readonly MapEntry[]> {
  const { stdout } = await qemuImg(['map', '--output=json', '-f', driver, '--', file]);
  const entries: unknown = JSON.parse(stdout);
  if (!Array.isArray(entries)) throw new Error(`qemu-img map of ${file} told no list`);
  return entries.map((entry: Readonly<Record<string, unknown>>) => ({
    start: Number(entry['start']),
    length: Number(entry['length']),
    depth: Number(entry['depth']),
    data: entry['data'] === true,
  }));
}

type Options = { readonly [name: string]: string | number | Options };

function plain({ file, driver }: ImageName): Options {
  return { driver, file: { driver: 'file', filename: file } };
}

/** What it holds over the other one. A raw image has no gaps: what it holds ends where it was written to last. */
function viewOver(image: ImageName, other: ImageName, endBytes: number): Options {
  if (image.driver !== 'raw') return { ...plain(image), backing: plain(other) };
  return cutAt(plain(image), image, endBytes);
}

function cutAt(options: Options, { driver }: ImageName, endBytes: number): Options {
  if (driver !== 'raw' || endBytes === 0) return options;
  return { driver: 'raw', size: endBytes, file: options };
}

async function readsTheSame(one: Options, another: Options): Promise<boolean> {
  const names = [one, another].map(options => `json:${JSON.stringify(options)}`);
  try {
    await qemuImg(['compare', '-q', '--', ...names]);
    return true;
  } catch (cause) {
    // 1 is "they differ"; anything above is an error of its own (qemu-img(1)).
    if (cause instanceof Error && 'code' in cause && cause.code === 1) return false;
    throw cause;
  }
}

/** A mirror copies from the front to the back: behind where it came to, nothing is there yet; before that, nearly all is. */
function isTailMissing(held: readonly MapEntry[], wanted: readonly MapEntry[], endBytes: number): boolean {
  const isBehind = wanted.some(({ start, length }) => start + length > endBytes);
  const settledBytes = endBytes - IN_FLIGHT_BYTES;
  const isWhole = wanted.every(
    ({ start, length }) =>
      start >= settledBytes || covers(held, start, Math.min(start + length, settledBytes)),
  );
  return isBehind && isWhole;
}

/** Whether sorted extents cover a range without a gap. */
function covers(held: readonly MapEntry[], start: number, end: number): boolean {
  let at = start;
  for (const extent of held) {
    if (at >= end) break;
    if (extent.start <= at) at = Math.max(at, extent.start + extent.length);
  }
  return at >= end;
}

function qemuImg(arguments_: readonly string[]) {
  return execute('qemu-img', arguments_, { timeout: COMPARE_DEADLINE_MS, maxBuffer: OUTPUT_BYTES_MAX });
}
