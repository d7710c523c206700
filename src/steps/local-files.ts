/**
 * Files on this machine, for a QEMU that runs here too. Runs `qemu-img` without a shell and with a stated format.
 */
import { execFile } from 'node:child_process';
import { constants, type Stats } from 'node:fs';
import { chown, lstat, open, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { BlocksagaError } from '../errors.ts';
import type { Files } from './files.ts';

const QEMU_IMG_DEADLINE_MS = 30_000;
const QEMU_IMG_OUTPUT_BYTES_MAX = 4 * 1024 * 1024;
const execute = promisify(execFile);

export const localFiles: Files = {
  async stat(path) {
    const facts = await orUndefined(stat(path), 'ENOENT', 'ENOTDIR');
    // A dangling link is something that stands there: nothing may be made through it.
    const found = facts ?? (await orUndefined(lstat(path), 'ENOENT', 'ENOTDIR'));
    if (found === undefined) return undefined;
    const kind = facts?.isFile() ? 'file' : facts?.isBlockDevice() ? 'blockDevice' : 'other';
    return { kind, sizeBytes: found.size, identity: identityOf(found) };
  },

  async createExclusive(path, like) {
    const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;
    const model = await orUndefined(stat(like), 'ENOENT', 'ENOTDIR', 'EACCES');
    const mode = model?.isFile() ? model.mode & 0o666 : 0o600;
    try {
      const file = await orUndefined(
        open(path, flags, mode),
        'ENOENT',
        'ENOTDIR',
        'EACCES',
        'EPERM',
        'EROFS',
      );
      if (file === undefined) return undefined;
      const made = await file.stat();
      await file.close();
      if (model !== undefined && process.getuid?.() === 0) await chown(path, model.uid, model.gid);
      return identityOf(made);
    } catch (cause) {
      if (codeOf(cause) === 'EEXIST') {
        throw new BlocksagaError(
          'TARGET_EXISTS',
          `${path} exists; name another file, or say that it may be reused`,
          {
            cause,
          },
        );
      }
      throw filesError(`cannot create ${path}`, cause);
    }
  },

  async unlink(path, identity) {
    try {
      const found = await orUndefined(lstat(path), 'ENOENT', 'ENOTDIR');
      if (found?.isFile() && identityOf(found) === identity) await unlink(path);
    } catch (cause) {
      throw filesError(`cannot remove ${path}`, cause);
    }
  },

  async syncDirectory(path) {
    try {
      const directory = await open(dirname(path), constants.O_RDONLY);
      try {
        await directory.sync();
      } finally {
        await directory.close();
      }
    } catch (cause) {
      throw filesError(`cannot make the directory of ${path} durable`, cause);
    }
  },

  async imageInfo(path, driver) {
    const options = { timeout: QEMU_IMG_DEADLINE_MS, maxBuffer: QEMU_IMG_OUTPUT_BYTES_MAX };
    try {
      const { stdout } = await execute(
        'qemu-img',
        ['info', '-U', '--output=json', '-f', driver, '--', path],
        options,
      );
      return readInfo(JSON.parse(stdout));
    } catch (cause) {
      if (codeOf(cause) === 'ENOENT') return undefined;
      throw filesError(`qemu-img cannot read ${path} as ${driver}`, cause);
    }
  },
};

function readInfo(info: unknown) {
  const fields = info as Record<string, unknown>;
  const size = fields['virtual-size'];
  if (typeof size !== 'number') throw new Error('qemu-img told no virtual size');
  const file = fields['full-backing-filename'] ?? fields['backing-filename'];
  const driver = fields['backing-filename-format'];
  return {
    virtualSizeBytes: size,
    backing: typeof file === 'string' ? { file, driver: typeof driver === 'string' ? driver : null } : null,
  };
}

function identityOf(facts: Pick<Stats, 'dev' | 'ino'>): string {
  return `${facts.dev}:${facts.ino}`;
}

async function orUndefined<T>(promise: Promise<T>, ...codes: readonly string[]): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (codes.includes(codeOf(error))) return undefined;
    throw error;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function filesError(what: string, cause: unknown): BlocksagaError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BlocksagaError('FILES', `${what}: ${why}`, { cause });
}
