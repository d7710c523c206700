import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  copyRange,
  covered,
  EMPTY,
  type Extents,
  firstBytes,
  minus,
  over,
  put,
  slice,
  valueAt,
} from '../../src/sim/host/contents.ts';

const LENGTH = 24;
const change = fc.record({
  start: fc.nat(LENGTH),
  length: fc.nat(8),
  value: fc.option(fc.integer({ min: -2, max: 3 }), { nil: undefined }),
});

type Change = { start: number; length: number; value: number | undefined };

/** The same by hand, byte by byte. */
function plain(changes: readonly Change[]): (number | undefined)[] {
  const bytes: (number | undefined)[] = new Array(LENGTH + 8).fill(undefined);
  for (const { start, length, value } of changes) bytes.fill(value, start, start + length);
  return bytes;
}

function extentsOf(changes: readonly Change[]): Extents {
  return changes.reduce<Extents>(
    (all, { start, length, value }) => put(all, start, start + length, value),
    EMPTY,
  );
}

function bytesOf(extents: Extents): (number | undefined)[] {
  return Array.from({ length: LENGTH + 8 }, (_, offset) => valueAt(extents, offset));
}

test('ranges hold what an array of bytes would hold, in the fewest ranges', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), changes => {
      const extents = extentsOf(changes);
      const bytes = plain(changes);
      expect(bytesOf(extents)).toEqual(bytes);
      expect(covered(extents)).toBe(bytes.filter(byte => byte !== undefined).length);
      for (let i = 3; i < extents.length; i += 3) {
        const touches = extents[i] === extents[i - 2];
        expect(touches && extents[i + 2] === extents[i - 1]).toBe(false);
      }
    }),
  );
});

test('layers, cuts and copies are as byte by byte', () => {
  const drawn = fc.array(change, { maxLength: 8 });
  fc.assert(
    fc.property(drawn, drawn, fc.nat(LENGTH), fc.nat(LENGTH), (below, above, a, b) => {
      const [lower, upper] = [plain(below), plain(above)];
      const [start, end] = [Math.min(a, b), Math.max(a, b)];
      const inside = (offset: number): boolean => start <= offset && offset < end;
      const [lowerRanges, upperRanges] = [extentsOf(below), extentsOf(above)];
      expect(bytesOf(over(lowerRanges, upperRanges))).toEqual(upper.map((byte, i) => byte ?? lower[i]));
      expect(bytesOf(minus(lowerRanges, upperRanges))).toEqual(
        lower.map((byte, i) => (upper[i] === undefined ? byte : undefined)),
      );
      expect(bytesOf(slice(lowerRanges, start, end))).toEqual(
        lower.map((byte, i) => (inside(i) ? byte : undefined)),
      );
      expect(bytesOf(copyRange(lowerRanges, upperRanges, start, end, 0))).toEqual(
        lower.map((byte, i) => (inside(i) ? (upper[i] ?? 0) : byte)),
      );
      expect(covered(firstBytes(lowerRanges, start))).toBe(Math.min(start, covered(lowerRanges)));
    }),
  );
});
