/**
 * What an image holds, as a sorted list of byte ranges with one value each. Lists are never changed, only replaced, so a
 * copy of a whole disk costs nothing. The same lists serve as dirty bitmaps. Knows nothing of nodes or files.
 *
 * Values: 0 is zeroes that were written, `s >= 1` is the guest's write number s, `-1 - p` is pattern byte p of qemu-io.
 * A gap is what was never written.
 */

/** `start, end, value` triples, sorted, without overlaps; neighbours with the same value are one range. */
export type Extents = readonly number[];

/** Nothing written at all. */
export const EMPTY: Extents = [];

/** The value of a qemu-io pattern byte; byte 0 is the same as zeroes. */
export function patternValue(byte: number): number {
  return byte === 0 ? 0 : -1 - byte;
}

/** The list with `[start, end)` replaced by one value, or cut out when the value is undefined. */
export function put(extents: Extents, start: number, end: number, value: number | undefined): Extents {
  if (start >= end) return extents;
  const result: number[] = [];
  let pending = value !== undefined;
  for (let i = 0; i < extents.length; i += 3) {
    const from = extents[i] as number;
    const to = extents[i + 1] as number;
    const held = extents[i + 2] as number;
    if (to <= start) {
      append(result, from, to, held);
      continue;
    }
    if (from < start) append(result, from, start, held);
    if (pending && value !== undefined) {
      append(result, start, end, value);
      pending = false;
    }
    if (to > end) append(result, Math.max(from, end), to, held);
  }
  if (pending && value !== undefined) append(result, start, end, value);
  return result;
}

/** The part within `[start, end)`. */
export function slice(extents: Extents, start: number, end: number): Extents {
  const result: number[] = [];
  for (let i = 0; i < extents.length; i += 3) {
    const from = Math.max(extents[i] as number, start);
    const to = Math.min(extents[i + 1] as number, end);
    if (from < to) result.push(from, to, extents[i + 2] as number);
  }
  return result;
}

/** `upper` laid over `lower`. */
export function over(lower: Extents, upper: Extents): Extents {
  if (lower.length === 0) return upper;
  if (upper.length === 0) return lower;
  const result: number[] = [];
  let low = 0;
  let doneTo = 0;
  for (let i = 0; i < upper.length; i += 3) {
    const start = upper[i] as number;
    const end = upper[i + 1] as number;
    for (; low < lower.length && (lower[low] as number) < start; low += 3) {
      const from = Math.max(lower[low] as number, doneTo);
      const to = lower[low + 1] as number;
      if (from < start) append(result, from, Math.min(to, start), lower[low + 2] as number);
      if (to > start) break;
    }
    append(result, start, end, upper[i + 2] as number);
    doneTo = end;
    while (low < lower.length && (lower[low + 1] as number) <= end) low += 3;
  }
  for (; low < lower.length; low += 3) {
    append(
      result,
      Math.max(lower[low] as number, doneTo),
      lower[low + 1] as number,
      lower[low + 2] as number,
    );
  }
  return result;
}

/** All of `extents` cut out of `from`. */
export function minus(from: Extents, extents: Extents): Extents {
  let result = from;
  for (let i = 0; i < extents.length && result.length > 0; i += 3) {
    result = put(result, extents[i] as number, extents[i + 1] as number, undefined);
  }
  return result;
}

/** `[start, end)` of `into` replaced by what `source` holds there; its gaps become `gap`. */
export function copyRange(
  into: Extents,
  source: Extents,
  start: number,
  end: number,
  gap: number | undefined,
): Extents {
  return over(put(into, start, end, gap), slice(source, start, end));
}

/** The bytes that the ranges cover. */
export function covered(extents: Extents): number {
  let bytes = 0;
  for (let i = 0; i < extents.length; i += 3) bytes += (extents[i + 1] as number) - (extents[i] as number);
  return bytes;
}

/** The ranges widened to whole granules, all with value 1, none past `size`: a dirty bitmap. */
export function granules(extents: Extents, granularity: number, size: number): Extents {
  const result: number[] = [];
  let doneTo = 0;
  for (let i = 0; i < extents.length; i += 3) {
    const start = Math.max(doneTo, Math.floor((extents[i] as number) / granularity) * granularity);
    const end = Math.min(Math.ceil((extents[i + 1] as number) / granularity) * granularity, size);
    if (start >= end) continue;
    append(result, start, end, 1);
    doneTo = end;
  }
  return result;
}

/** The ranges that hold something else than zeroes. */
export function withData(extents: Extents): Extents {
  const result: number[] = [];
  for (let i = 0; i < extents.length; i += 3) {
    if (extents[i + 2] !== 0)
      result.push(extents[i] as number, extents[i + 1] as number, extents[i + 2] as number);
  }
  return result;
}

/** The bytes of the granules that hold something else than zeroes, none past `size`. */
export function granuleBytesWithData(extents: Extents, granularity: number, size: number): number {
  let bytes = 0;
  let doneTo = 0;
  for (let i = 0; i < extents.length; i += 3) {
    if (extents[i + 2] === 0) continue;
    const start = Math.max(doneTo, Math.floor((extents[i] as number) / granularity) * granularity);
    const end = Math.min(Math.ceil((extents[i + 1] as number) / granularity) * granularity, size);
    if (start >= end) continue;
    bytes += end - start;
    doneTo = end;
  }
  return bytes;
}

/** The first `bytes` bytes that the ranges cover. */
export function firstBytes(extents: Extents, bytes: number): Extents {
  const result: number[] = [];
  let left = bytes;
  for (let i = 0; i < extents.length && left > 0; i += 3) {
    const start = extents[i] as number;
    const end = Math.min(extents[i + 1] as number, start + left);
    result.push(start, end, extents[i + 2] as number);
    left -= end - start;
  }
  return result;
}

/** The value at one byte; undefined in a gap. */
export function valueAt(extents: Extents, offset: number): number | undefined {
  for (let i = 0; i < extents.length; i += 3) {
    if ((extents[i] as number) <= offset && offset < (extents[i + 1] as number)) return extents[i + 2];
  }
  return undefined;
}

function append(list: number[], start: number, end: number, value: number): void {
  const last = list.length - 1;
  if (last > 0 && list[last] === value && list[last - 1] === start) list[last - 1] = end;
  else list.push(start, end, value);
}
