import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Cut, checkCut, missingWrites, readRing } from '../../src/demo/ordered-cut.ts';
import {
  diskOf,
  RING_SECTORS,
  type RingSector,
  SECTOR_BYTES,
  slotOf,
  writtenSector,
} from '../../src/demo/ordered-writer.ts';

/** What the disks hold after all writes up to `upTo`, made the slow way: write by write, in order. */
function ringsAfter(upTo: number, disks: number): RingSector[][] {
  const rings = Array.from({ length: disks }, () => Array<RingSector>(RING_SECTORS).fill('none'));
  const oldest = Math.max(1, upTo - disks * RING_SECTORS + 1);
  for (let sequence = oldest; sequence <= upTo; sequence++) put(rings, sequence);
  return rings;
}

function put(rings: RingSector[][], sequence: number, onDisk = diskOf(sequence, rings.length)): void {
  const ring = rings[onDisk] ?? [];
  const disk = diskOf(sequence, rings.length);
  ring[slotOf(sequence, rings.length)] = { sequence, disk, disks: rings.length };
}

function remove(rings: RingSector[][], sequence: number): void {
  const ring = rings[diskOf(sequence, rings.length)] ?? [];
  const older = sequence - rings.length * RING_SECTORS;
  ring[slotOf(sequence, rings.length)] = 'none';
  if (older >= 1) put(rings, older);
}

function cutOf(rings: RingSector[][]): Cut {
  const sequenceOf = (found: RingSector) => (typeof found === 'object' ? found.sequence : 0);
  return {
    disks: rings.map(sectors => ({
      sectors,
      newest: sectors.reduce((max, s) => Math.max(max, sequenceOf(s)), 0),
    })),
  };
}

/** A set that has written `upTo` times: little, around the end of the ring's first round, and long after it. */
const histories = fc.integer({ min: 1, max: 4 }).chain(disks =>
  fc.record({
    disks: fc.constant(disks),
    upTo: fc.oneof(
      fc.integer({ min: 0, max: 50 }),
      fc.integer({ min: disks * RING_SECTORS - 20, max: disks * RING_SECTORS + 20 }),
      fc.integer({ min: disks * RING_SECTORS, max: 5 * disks * RING_SECTORS }),
    ),
  }),
);
const options = { numRuns: 60 };

describe('a set of images', () => {
  test('that holds every write up to one and none after it is consistent', () => {
    fc.assert(
      fc.property(histories, ({ disks, upTo }) => {
        const cut = cutOf(ringsAfter(upTo, disks));
        expect(checkCut(cut)).toEqual({ consistent: true, upTo });
        expect(missingWrites(cut, upTo)).toEqual([]);
      }),
      options,
    );
  });

  test('that lacks one write before its newest is not', () => {
    fc.assert(
      fc.property(histories, fc.nat(), ({ disks, upTo }, choice) => {
        fc.pre(upTo >= 2);
        const inRing = Math.min(upTo, disks * RING_SECTORS);
        const lost = upTo - 1 - (choice % (inRing - 1)); // any that the rings still hold, but the newest
        const rings = ringsAfter(upTo, disks);
        remove(rings, lost);
        const verdict = checkCut(cutOf(rings));
        expect(verdict.consistent).toBe(false);
        expect(verdict.why).toContain(`should hold write ${lost}`);
        expect(missingWrites(cutOf(rings), upTo)).toEqual([lost]);
      }),
      options,
    );
  });

  test('in which one disk has gone on without the others is not', () => {
    fc.assert(
      fc.property(histories, fc.integer({ min: 1, max: 40 }), ({ disks, upTo }, later) => {
        const ahead = upTo + later;
        fc.pre(disks > 1 && later > 1);
        const rings = ringsAfter(upTo, disks);
        for (let sequence = upTo + 1; sequence <= ahead; sequence++) {
          if (diskOf(sequence, disks) === diskOf(ahead, disks)) put(rings, sequence);
        }
        expect(checkCut(cutOf(rings)).consistent).toBe(false);
        expect(missingWrites(cutOf(rings), upTo)).toEqual([]);
      }),
      options,
    );
  });

  test('in which one disk is older than the others is not, though each disk by itself is whole', () => {
    const disks = 3;
    const [old, fresh] = [ringsAfter(300, disks), ringsAfter(330, disks)];
    const rings = fresh.map((ring, disk) => (disk === 1 ? (old[1] ?? []) : ring));
    expect(checkCut(cutOf(rings))).toMatchObject({ consistent: false, upTo: 330 });
    expect(missingWrites(cutOf(rings), 330)).toEqual([301, 304, 307, 310, 313, 316, 319, 322, 325, 328]);
  });

  test('with a torn write is not', () => {
    const rings = ringsAfter(10, 2);
    (rings[1] ?? [])[4] = 'torn';
    expect(checkCut(cutOf(rings)).why).toBe('disk 1, place 4: a torn write');
  });

  test('given in the wrong order is not', () => {
    const [first = [], second = []] = ringsAfter(10, 2);
    expect(checkCut(cutOf([second, first])).why).toContain('belongs to disk');
  });

  test('that began with a later write is judged from there', () => {
    const rings = ringsAfter(40, 2);
    for (let sequence = 1; sequence < 31; sequence++) remove(rings, sequence);
    expect(checkCut(cutOf(rings), 31)).toEqual({ consistent: true, upTo: 40 });
    expect(checkCut(cutOf(rings)).consistent).toBe(false);
  });

  test('that never was written to holds all of nothing', () => {
    expect(checkCut(cutOf(ringsAfter(0, 4)))).toEqual({ consistent: true, upTo: 0 });
    expect(missingWrites(cutOf(ringsAfter(0, 2)), 3)).toEqual([1, 2, 3]);
  });
});

test('a ring is read sector by sector', () => {
  const bytes = Buffer.alloc(RING_SECTORS * SECTOR_BYTES);
  for (const sequence of [2, 4, 6])
    writtenSector(sequence, 2).copy(bytes, slotOf(sequence, 2) * SECTOR_BYTES);
  const ring = readRing(bytes);
  expect(ring.newest).toBe(6);
  expect(ring.sectors.slice(0, 5)).toEqual([
    'none',
    { sequence: 2, disk: 0, disks: 2 },
    { sequence: 4, disk: 0, disks: 2 },
    { sequence: 6, disk: 0, disks: 2 },
    'none',
  ]);
  expect(() => readRing(bytes.subarray(1))).toThrow('a ring of');
});
