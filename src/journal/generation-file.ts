/**
 * The file beside a journal that has its generation: `JOURNAL.generation`, one line of a fixed length, for the owner only. A
 * journal that is put back from a copy finds there how far it had been written. It is written behind each commit and not synced
 * then, so that no pause of a guest waits for it: a process that dies loses nothing, a power cut what the last seconds counted.
 */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  realpathSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Beside } from './standing.ts';

/** What it is called, behind the journal's own name. */
const GENERATION_SUFFIX = '.generation';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;
const MODE = 0o600;
const DIGITS = 16;
const LINE = /^blocksaga-journal ([0-9a-f]{16}) ([0-9]{16})\n$/;
const LENGTH = 'blocksaga-journal '.length + DIGITS + 1 + DIGITS + 1;

export class GenerationFile {
  readonly path: string;
  /** Why it could not be written, since it was last. */
  #trouble: string | undefined;
  #isSyncing = false;

  /** Links to the journal lead to one such file, as they do to one write-ahead log. */
  constructor(journal: string) {
    const real = realpathSync(resolve(journal));
    this.path = join(dirname(real), `${basename(real)}${GENERATION_SUFFIX}`);
  }

  read(): Beside {
    if (this.#trouble !== undefined) return { why: this.#trouble };
    return this.#within(O_RDONLY, readLine);
  }

  /** Keeps the highest of a line; another line's number is replaced. What goes wrong is told by the next `read`. */
  note(line: string, written: number): void {
    const text = `blocksaga-journal ${line} ${String(written).padStart(DIGITS, '0')}\n`;
    const write = (fd: number): Beside => {
      const before = readLine(fd);
      if (!('why' in before) && before.line === line && before.written >= written) return before;
      writeSync(fd, text, 0);
      return { line, written };
    };
    const there = this.#within(O_RDWR, write);
    const noted = 'why' in there && there.why === this.#missing ? this.#make(write) : there;
    this.#trouble = 'why' in noted ? noted.why : undefined;
  }

  /** Has it survive a power cut, on return. */
  sync(): void {
    this.#within(O_RDWR, fd => {
      fdatasyncSync(fd);
      return readLine(fd);
    });
  }

  /** The same, without holding up the process: for who may have a guest paused. */
  syncLater(): void {
    if (this.#isSyncing) return;
    this.#isSyncing = true;
    this.#synced()
      .catch((error: unknown) => {
        this.#trouble = this.#cannot(error);
      })
      .finally(() => {
        this.#isSyncing = false;
      });
  }

  async #synced(): Promise<void> {
    const handle = await open(this.path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    await handle.datasync().finally(() => handle.close());
  }

  #make(write: (fd: number) => Beside): Beside {
    const made = this.#within(O_RDWR | O_CREAT | O_EXCL, fd => {
      const noted = write(fd);
      fsyncSync(fd);
      return noted;
    });
    if (!('why' in made)) syncDirectory(dirname(this.path));
    return made;
  }

  get #missing(): string {
    return `${this.path} is not there`;
  }

  /** No link is followed, and nothing but a file is read or written. */
  #within(flags: number, work: (fd: number) => Beside): Beside {
    let fd: number | undefined;
    try {
      fd = openSync(this.path, flags | O_NOFOLLOW | O_NONBLOCK, MODE);
      if (!fstatSync(fd).isFile()) return { why: `${this.path} is no file` };
      return work(fd);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return { why: this.#missing };
      return { why: this.#cannot(error) };
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  #cannot(error: unknown): string {
    if (errorCode(error) === 'ELOOP') return `${this.path} is a link, and none is followed`;
    return `${this.path} cannot be read or written (${error instanceof Error ? error.message : String(error)})`;
  }
}

function readLine(fd: number): Beside {
  const buffer = Buffer.alloc(LENGTH + 1);
  const length = readSync(fd, buffer, 0, buffer.length, 0);
  const [, line, written] = LINE.exec(buffer.toString('latin1', 0, length)) ?? [];
  if (line === undefined) return { why: 'what is beside it is no generation of a journal' };
  return { line, written: Number(written) };
}

function syncDirectory(directory: string): void {
  const fd = openSync(directory, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function errorCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
