/**
 * Reads the file of a trace as it grows, for those who look at it: each saga's lines by themselves, within a bound. It writes nothing,
 * and takes lines as text: what is in them is for the page to read.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { WireTold } from './wire-told.ts';

/** Of one saga; the oldest are let go of. */
const LINES_MAX = 20_000;
const SAGAS_MAX = 500;
const CHUNK_BYTES = 4 * 2 ** 20;
/** Longer ones are none of ours: a message of more than 64 KiB is kept as its beginning. */
const LINE_MAX = 2 ** 20;
/** Handed out at once; the page asks on. */
const PAGE_LINES = 5_000;

interface Of {
  readonly lines: string[];
  /** How many were let go of. */
  gone: number;
}

export class WireFile {
  readonly #file: string;
  #seen: { readonly inode: number; readonly bytes: number } = { inode: 0, bytes: 0 };
  #rest = '';
  #trouble: string | undefined;
  readonly #sagas = new Map<string, Of>();

  constructor(file: string) {
    this.#file = file;
  }

  /** The lines of a saga from the given one on, counted from the first that there ever was; no more than can be handed out at once. */
  lines(saga: string, from: number): WireTold {
    const { lines, gone } = this.#of(saga);
    const first = Math.max(0, from - gone);
    return {
      ...{ lines: lines.slice(first, first + PAGE_LINES), first: first + gone, total: lines.length + gone },
      ...(this.#trouble === undefined ? {} : { trouble: this.#trouble }),
    };
  }

  /** All lines of a saga that are kept. */
  all(saga: string): readonly string[] {
    return this.#of(saga).lines;
  }

  #of(saga: string): Of {
    try {
      this.#read();
      this.#trouble = undefined;
    } catch (error) {
      // Another process's file, which may be taken away, closed to us, or no file at all.
      this.#trouble = `the trace cannot be read: ${String(error)}`;
    }
    return this.#sagas.get(saga) ?? { lines: [], gone: 0 };
  }

  /** What has been written since; of a file that has become the older one its end, then the new one. */
  #read(): void {
    const found = statSync(this.#file, { throwIfNoEntry: false });
    if (found === undefined) return; // no saga has begun yet
    if (!found.isFile()) throw new Error(`${this.#file} is no file`);
    const inode = found.ino;
    if (inode === this.#seen.inode && found.size < this.#seen.bytes) {
      // It was cut off, to be written from its beginning again.
      this.#rest = '';
      this.#seen = { inode, bytes: 0 };
    }
    if (inode !== this.#seen.inode) {
      const older = `${this.#file}.1`;
      const olderInode = inodeOf(older);
      if (olderInode !== undefined) {
        const isSame = olderInode === this.#seen.inode;
        if (!isSame) this.#rest = '';
        this.#readFrom(older, isSame ? this.#seen.bytes : 0);
      }
      this.#rest = '';
      this.#seen = { inode, bytes: 0 };
    }
    this.#seen = { inode, bytes: this.#readFrom(this.#file, this.#seen.bytes) };
  }

  /** Gives how far it has come. */
  #readFrom(file: string, from: number): number {
    const descriptor = openSync(file, 'r');
    try {
      let at = from;
      for (;;) {
        const chunk = Buffer.alloc(CHUNK_BYTES);
        const bytes = readSync(descriptor, chunk, 0, chunk.length, at);
        if (bytes === 0) return at;
        at += bytes;
        this.#take(chunk.toString('latin1', 0, bytes));
      }
    } finally {
      closeSync(descriptor);
    }
  }

  /** Bytes as they are, so that no letter is cut; a line is read as UTF-8 when it is whole. */
  #take(bytes: string): void {
    const parts = (this.#rest + bytes).split('\n');
    this.#rest = (parts.pop() ?? '').slice(0, LINE_MAX);
    for (const part of parts) this.#add(Buffer.from(part, 'latin1').toString('utf8'));
  }

  #add(line: string): void {
    const saga = sagaIn(line);
    if (saga === undefined) return;
    const of = this.#sagas.get(saga) ?? { lines: [], gone: 0 };
    this.#sagas.set(saga, of);
    of.lines.push(line);
    if (of.lines.length > LINES_MAX) {
      of.lines.shift();
      of.gone += 1;
    }
    const [oldest] = this.#sagas.keys();
    if (this.#sagas.size > SAGAS_MAX && oldest !== undefined) this.#sagas.delete(oldest);
  }
}

/** Whose line it is; undefined for what is none. */
function sagaIn(line: string): string | undefined {
  if (line.length > LINE_MAX) return undefined;
  const found = /^\{"format":1,"atMs":[\d.]+,"saga":("(?:[^"\\]|\\.)*")/.exec(line)?.[1];
  try {
    return found === undefined ? undefined : String(JSON.parse(found));
  } catch {
    return undefined; // a letter that JSON does not know
  }
}

/** Which file has this name now; undefined where none has. */
function inodeOf(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.ino;
}
