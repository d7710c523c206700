/**
 * The `Images` port over the simulator's host, for recoveries without a real qemu-img. Nothing is in use there once QEMU
 * is gone; it injects no faults, but counts what is changed, and `stopAt` ends it before a change as a death would.
 */

import { BlocksagaError } from '../errors.ts';
import { plainNameIn } from '../images/backing-name.ts';
import type { ImageName, Images } from '../images/images.ts';
import type { Sim } from './create-sim.ts';
import { EMPTY, type Extents, over, withData } from './host/contents.ts';
import type { Image } from './host/host.ts';

export interface VirtualImages extends Images {
  /** What was changed, in order. */
  readonly changes: readonly string[];
}

/** Images are replaced, never changed. */
const stamps = new WeakMap<Image, string>();
let written = 0;

function stampOf(image: Image): string {
  const known = stamps.get(image);
  if (known !== undefined) return known;
  written += 1;
  stamps.set(image, `stamp ${written}`);
  return `stamp ${written}`;
}

/** The simulator's disks are a thousand times faster than slow ones: longer than its mirrors lag and its pauses usually are. */
const IN_FLIGHT_MS = 4;

const CHAIN_MAX = 200;

function isSame(one: Extents, another: Extents): boolean {
  return one.length === another.length && one.every((value, at) => value === another[at]);
}

/** Thrown in place of the change that a death came before. */
export class Died extends Error {}

/**
 * The images of a simulator's host, for `recoverOffline` and `commitOffline` in tests. With `stopAt` it throws in place of the
 * n-th change, as a death would.
 *
 * @example
 * ```ts
 * const sim = createSim({ disks: 1 });
 * sim.kill();
 * console.log((await virtualImages(sim).look({ file: '/images/disk0.qcow2', driver: 'qcow2' })).state); // readable
 * ```
 */
export function virtualImages(sim: Sim, stopAt = Number.POSITIVE_INFINITY): VirtualImages {
  const { host } = sim.world;
  const changes: string[] = [];
  const change = (what: string): void => {
    if (changes.length + 1 === stopAt) throw new Died(what);
    changes.push(what);
  };
  const read = ({ file, driver }: ImageName): Image => {
    const image = host.image(file);
    if (image === undefined) throw new BlocksagaError('FILES', `${file} is not there`);
    if (image.format !== driver && driver !== 'raw')
      throw new BlocksagaError('FILES', `${file} is no ${driver} image`);
    return image;
  };
  const isWhole = ({ file, driver }: ImageName, depth = 0): boolean => {
    const image = host.image(file);
    if (image === undefined || (image.format !== driver && driver !== 'raw')) return false;
    const { backing, backingFormat = 'qcow2' } = image;
    if (driver === 'raw' || backing === undefined || depth > CHAIN_MAX) return true;
    return isWhole({ file: plainNameIn(backing, backingFormat), driver: backingFormat }, depth + 1);
  };
  const heldAbove = (top: ImageName, base: string): Extents => {
    const { contents, backing, backingFormat = 'qcow2' } = read(top);
    const below = backing === undefined ? undefined : plainNameIn(backing, backingFormat);
    if (below === undefined || below === base) return contents;
    return over(heldAbove({ file: below, driver: backingFormat }, base), contents);
  };
  return {
    changes,
    inFlightMs: IN_FLIGHT_MS,
    async look({ file, driver }) {
      const image = host.image(file);
      if (image === undefined) return { state: 'missing' };
      if (image.format !== driver) {
        return { state: 'unreadable', why: `it is ${image.format}`, isEmpty: image.contents === EMPTY };
      }
      const { backing: stored, backingFormat = null } = image;
      const backing =
        stored === undefined
          ? null
          : { file: plainNameIn(stored, backingFormat), driver: backingFormat, stored };
      const writtenAtMs = host.files.get(file)?.writtenAt ?? 0;
      return { state: 'readable', sizeBytes: image.sizeBytes, backing, stamp: stampOf(image), writtenAtMs };
    },
    overlaysIn: (directory, sinceMs) => sim.files.overlaysIn(directory, sinceMs),
    async compare(image, other) {
      if (!isWhole(image) || !isWhole(other)) return 'unreadable';
      const { backing: stored = '', backingFormat = 'qcow2' } = read(image);
      const backing = plainNameIn(stored, backingFormat);
      const held = heldAbove(image, backing);
      const shown = sim.world.readFile(other.file);
      if (isSame(withData(over(shown, held)), withData(shown))) return 'within';
      // A shallow copy has the rest from the image that both stand on.
      const wanted = heldAbove(other, backing);
      return (held.at(-2) ?? 0) < (wanted.at(-2) ?? 0) ? 'partly' : 'differs';
    },
    async whyNotWritable() {
      return undefined;
    },
    async commitInto(top, { file, driver }) {
      change(`merge ${top.file} ${file}`);
      const base = read({ file, driver });
      host.write(file, { ...base, contents: over(base.contents, heldAbove(top, file)) });
      host.flush(file);
    },
    async pointAt(image, { stored, driver }) {
      change(`point ${image.file} ${stored}`);
      const backingFormat = driver === 'raw' ? 'raw' : 'qcow2';
      host.write(image.file, { ...read(image), backing: stored, backingFormat });
      host.flush(image.file);
    },
    async createOverlay(file, backing, sizeBytes) {
      change(`create ${file}`);
      host.write(file, {
        format: 'qcow2',
        sizeBytes,
        backing: backing.file,
        backingFormat: backing.driver === 'raw' ? 'raw' : 'qcow2',
        contents: EMPTY,
      });
      host.flush(file);
      await sim.files.syncDirectory(file);
    },
    async commitOverlay(overlay) {
      const { backing = '', backingFormat = 'qcow2', ...top } = read(overlay);
      change(`commit ${overlay.file}`);
      const below = plainNameIn(backing, backingFormat);
      const base = read({ file: below, driver: backingFormat });
      host.write(below, { ...base, contents: over(base.contents, top.contents) });
      host.flush(below);
      host.write(overlay.file, { ...top, backing, backingFormat, contents: EMPTY });
      host.flush(overlay.file);
    },
    async copyInto(from, to) {
      change(`copy ${from.file} ${to.file}`);
      const image = read(to);
      host.write(to.file, { ...image, contents: over(image.contents, sim.world.readFile(from.file)) });
      host.flush(to.file);
    },
    async pullInto(image, base, stored) {
      change(`pull into ${image.file}`);
      const { backing: _backing, backingFormat: _format, ...old } = read(image);
      const contents = base === null ? sim.world.readFile(image.file) : heldAbove(image, base.file);
      host.write(image.file, { ...old, ...backingOf(base, stored), contents });
      host.flush(image.file);
    },
    async setAside(file) {
      change(`set aside ${file}`);
      host.rename(file, `${file}.unreadable1`);
      await sim.files.syncDirectory(file);
      return `${file}.unreadable1`;
    },
  };
}

function backingOf(base: ImageName | null, stored: string | null): Pick<Image, 'backing' | 'backingFormat'> {
  if (base === null) return { backing: undefined, backingFormat: undefined };
  return { backing: stored ?? base.file, backingFormat: base.driver === 'raw' ? 'raw' : 'qcow2' };
}
