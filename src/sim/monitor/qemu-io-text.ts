/** How qemu-io reads numbers and writes what it did (qemu-io-cmds.c). Knows no nodes. */

import { type Extents, slice } from '../host/contents.ts';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
  e: 2 ** 60,
};

/** A number of bytes; NaN for what is none. */
export function bytesOf(word: string): number {
  if (/^0x[0-9a-f]+$/i.test(word)) return Number(word);
  const parts = /^(\d+(?:\.\d+)?)([bkmgtpe]?)$/i.exec(word);
  if (parts === null) return Number.NaN;
  return Math.trunc(Number(parts[1]) * (UNITS[(parts[2] ?? '').toLowerCase()] ?? 1));
}

const NAMES = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** `64 KiB`, `1.500 KiB`, `512 bytes`. */
export function sizeText(bytes: number): string {
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), NAMES.length);
  if (power === 0) return `${bytes} bytes`;
  return `${(bytes / 2 ** (10 * power)).toFixed(3).replace(/\.000$/, '')} ${NAMES[power - 1]}`;
}

/** Two lines: what was done, and how fast; here each takes a millisecond. */
export function report(verb: string, length: number, offset: number): string {
  const perSecond = `${sizeText(length * 1_000)}/sec and 1000.0000 ops/sec`;
  return (
    `${verb} ${length}/${length} bytes at offset ${offset}\n` +
    `${sizeText(length)}, 1 ops; 00.00 sec (${perSecond})\n`
  );
}

const LINE_BYTES = 16;

/** What `-v` shows. */
export function dump(held: Extents, offset: number, length: number): string {
  const lines: string[] = [];
  for (let at = 0; at < length; at += LINE_BYTES) {
    const bytes = Array.from({ length: Math.min(LINE_BYTES, length - at) }, (_, index) =>
      byteAt(held, offset + at + index),
    );
    const hex = bytes.map(byte => byte.toString(16).padStart(2, '0')).join(' ');
    const text = bytes.map(byte => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`${(offset + at).toString(16).padStart(8, '0')}:  ${hex}  ${text}\n`);
  }
  return lines.join('');
}

/** A pattern's byte; of the guest's own writes their number. */
function byteAt(held: Extents, offset: number): number {
  const value = slice(held, offset, offset + 1)[2] ?? 0;
  return (value < 0 ? -1 - value : value) % 256;
}
