/**
 * Files on this machine, for a QEMU that runs here too. Runs `qemu-img` without a shell and with a stated format.
 */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { lstat, open, stat, unlink } from 'node:fs/promises';
import { hostname, networkInterfaces } from 'node:os';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { answersInTime } from './answering.ts';
import { plainNameIn } from './backing-name.ts';
import { CLAIM_BYTES, claimIn } from './claim-text.ts';
import { numbersOf, whyInUse } from './device-use.ts';
import { identityOf } from './file-identity.ts';
import type { FileUser } from './file-owner.ts';
import type { FileFacts, Files } from './files.ts';
import { createClaimed, removeUnfinished } from './local-claim.ts';
import { inDirectoryOf } from './local-directory.ts';
import { codeOf, filesError, MAY_NOT, NOTHING_THERE, orUndefined } from './local-errors.ts';
import { findMoved } from './local-moved.ts';
import { overlaysIn } from './local-overlays.ts';
import { type PlaceParts, placeOfExport, placeOfPath } from './places.ts';
import { localSysfs } from './sysfs.ts';

const QEMU_IMG_DEADLINE_MS = 120_000;
const QEMU_IMG_OUTPUT_BYTES_MAX = 4 * 1024 * 1024;
/** In blocks of 512 bytes: such a file is nearly all hole. */
const CLAIM_BLOCKS_MAX = 128n;
/** Linux: a descriptor that only stands for the file, whatever kind it is (open(2)). */
const O_PATH = 0o10000000;
const execute = promisify(execFile);

const PARTS: PlaceParts = {
  sysfs: localSysfs,
  async stand(path) {
    const facts = await orUndefined(stat(path, { bigint: true }), [...NOTHING_THERE, 'EACCES']);
    if (facts?.isBlockDevice()) return { kind: 'device', numbers: numbersOf(facts.rdev) };
    return facts?.isFile() ? { kind: 'file', identity: identityOf(facts) } : undefined;
  },
};

/** What this machine is called by itself and others. */
function namesOfHere(): ReadonlySet<string> {
  const addresses = Object.values(networkInterfaces()).flatMap(each => each ?? []);
  return new Set([hostname().toLowerCase(), ...addresses.map(({ address }) => address)]);
}

const withoutMaking: Omit<Files, 'createExclusive'> = {
  async stat(path) {
    const facts = await orUndefined(stat(path, { bigint: true }), NOTHING_THERE);
    // A dangling link is something that stands there: nothing may be made through it.
    const found = facts ?? (await orUndefined(lstat(path, { bigint: true }), NOTHING_THERE));
    if (found === undefined) return undefined;
    const kind = facts?.isFile() ? 'file' : facts?.isBlockDevice() ? 'blockDevice' : 'other';
    const known: FileFacts = { kind, sizeBytes: Number(found.size), identity: identityOf(found) };
    const mayBeClaim = kind === 'file' && found.size > 0n && found.blocks <= CLAIM_BLOCKS_MAX;
    const claim = mayBeClaim ? await readClaim(path, known.sizeBytes) : undefined;
    return {
      ...known,
      ...(found.birthtimeNs === 0n ? { isRecyclable: true } : {}),
      ...(claim === undefined ? {} : { claim }),
    };
  },

  overlaysIn,

  answers: (path, withinMs) => answersInTime(path, withinMs),

  async unlink(path, identity) {
    try {
      await orUndefined(
        inDirectoryOf(path, async directory => {
          // Held open until it is gone, so that no other file can come to have its inode number meanwhile.
          const file = await open(directory.path, heldFlags());
          try {
            const found = await file.stat({ bigint: true });
            if (!found.isFile() || identityOf(found) !== identity) return;
            await unlink(directory.path);
            await directory.sync();
          } finally {
            await file.close();
          }
        }),
        // ELOOP: a link stands there, where a descriptor cannot stand for one.
        [...NOTHING_THERE, 'ELOOP'],
      );
    } catch (cause) {
      throw filesError(`cannot remove ${path}`, cause);
    }
  },

  removeUnfinished,

  findMoved,

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

  place: async path => (path.startsWith('/') ? placeOfPath(path, PARTS) : placeOfExport(path, namesOfHere())),

  async whyInUse(path) {
    const place = await placeOfPath(path, PARTS);
    return place === undefined ? undefined : whyInUse(path, place, PARTS);
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

/** Files of this machine for a QEMU whose user is not known. */
export const localFiles: Files = createLocalFiles(undefined);

/** The same, whose new files are readable for the user that QEMU opens files as. */
export function createLocalFiles(qemu: FileUser | undefined): Files {
  return {
    ...withoutMaking,
    createExclusive: (path, like, claim, access = {}) => createClaimed(path, { like, claim, access, qemu }),
  };
}

function readInfo(info: unknown) {
  const fields = info as Record<string, unknown>;
  const size = fields['virtual-size'];
  if (typeof size !== 'number') throw new Error('qemu-img told no virtual size');
  const file = fields['full-backing-filename'] ?? fields['backing-filename'];
  const format = fields['backing-filename-format'];
  const driver = typeof format === 'string' ? format : null;
  return {
    virtualSizeBytes: size,
    encrypted: fields['encrypted'] === true,
    backing: typeof file === 'string' ? { file: plainNameIn(file, driver), driver } : null,
  };
}

function heldFlags(): number {
  if (process.platform === 'linux') return O_PATH | constants.O_NOFOLLOW;
  return constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
}

async function readClaim(path: string, sizeBytes: number): Promise<string | undefined> {
  const file = await orUndefined(open(path, constants.O_RDONLY), [...NOTHING_THERE, ...MAY_NOT]);
  if (file === undefined) return undefined;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(CLAIM_BYTES), 0, CLAIM_BYTES, 0);
    return claimIn(buffer.subarray(0, bytesRead), sizeBytes);
  } finally {
    await file.close();
  }
}
