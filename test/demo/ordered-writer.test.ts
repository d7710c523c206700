import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assemble, PROGRAMS } from '../../scripts/assemble-guest.ts';
import { ORDERED_WRITER_BASE64 } from '../../src/demo/ordered-writer.generated.ts';
import {
  FIRST_SECTOR,
  guestBios,
  guestRom,
  labelSector,
  RING_SECTORS,
  readReport,
  readSector,
  SECTOR_BYTES,
  writtenSector,
} from '../../src/demo/ordered-writer.ts';
import { SMALL_BIOS_BASE64 } from '../../src/demo/small-bios.generated.ts';

const binutils = ['as', 'ld', 'objcopy'].every(tool => spawnSync(tool, ['--version']).status === 0);
const sequences = fc.integer({ min: 1, max: 2 ** 30 - 1 });
const disks = fc.integer({ min: 1, max: 16 });
const pacings = fc.oneof(fc.nat(), fc.nat(200_000), fc.constant(0));

describe('the guest program', () => {
  test.skipIf(!binutils)('is what its source assembles to', () => {
    expect(assemble(PROGRAMS.writer).toString('base64')).toBe(ORDERED_WRITER_BASE64);
    expect(assemble(PROGRAMS.bios).toString('base64')).toBe(SMALL_BIOS_BASE64);
  });

  test('is the beginning of an image of 64 KiB whose end starts the processor', () => {
    const rom = guestRom({ disks: 2 });
    const image = guestBios(rom);
    expect(image.length).toBe(65_536);
    expect(image.subarray(0, rom.length)).toEqual(rom);
    expect(image.readUInt8(0xfff0)).toBe(0xea); // a far jump
    expect([image.readUInt16LE(0xfff1), image.readUInt16LE(0xfff3)]).toEqual([0xf800, 0xf000]);
  });

  test('is an option ROM of one sector whose bytes add up to zero, whatever is patched', () => {
    fc.assert(
      fc.property(disks, sequences, pacings, (count, firstSequence, pacingUs) => {
        const rom = guestRom({ disks: count, firstSequence, pacingUs });
        expect(rom.length).toBe(SECTOR_BYTES * rom.readUInt8(2));
        expect(rom.readUInt16LE(0)).toBe(0xaa55);
        expect(rom.reduce((sum, byte) => (sum + byte) & 0xff, 0)).toBe(0);
        expect([rom.readUInt32LE(0x20), rom.readUInt32LE(0x24)]).toEqual([count, firstSequence]);
        const tickUs = rom.readUInt16LE(0x2e) / 1.193182;
        const restsUs = rom.readUInt16LE(0x28) * tickUs;
        expect(restsUs / (Math.ceil(pacingUs / 5_000) * 5_000 || 1)).toBeCloseTo(pacingUs === 0 ? 0 : 1, 2);
        expect(tickUs).toBeLessThan(50_001);
        expect(rom.readUInt16LE(0x2a) * tickUs).toBeGreaterThan(49_999);
      }),
    );
  });

  test('is patched only where its source leaves room for it', () => {
    const unpatched = Buffer.from(ORDERED_WRITER_BASE64, 'base64');
    expect([0x20, 0x24].map(at => unpatched.readUInt32LE(at))).toEqual([0, 1]);
    expect([0x28, 0x2a, 0x2c, 0x2e].map(at => unpatched.readUInt16LE(at))).toEqual([0, 1, 0, 0]);
    expect(unpatched.toString('latin1', 0x30, 0x34)).toBe('$PnP');
    expect(unpatched.at(-1)).toBe(0);
  });

  test('writes into the ring that the host reads', () => {
    const code = Buffer.from(ORDERED_WRITER_BASE64, 'base64');
    const andl = Buffer.from([0x66, 0x25, 0, 0, 0, 0]); // andl $RING - 1, %eax
    andl.writeUInt32LE(RING_SECTORS - 1, 2);
    const addl = Buffer.from([0x66, 0x05, 0, 0, 0, 0]); // addl $FIRST, %eax
    addl.writeUInt32LE(FIRST_SECTOR, 2);
    expect(code.includes(Buffer.concat([andl, addl]))).toBe(true);
  });
});

describe('a sector of the ring', () => {
  test('reads back as the write that it is', () => {
    fc.assert(
      fc.property(sequences, disks, (sequence, count) => {
        expect(readSector(writtenSector(sequence, count))).toEqual({
          sequence,
          disk: sequence % count,
          disks: count,
        });
      }),
    );
  });

  test('with only part of a write is torn, over an older write as over other data', () => {
    const below = fc.oneof(
      sequences.map(sequence => ({ sequence, bytes: undefined })),
      fc
        .integer({ min: 0, max: 255 })
        .map(byte => ({ sequence: 0, bytes: Buffer.alloc(SECTOR_BYTES, byte) })),
    );
    fc.assert(
      fc.property(sequences, below, fc.integer({ min: 1, max: 31 }), (sequence, old, records) => {
        fc.pre(old.sequence !== sequence);
        const sector = Buffer.from(old.bytes ?? writtenSector(old.sequence, 2));
        writtenSector(sequence, 2).copy(sector, 0, 0, records * 16);
        expect(readSector(sector)).toBe('torn');
        const end = Buffer.from(old.bytes ?? writtenSector(old.sequence, 2));
        writtenSector(sequence, 2).copy(end, records * 16, records * 16);
        expect(readSector(end)).toBe('torn');
      }),
    );
  });

  test('with one bit of a write changed is torn', () => {
    fc.assert(
      fc.property(sequences, fc.integer({ min: 0, max: SECTOR_BYTES * 8 - 1 }), (sequence, bit) => {
        const sector = writtenSector(sequence, 3);
        sector.writeUInt8(sector.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        expect(readSector(sector)).toBe('torn');
      }),
    );
  });

  test('that was never written is no write, be it empty or with data of another', () => {
    expect(readSector(Buffer.alloc(SECTOR_BYTES))).toBe('none');
    expect(readSector(Buffer.alloc(SECTOR_BYTES, 0xb5))).toBe('none');
  });

  test('is not mistaken for the label of a disk', () => {
    expect(readSector(labelSector(0, 2))).toBe('torn');
  });
});

describe('a report', () => {
  test('is a write, a failure or a missing disk', () => {
    expect(readReport(7)).toEqual({ kind: 'written', sequence: 7 });
    expect(readReport(0x80000007)).toEqual({ kind: 'failed', sequence: 7 });
    expect(readReport(0xc0000001)).toEqual({ kind: 'diskMissing', disk: 1 });
  });

  test('of no kind shows that bytes were lost', () => {
    expect(() => readReport(0x40000000)).toThrow('bytes of the debug console were lost');
  });
});
