/**
 * What the host must know of the guest in `ordered-writer.s`: where it writes, what a sector looks like, how the ROM is
 * patched. Pure bytes; nothing here touches files or QEMU.
 */
import { invariant } from '../errors.ts';
import { ORDERED_WRITER_BASE64 } from './ordered-writer.generated.ts';
import { SMALL_BIOS_BASE64 } from './small-bios.generated.ts';

/** Bytes of a sector. */
export const SECTOR_BYTES = 512;
/** First sector of the ring on every disk; the same as FIRST in the assembly source. */
export const FIRST_SECTOR = 2048;
/** Sectors of the ring on every disk; the same as RING in the assembly source. */
export const RING_SECTORS = 8192;
/** SeaBIOS gives INT 13h numbers to at most 16 disks (BUILD_MAX_EXTDRIVE in its src/config.h). */
export const DISKS_MAX = 16;

/** The guest waits in steps of this. */
const STEP_US = 5_000;
/** From one interrupt of the guest's timer to the next at most: each costs the host a part of what a write does. */
const TICK_US_MAX = 50_000;
/** How long the guest waits with a write that has failed, if its timer is not slower. */
const RETRY_US = 50_000;
/** Of its timer, the 8254. */
const PERIODS_PER_US = 1.193182;
const MAGIC = 0x574f5342;
/** What no sector lacks that the guest has written to. */
export const MAGIC_BYTES = Buffer.from('BSOW');
const RECORD_BYTES = 16;
/** QEMU takes a BIOS in units of this. */
const BIOS_BYTES = 65_536;
const SEQUENCE_MAX = 2 ** 30 - 1;

/** What the host patches into the ROM. */
export interface GuestRomOptions {
  /** How many disks are written to in turn; 0 makes an idle guest that halts at once. */
  readonly disks: number;
  /** The first sequence number; 1 unless the images already hold writes. */
  readonly firstSequence?: number;
  /** Microseconds that the guest waits after each write, in steps of 5 ms; 0 (the default) means none. */
  readonly pacingUs?: number;
  /** Whether it writes in turn with another guest over COM1, and which of the two it is; see the head of `ordered-writer.s`. */
  readonly turn?: Turn;
}

/** Of two guests that write in turn. */
export type Turn = 'first' | 'second';

/**
 * The option ROM of a guest, ready for `-option-rom`.
 *
 * @example
 * ```ts
 * console.log(guestRom({ disks: 2 }).reduce((sum, byte) => (sum + byte) & 0xff, 0)); // 0
 * ```
 */
export function guestRom({ disks, firstSequence = 1, pacingUs = 0, turn }: GuestRomOptions): Buffer {
  invariant(Number.isInteger(disks) && disks >= 0 && disks <= DISKS_MAX, `${disks} disks`);
  invariant(firstSequence >= 1 && firstSequence <= SEQUENCE_MAX, `first sequence ${firstSequence}`);
  const rom = Buffer.from(ORDERED_WRITER_BASE64, 'base64');
  rom.writeUInt32LE(disks, 0x20);
  rom.writeUInt32LE(firstSequence, 0x24);
  const steps = Math.ceil(pacingUs / STEP_US);
  const ticks = Math.ceil((steps * STEP_US) / TICK_US_MAX);
  const tickUs = ticks === 0 ? STEP_US : (steps * STEP_US) / ticks;
  rom.writeUInt16LE(ticks, 0x28);
  rom.writeUInt16LE(Math.ceil(RETRY_US / tickUs), 0x2a);
  rom.writeUInt16LE(turn === undefined ? 0 : turn === 'first' ? 1 : 2, 0x2c);
  rom.writeUInt16LE(Math.round(tickUs * PERIODS_PER_US), 0x2e);
  const sum = rom.subarray(0, -1).reduce((total, byte) => total + byte, 0);
  rom.writeUInt8(-sum & 0xff, rom.length - 1);
  return rom;
}

/** The image of the small BIOS (`small-bios.s`) that starts this guest, ready for `-bios`. */
export function guestBios(rom: Buffer): Buffer {
  const end = Buffer.from(SMALL_BIOS_BASE64, 'base64');
  return Buffer.concat([rom, Buffer.alloc(BIOS_BYTES - rom.length - end.length), end]);
}

/** Sector 0 of disk `disk` of `disks`, by which the guest knows it. */
export function labelSector(disk: number, disks: number): Buffer {
  const sector = Buffer.alloc(SECTOR_BYTES);
  sector.writeUInt32LE(MAGIC, 0);
  sector.writeUInt32LE(disk, 4);
  sector.writeUInt32LE(disks, 8);
  return sector;
}

/** The disk that write `sequence` goes to. */
export function diskOf(sequence: number, disks: number): number {
  return sequence % disks;
}

/** The place in the ring of its disk that write `sequence` goes to. */
export function slotOf(sequence: number, disks: number): number {
  return Math.floor(sequence / disks) % RING_SECTORS;
}

/** The sector that write `sequence` puts on its disk. */
export function writtenSector(sequence: number, disks: number): Buffer {
  const record = Buffer.alloc(RECORD_BYTES);
  record.writeUInt32LE(MAGIC, 0);
  record.writeUInt32LE(sequence, 4);
  record.writeUInt32LE(diskOf(sequence, disks) + disks * 0x10000, 8);
  record.writeUInt32LE(~sequence >>> 0, 12);
  return Buffer.concat(Array.from({ length: SECTOR_BYTES / RECORD_BYTES }, () => record));
}

/** What is in a sector of the ring: a write, nothing of the guest's, or part of a write. */
export type RingSector =
  | { readonly sequence: number; readonly disk: number; readonly disks: number }
  | 'none'
  | 'torn';

/** Reads one sector of the ring; a write that is there only in part, or with bytes that do not fit, is `torn`. */
export function readSector(sector: Buffer): RingSector {
  invariant(sector.length === SECTOR_BYTES, `a sector of ${sector.length} bytes`);
  if (!sector.includes(MAGIC_BYTES)) return 'none'; // most of a ring is empty
  const [magic, sequence, place, check] = recordAt(sector, 0);
  let ours = 0;
  let equal = 0;
  for (let at = 0; at < SECTOR_BYTES; at += RECORD_BYTES) {
    const found = recordAt(sector, at);
    if (found[0] === MAGIC) ours++;
    if (found[0] === magic && found[1] === sequence && found[2] === place && found[3] === check) equal++;
  }
  if (ours === 0) return 'none';
  const whole = ours === equal && ours * RECORD_BYTES === SECTOR_BYTES && check === ~sequence >>> 0;
  return whole ? { sequence, disk: place & 0xffff, disks: place >>> 16 } : 'torn';
}

function recordAt(sector: Buffer, at: number): readonly [number, number, number, number] {
  return [
    sector.readUInt32LE(at),
    sector.readUInt32LE(at + 4),
    sector.readUInt32LE(at + 8),
    sector.readUInt32LE(at + 12),
  ];
}

/** One report of the guest; see the head of `ordered-writer.s`. */
export type Report =
  | { readonly kind: 'written'; readonly sequence: number }
  | { readonly kind: 'failed'; readonly sequence: number }
  | { readonly kind: 'diskMissing'; readonly disk: number };

/** Reads the 4 bytes of one report. */
export function readReport(word: number): Report {
  const value = word & SEQUENCE_MAX;
  const kind = word >>> 30;
  if (kind === 0) return { kind: 'written', sequence: value };
  if (kind === 2) return { kind: 'failed', sequence: value };
  invariant(kind === 3, `a report of kind ${kind}: bytes of the debug console were lost`);
  return { kind: 'diskMissing', disk: value };
}
