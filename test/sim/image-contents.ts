/**
 * What a qcow2 file and the files below it hold, as one line of text: read from the file itself, so that no QEMU stands
 * between. The simulator's contents in the same words. Only what tests make is understood: no encryption, no compression.
 */

import { readFileSync } from 'node:fs';
import type { Extents } from '../../src/sim/host/contents.ts';

const MAGIC = 0x51_46_49_fb;
const BLOCK_BYTES = 4_096;
const CHAIN_MAX = 50;
const OFFSET_MASK = 0x00ff_ffff_ffff_fe00n;
const [IS_ZERO, IS_COMPRESSED] = [1n, 1n << 62n];

/** Byte ranges with their pattern, `0+65536=17`; zeroes are left out. */
export function bytesOf(path: string): string {
  const chain = readChain(path);
  const ranges = new Ranges();
  const sizeBytes = chain[0]?.sizeBytes ?? 0;
  const step = Math.min(...chain.map(image => image.clusterBytes));
  for (let offset = 0; offset < sizeBytes; offset += step) {
    for (const image of chain) {
      const found = image.read(offset, step);
      if (found === undefined) continue;
      const blockBytes = isUniform(found) ? found.length : BLOCK_BYTES;
      for (let at = 0; at < found.length; at += blockBytes) {
        const block = found.subarray(at, at + blockBytes);
        ranges.add(offset + at, block.length, isUniform(block) ? String(block[0] ?? 0) : 'mixed');
      }
      break;
    }
  }
  return ranges.text();
}

/** Each byte is like its neighbour; compared in one go, for this is most of what a conformance run computes. */
function isUniform(bytes: Uint8Array): boolean {
  const last = bytes.length - 1;
  return last < 1 || Buffer.compare(bytes.subarray(0, last), bytes.subarray(1)) === 0;
}

/** The same words for the simulator's extents; -1 - p is pattern p. */
export function describeExtents(extents: Extents): string {
  const ranges = new Ranges();
  for (let i = 0; i < extents.length; i += 3) {
    const [start = 0, end = 0, value = 0] = extents.slice(i, i + 3);
    ranges.add(start, end - start, value <= 0 ? String(value === 0 ? 0 : -1 - value) : `write ${value}`);
  }
  return ranges.text();
}

class Ranges {
  readonly #list: { start: number; end: number; readonly value: string }[] = [];

  add(start: number, length: number, value: string): void {
    if (value === '0') return;
    const last = this.#list.at(-1);
    if (last?.end === start && last.value === value) last.end = start + length;
    else this.#list.push({ start, end: start + length, value });
  }

  text(): string {
    return (
      this.#list.map(({ start, end, value }) => `${start}+${end - start}=${value}`).join(' ') || 'zeroes'
    );
  }
}

interface Qcow2 {
  readonly sizeBytes: number;
  readonly clusterBytes: number;
  /** Undefined where the file below decides. */
  read(offset: number, length: number): Uint8Array | undefined;
}

function readChain(path: string): readonly Qcow2[] {
  const chain: Qcow2[] = [];
  for (let next: string | undefined = path; next !== undefined; ) {
    if (chain.length === CHAIN_MAX) throw new Error(`the chain of ${path} does not end`);
    const file: Buffer = readFileSync(next);
    if (file.length < 104 || file.readUInt32BE(0) !== MAGIC) return chain; // raw, and so far without a header
    chain.push(openQcow2(file, next));
    const at: number = Number(file.readBigUInt64BE(8));
    next = at === 0 ? undefined : fileOf(file.toString('utf8', at, at + file.readUInt32BE(16)));
  }
  return chain;
}

/** The layout is in QEMU's docs/interop/qcow2.txt. */
function openQcow2(file: Buffer, path: string): Qcow2 {
  const clusterBytes = 2 ** file.readUInt32BE(20);
  const sizeBytes = Number(file.readBigUInt64BE(24));
  const tableEntries = clusterBytes / 8;
  const l1Offset = Number(file.readBigUInt64BE(40));
  return {
    sizeBytes,
    clusterBytes,
    read(offset, length) {
      const cluster = Math.floor(offset / clusterBytes);
      const l1 = file.readBigUInt64BE(l1Offset + 8 * Math.floor(cluster / tableEntries));
      const l2Offset = Number(l1 & OFFSET_MASK);
      if (l2Offset === 0) return undefined;
      const entry = file.readBigUInt64BE(l2Offset + 8 * (cluster % tableEntries));
      if ((entry & IS_COMPRESSED) !== 0n) throw new Error(`${path} has compressed clusters`);
      if ((entry & IS_ZERO) !== 0n) return new Uint8Array(length);
      const host = Number(entry & OFFSET_MASK);
      if (host === 0) return undefined;
      const data = new Uint8Array(length); // the file may end inside its last cluster
      const start = host + (offset % clusterBytes);
      data.set(file.subarray(start, start + length));
      return data;
    },
  };
}

/** A header may name its backing file as `json:{...}`; what counts is the file at the bottom of it. */
function fileOf(name: string): string {
  if (!name.startsWith('json:')) return name;
  let options = JSON.parse(name.slice('json:'.length)) as { file?: unknown; filename?: unknown };
  while (typeof options.file === 'object' && options.file !== null) options = options.file;
  return String(options.filename);
}
