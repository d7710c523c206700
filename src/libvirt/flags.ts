/**
 * The flags of each call under libvirt's names, with libvirt's bits. A call takes a list of names or the number that a
 * program for libvirt has at hand. Which flags go together is the calls' business.
 */
import { refuse } from './errors.ts';

type FlagTable = Readonly<Record<string, number>>;

/** Flags of one call: names, or libvirt's number. */
export type Flags<T extends FlagTable> = number | readonly (keyof T & string)[];

/** Source of all tables: libvirt 9, include/libvirt/libvirt-domain.h and libvirt-domain-snapshot.h. */
export const BLOCK_REBASE = {
  SHALLOW: 1,
  REUSE_EXT: 2,
  COPY_RAW: 4,
  COPY: 8,
  RELATIVE: 16,
  COPY_DEV: 32,
  BANDWIDTH_BYTES: 64,
} as const;

export const BLOCK_PULL = { BANDWIDTH_BYTES: 64 } as const;

export const BLOCK_COPY = { SHALLOW: 1, REUSE_EXT: 2, TRANSIENT_JOB: 4, SYNCHRONOUS_WRITES: 8 } as const;

export const BLOCK_COMMIT = { SHALLOW: 1, DELETE: 2, ACTIVE: 4, RELATIVE: 8, BANDWIDTH_BYTES: 16 } as const;

export const BLOCK_JOB_ABORT = { ASYNC: 1, PIVOT: 2 } as const;

export const BLOCK_JOB_INFO = { BANDWIDTH_BYTES: 1 } as const;

export const BLOCK_JOB_SPEED = { BANDWIDTH_BYTES: 1 } as const;

export const SNAPSHOT_CREATE = {
  REDEFINE: 1,
  CURRENT: 2,
  NO_METADATA: 4,
  HALT: 8,
  DISK_ONLY: 16,
  REUSE_EXT: 32,
  QUIESCE: 64,
  ATOMIC: 128,
  LIVE: 256,
  VALIDATE: 512,
} as const;

/** The last two are of the proposal for snapshots with mirrors (2012): `strict` only, and without bits of libvirt's. */
export const SNAPSHOT_DELETE = {
  CHILDREN: 1,
  METADATA_ONLY: 2,
  CHILDREN_ONLY: 4,
  REOPEN_MIRROR: 1 << 16,
  REMOVE_MIRROR: 1 << 17,
} as const;

/** The flags as a set of names. Throws INVALID_ARG for a name or a bit that the call does not know. */
export function readFlags<T extends FlagTable>(
  call: string,
  table: T,
  flags: Flags<T>,
): ReadonlySet<keyof T & string> {
  const known = Object.entries(table) as [keyof T & string, number][];
  if (typeof flags === 'number') {
    const all = known.reduce((bits, [, bit]) => bits | bit, 0);
    if (!Number.isSafeInteger(flags) || flags < 0 || flags > all || (flags & ~all) !== 0) {
      refuse('INVALID_ARG', `${call}: flags 0x${flags.toString(16)} have bits that it does not know`);
    }
    return new Set(known.filter(([, bit]) => (flags & bit) !== 0).map(([name]) => name));
  }
  for (const name of flags) {
    if (!Object.hasOwn(table, name)) refuse('INVALID_ARG', `${call} does not know the flag ${String(name)}`);
  }
  return new Set(flags);
}
