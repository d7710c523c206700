/**
 * Image files on this machine, through `qemu-img` without a shell. Whether an image is in use is told by QEMU's own locks
 * (`-U` reads past them, and is used only to tell an image in use from one that cannot be read), never by an error's text.
 */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, link, lstat, open, stat, unlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { BlocksagaError } from '../errors.ts';
import { plainNameIn } from './backing-name.ts';
import { compareImages } from './compare-images.ts';
import type { ImageName, ImageSight, Images } from './images.ts';
import { localFiles } from './local-files.ts';
import { overlaysIn } from './local-overlays.ts';

const LOOK_DEADLINE_MS = 120_000;
const MOVE_DEADLINE_MS = 24 * 60 * 60_000;
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;
const ASIDE_MAX = 100;
const CHAIN_DEPTH_MAX = 200;
const LEADS_NOWHERE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);
const execute = promisify(execFile);

/** A mirror that keeps up is behind by milliseconds; one that does not is asked about, which loses nothing. */
const IN_FLIGHT_MS = 25;

export const localImages: Images = {
  inFlightMs: IN_FLIGHT_MS,

  async look(image): Promise<ImageSight> {
    if (!(await isThere(image.file))) return { state: 'missing' };
    const isNone = await whyNoImage(image.file);
    if (isNone !== undefined) return { state: 'unreadable', why: isNone, isEmpty: false, isNoFile: true };
    const times = await timesOf(image.file);
    const free = await info(image, []);
    if ('sizeBytes' in free) return { state: 'readable', ...free, ...times };
    const shared = await info(image, ['-U']);
    if ('sizeBytes' in shared) return { state: 'inUse' };
    const facts = await localFiles.stat(image.file);
    const isEmpty = facts?.sizeBytes === 0 || facts?.claim !== undefined;
    return { state: 'unreadable', why: shared.why, isEmpty };
  },

  async compare(image, other) {
    if (!(await isWholeChain(image)) || !(await isWholeChain(other))) return 'unreadable';
    try {
      return await compareImages(image, other);
    } catch (cause) {
      if (isRefusal(cause)) return 'unreadable';
      throw filesError(`cannot compare ${image.file} with ${other.file}`, cause);
    }
  },

  overlaysIn,

  async createOverlay(file, backing, sizeBytes) {
    await localFiles.removeUnfinished?.(file, file);
    if (!(await isThere(file))) await localFiles.createExclusive(file, backing.file, file);
    // -u: where the size is known the backing image need not be opened.
    const known = sizeBytes > 0;
    const names = ['-b', backing.file, '-F', backing.driver];
    const arguments_ = ['create', '-q', ...(known ? ['-u'] : []), '-f', 'qcow2', ...names, '--', file];
    await qemuImg(MOVE_DEADLINE_MS, known ? [...arguments_, String(sizeBytes)] : arguments_);
    await sync(file);
  },

  async commitOverlay({ file, driver }) {
    const below = await info({ file, driver }, []);
    await qemuImg(MOVE_DEADLINE_MS, ['commit', '-q', '-f', driver, '--', file]);
    if ('sizeBytes' in below && below.backing !== null) await sync(below.backing.file);
    await sync(file);
  },

  async commitInto(top, base, signal) {
    // -d: the image on top keeps what it holds, so that nothing has changed for a reader of the chain.
    const arguments_ = ['commit', '-q', '-d', '-f', top.driver, '-b', base.file, '--', top.file];
    await qemuImg(MOVE_DEADLINE_MS, arguments_, signal);
    await sync(base.file);
  },

  async pointAt({ file, driver }, backing) {
    const names = ['-b', backing.stored, '-F', backing.driver];
    await qemuImg(LOOK_DEADLINE_MS, ['rebase', '-q', '-u', '-f', driver, ...names, '--', file]);
    await sync(file);
  },

  async whyNotWritable({ file, driver }) {
    const options = { timeout: LOOK_DEADLINE_MS, maxBuffer: OUTPUT_BYTES_MAX };
    try {
      // Opening takes QEMU's locks for writing, and writes nothing.
      await execute('qemu-io', ['-f', driver, '-c', 'quit', '--', file], options);
      return undefined;
    } catch (cause) {
      if (isRefusal(cause)) return saidBy(cause);
      throw filesError(`qemu-io cannot look at ${file}`, cause);
    }
  },

  async copyInto(from, to) {
    const arguments_ = ['convert', '-q', '-n', '-f', from.driver, '-O', to.driver, '--', from.file, to.file];
    await qemuImg(MOVE_DEADLINE_MS, arguments_);
    await sync(to.file);
  },

  async pullInto({ file, driver }, base, stored) {
    const onto = base === null ? ['-b', ''] : ['-b', stored ?? base.file, '-F', base.driver];
    await qemuImg(MOVE_DEADLINE_MS, ['rebase', '-q', '-f', driver, ...onto, '--', file]);
    await sync(file);
  },

  async setAside(file) {
    for (let number = 1; number <= ASIDE_MAX; number += 1) {
      const name = `${file}.unreadable${number}`;
      try {
        await link(file, name); // unlike rename it never replaces what is there
      } catch (cause) {
        if (codeOf(cause) === 'EEXIST') continue;
        throw filesError(`cannot set ${file} aside`, cause);
      }
      await unlink(file);
      await localFiles.syncDirectory(file);
      return name;
    }
    throw new BlocksagaError('FILES', `cannot set ${file} aside: ${ASIDE_MAX} such files are there already`);
  },
};

/** In words, of what no tool should open: a FIFO would have it wait for ever. Throws FILES where it may not be read. */
async function whyNoImage(file: string): Promise<string | undefined> {
  try {
    const facts = await stat(file);
    if (!facts.isFile() && !facts.isBlockDevice()) return 'it is no file and no block device';
    await access(file, constants.R_OK);
    return undefined;
  } catch (cause) {
    if (LEADS_NOWHERE.has(codeOf(cause))) return `it is a link to nothing (${codeOf(cause)})`;
    throw filesError(`cannot read ${file}`, cause);
  }
}

/** Whether every image of a chain, as far as headers tell which these are by path, is there and is one. */
async function isWholeChain(front: ImageName): Promise<boolean> {
  let image: ImageName | undefined = front;
  for (let depth = 0; image?.file.startsWith('/') && depth < CHAIN_DEPTH_MAX; depth += 1) {
    const sight = await localImages.look(image);
    if (sight.state === 'missing' || sight.state === 'unreadable') return false;
    const { file, driver = null } = (sight.state === 'readable' ? sight.backing : null) ?? {};
    image = file === undefined || driver === null ? undefined : { file, driver };
  }
  return true;
}

type Readable = Extract<ImageSight, { state: 'readable' }>;
type Info = Omit<Readable, 'state' | 'stamp' | 'writtenAtMs'>;

/** A block device has no time of its data, only one of its node. */
async function timesOf(file: string): Promise<Pick<Readable, 'stamp' | 'writtenAtMs'>> {
  const facts = await stat(file, { bigint: true });
  const writtenAtMs = facts.isFile() ? Number(facts.mtimeNs / 1_000n) / 1_000 : null;
  return { stamp: `${facts.mtimeNs}-${facts.size}`, writtenAtMs };
}

/** What `qemu-img info` reads, or why it does not. Throws FILES where there is no qemu-img. */
async function info({ file, driver }: ImageName, flags: readonly string[]): Promise<Info | { why: string }> {
  const options = { timeout: LOOK_DEADLINE_MS, maxBuffer: OUTPUT_BYTES_MAX };
  try {
    const arguments_ = ['info', ...flags, '--output=json', '-f', driver, '--', file];
    const { stdout } = await execute('qemu-img', arguments_, options);
    const fields = JSON.parse(stdout) as Record<string, unknown>;
    return { sizeBytes: Number(fields['virtual-size']), backing: backingIn(fields), ...apartIn(fields) };
  } catch (cause) {
    if (!isRefusal(cause)) throw filesError(`qemu-img cannot look at ${file}`, cause);
    return { why: saidBy(cause) };
  }
}

/** A number is the exit status of a tool: it ran, and said no. */
function isRefusal(cause: unknown): cause is Error {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'number';
}

function saidBy(cause: Error): string {
  return 'stderr' in cause ? String(cause.stderr).trim() : cause.message;
}

function backingIn(fields: Readonly<Record<string, unknown>>): Info['backing'] {
  const stored = fields['backing-filename'];
  const file = fields['full-backing-filename'] ?? stored;
  const format = fields['backing-filename-format'];
  if (typeof file !== 'string') return null;
  const driver = typeof format === 'string' ? format : null;
  return {
    file: plainNameIn(file, driver),
    driver,
    stored: typeof stored === 'string' ? stored : file,
  };
}

/** What an image has that is in no chain: its internal snapshots, and data in a file of its own. */
function apartIn(fields: Readonly<Record<string, unknown>>): Pick<Info, 'snapshots' | 'dataFile'> {
  const names = Array.isArray(fields['snapshots'])
    ? fields['snapshots'].map(each => memberOf(each, 'name'))
    : [];
  const data = memberOf(memberOf(fields['format-specific'], 'data'), 'data-file');
  return {
    ...(names.length === 0 ? {} : { snapshots: names.map(String) }),
    ...(typeof data === 'string' ? { dataFile: data } : {}),
  };
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

async function qemuImg(
  deadlineMs: number,
  arguments_: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const options = { timeout: deadlineMs, maxBuffer: OUTPUT_BYTES_MAX };
  try {
    await execute('qemu-img', arguments_, signal === undefined ? options : { ...options, signal });
  } catch (cause) {
    throw filesError(`qemu-img ${arguments_.join(' ')}`, cause);
  }
}

/** Also true of a dangling link: nothing may be made through one. */
async function isThere(file: string): Promise<boolean> {
  try {
    await lstat(file);
    return true;
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT' || codeOf(cause) === 'ENOTDIR') return false;
    throw filesError(`cannot look at ${file}`, cause);
  }
}

async function sync(file: string): Promise<void> {
  try {
    const handle = await open(file, constants.O_RDONLY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    await localFiles.syncDirectory(file);
  } catch (cause) {
    throw filesError(`cannot make ${file} durable`, cause);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function filesError(what: string, cause: unknown): BlocksagaError {
  if (cause instanceof BlocksagaError) return cause;
  const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : '';
  const why = said === '' ? (cause instanceof Error ? cause.message : String(cause)) : said;
  return new BlocksagaError('FILES', `${what}: ${why}`, { cause });
}
