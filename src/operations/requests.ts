/**
 * What may be asked for, checked in full before QEMU is spoken to: shapes, ranges and contradictions. What depends on
 * the guest is checked against it by the planners.
 */
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { BlocksagaError } from '../errors.ts';
import { isNbdAddress, readNbdAddress } from '../images/nbd-address.ts';
import { checkRequest } from './check-request.ts';

/** Disks that one saga may have. */
export const DISKS_MAX = 64;
const GRANULARITY_MIN = 512;
const GRANULARITY_MAX = 64 * 1024 * 1024;
const BLACKOUT_MS_MAX = 60_000;

const name = z.string().min(1).max(4096);
const path = name
  .refine(isAbsolute, 'must be an absolute path')
  .refine(file => !file.includes('\0'), 'must not hold a NUL');
const pathOrExport = name.refine(
  text =>
    isNbdAddress(text) ? readNbdAddress(text) !== undefined : isAbsolute(text) && !text.includes('\0'),
  'must be an absolute path, nbd://HOST:PORT/EXPORT, or nbd+unix:///EXPORT?socket=PATH',
);
const bytes = z.int().nonnegative();
/**
 * The id of the secret object in QEMU that the new image is encrypted with, or `none` for one in the clear. Without it an
 * encrypted disk keeps its own, and another stays in the clear.
 */
const encrypt = z.string().min(1).max(200).optional();
const disksOf = <D extends z.ZodType>(disk: D) => z.array(disk).min(1).max(DISKS_MAX).readonly();

/** The id of a saga, as a request may choose it. */
export const sagaId = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[\w.:@-]+$/, 'may hold letters, digits and . : @ _ -');

const common = {
  /** Submitting the same id twice has one effect. Made up when absent. */
  id: sagaId.optional(),
  /** What a caller wants to find again: kept in the journal, and given back with each notice and definition. */
  metadata: z
    .record(name, z.string().max(4096))
    .refine(entries => Object.keys(entries).length <= 64, 'may have 64 entries at most')
    .optional(),
  /** The VM's name in the journal; QEMU's UUID or name, or the monitor's address, when absent. */
  vm: name.optional(),
  /** Capabilities to act without, as an older QEMU would. */
  without: z.array(name).readonly().optional(),
  /**
   * A program that is told of the new disks after the decision: one line of JSON (`Definition`) on its standard input,
   * status 0 when it has taken it. Run without a shell, at least once, again for minutes when it fails; the journal keeps
   * it for a resume. An engine's own `onCommit` is not called then.
   */
  onCommit: z
    .strictObject({
      program: name,
      arguments: z.array(z.string()).max(100).readonly(),
      environment: z.array(name).max(100).readonly().exactOptional(),
      timeoutMs: z.int().min(1).max(3_600_000).exactOptional(),
    })
    .optional(),
  /** How long the guest may be paused, in milliseconds. */
  maxBlackoutMs: z.int().min(1).max(BLACKOUT_MS_MAX).optional(),
};

const snapshotRequest = z.strictObject({
  ...common,
  disks: disksOf(
    z.strictObject({
      /** Node name, qdev id, `-drive` id, or the file name of the active image. */
      disk: name,
      /** The overlay's file; may be left out when the request has a name. */
      overlay: path.optional(),
      format: z.enum(['qcow2']).optional(),
      /** The overlay exists and is used as it is. */
      reuse: z.boolean().optional(),
      encrypt,
      /** Where the overlay is mirrored to: all disks of a request, or none. */
      mirror: path.optional(),
      /** That image exists, and names a chain of its own, which may be copied until the switch. */
      mirrorReuse: z.boolean().optional(),
    }),
  ),
  /** The snapshot's name: an overlay without a file of its own gets the active image's, ending in the name. */
  name: z
    .string()
    .min(1)
    .max(200)
    .regex(/^[^./][^/\0]*$/, 'must not begin with a dot or hold a slash')
    .optional(),
  /** Name the images below by paths relative to the overlays, so that a directory can be moved as a whole. */
  relative: z.boolean().optional(),
  /** With mirrors: as in a copy. */
  strategy: z.enum(['auto', 'reopen', 'finalize', 'complete']).optional(),
  parallel: z.int().min(1).max(DISKS_MAX).optional(),
  bandwidth: bytes.optional(),
  /** Refuse where QEMU cannot do all disks in one `transaction`. */
  atomic: z.boolean().optional(),
  /** The guest agent's socket: the guest's file systems are frozen meanwhile. */
  quiesce: name.optional(),
});

const copyRequest = z.strictObject({
  ...common,
  disks: disksOf(
    z.strictObject({
      disk: name,
      /** The new image's file, a block device (with `reuse`), or the address of an NBD export, which must be there. */
      to: pathOrExport,
      format: z.enum(['qcow2', 'raw', 'luks']).optional(),
      encrypt,
      /**
       * The image of the disk's chain that the new one is based on, as in a pull: what lies above it is copied. Without
       * it the new image has no backing image.
       */
      base: name.optional(),
      /** Copy only the active image; the new one has the same backing image. */
      shallow: z.boolean().optional(),
      /** The target exists and is written over. */
      reuse: z.boolean().optional(),
      /**
       * The target is a block device, onto which a new image is written; what it holds is lost, also when the copy is
       * rolled back.
       */
      initialize: z.boolean().optional(),
      /** The same as `format: 'raw'`. */
      raw: z.boolean().optional(),
      /** With `shallow` or `base`: name the image below by a path relative to the new one. */
      relative: z.boolean().optional(),
    }),
  ),
  finish: z.enum(['pivot', 'clone', 'abort', 'leave']).optional(),
  strategy: z.enum(['auto', 'reopen', 'finalize', 'complete']).optional(),
  /** How many disks copy at once; ready ones wait for the others. */
  parallel: z.int().min(1).max(DISKS_MAX).optional(),
  /** Bytes per second and disk; 0 lifts the limit. */
  bandwidth: bytes.optional(),
  /** Bytes; a power of two. */
  granularity: z
    .int()
    .min(GRANULARITY_MIN)
    .max(GRANULARITY_MAX)
    .refine(value => Number.isInteger(Math.log2(value)), 'must be a power of two')
    .optional(),
  /** Bytes that a mirror may have in flight; 0 is QEMU's default. */
  bufSize: bytes.optional(),
  /** Write to both sides at once: the copy then converges under any load, and the guest writes more slowly. */
  syncWrites: z.boolean().optional(),
});

const merging = {
  ...common,
  /** How many disks are merged at once; those that are done wait for the others. */
  parallel: z.int().min(1).max(DISKS_MAX).optional(),
  /** Bytes per second and disk; 0 lifts the limit. */
  bandwidth: bytes.optional(),
  /** Name the image below by a path relative to the one above, as the headers between them do. */
  relative: z.boolean().optional(),
};

const pullRequest = z.strictObject({
  ...merging,
  disks: disksOf(
    z.strictObject({
      disk: name,
      /** The image that stays below the active one: its file, its node, or `disk[2]`; all are pulled when absent. */
      base: name.optional(),
    }),
  ),
});

const commitRequest = z.strictObject({
  ...merging,
  disks: disksOf(
    z.strictObject({
      disk: name,
      /** The image that is committed; the active one when absent. */
      top: name.optional(),
      /** The image that it is committed into; the lowest when absent, or with `shallow` the next one. */
      base: name.optional(),
    }),
  ),
  /** Commit into the image right below. */
  shallow: z.boolean().optional(),
  /** Remove the files that have left the chains, after the decision. */
  delete: z.boolean().optional(),
  /** The active images are meant, and the guest is to be switched over. */
  active: z.boolean().optional(),
  finish: z.enum(['pivot', 'abort', 'leave']).optional(),
  strategy: z.enum(['auto', 'reopen', 'finalize', 'complete']).optional(),
});

const revertRequest = z.strictObject({
  ...common,
  disks: disksOf(
    z.strictObject({
      disk: name,
      /** The image to revert to: its file, its node, or `disk[2]`; the one below the active image when absent. */
      to: name.optional(),
      /** The file of the new overlay on it, which takes what the guest writes from now on. */
      overlay: path,
      format: z.enum(['qcow2']).optional(),
      encrypt,
    }),
  ),
  /** Remove the files that have left the chains, after the decision. */
  delete: z.boolean().optional(),
});

/** The shapes of all requests; rules between their fields are in the checks below. */
export const requestShapes = {
  snapshot: snapshotRequest,
  copy: copyRequest,
  commit: commitRequest,
  pull: pullRequest,
  revert: revertRequest,
} as const;

/** A snapshot of N disks; see README for the fields. */
export type SnapshotRequest = z.infer<typeof snapshotRequest>;
/** A copy of N disks; see README for the fields. */
export type CopyRequest = z.infer<typeof copyRequest>;

/** A pull of N disks; see README for the fields. */
export type PullRequest = z.infer<typeof pullRequest>;
/** A commit of images of N disks; see README for the fields. */
export type CommitRequest = z.infer<typeof commitRequest>;

/** A revert of N disks; see README for the fields. */
export type RevertRequest = z.infer<typeof revertRequest>;

/** Throws REQUEST_INVALID naming the field and the rule. */
export function checkRevertRequest(request: unknown): RevertRequest {
  return checkRequest(revertRequest, request);
}

/** Throws REQUEST_INVALID naming the field and the rule. */
export function checkPullRequest(request: unknown): PullRequest {
  return checkRequest(pullRequest, request);
}

/** Throws REQUEST_INVALID naming the field and the rule. */
export function checkCommitRequest(request: unknown): CommitRequest {
  return checkRequest(commitRequest, request);
}

/** Throws REQUEST_INVALID naming the field and the rule. */
export function checkSnapshotRequest(request: unknown): SnapshotRequest {
  const checked = checkRequest(snapshotRequest, request);
  const nameless = checked.disks.find(({ overlay }) => overlay === undefined);
  if (nameless !== undefined && checked.name === undefined) {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `disk ${nameless.disk}: say the overlay's file, or give the snapshot a name to make one from`,
      { disk: nameless.disk },
    );
  }
  refuseMirrorWishes(checked);
  return checked;
}

function refuseMirrorWishes(checked: SnapshotRequest): void {
  const { disks, strategy, parallel, bandwidth } = checked;
  const alone = disks.find(disk => disk.mirror === undefined);
  const refuse = (why: string): never => {
    throw new BlocksagaError('REQUEST_INVALID', why, alone === undefined ? {} : { disk: alone.disk });
  };
  if (hasMirrorWishes(checked) && alone !== undefined) {
    refuse(`disk ${alone.disk} has no mirror: all disks of one snapshot have one, or none`);
  }
  if (alone !== undefined && [strategy, parallel, bandwidth].some(option => option !== undefined)) {
    refuse('strategy, parallel and bandwidth are about mirrors, and no disk has one');
  }
  if (alone?.mirrorReuse)
    refuse(`disk ${alone.disk}: mirrorReuse says something of a mirror, and there is none`);
}

/** Whether the overlays are to be mirrored. */
export function hasMirrorWishes({ disks }: SnapshotRequest): boolean {
  return disks.some(disk => disk.mirror !== undefined);
}

/** Throws REQUEST_INVALID naming the field and the rule. */
export function checkCopyRequest(request: unknown): CopyRequest {
  const checked = checkRequest(copyRequest, request);
  for (const { disk, raw, format, base, shallow, to } of checked.disks) {
    const refuse = (why: string): never => {
      throw new BlocksagaError('REQUEST_INVALID', `disk ${disk}: ${why}`, { disk });
    };
    if (raw && format !== undefined && format !== 'raw')
      refuse(`raw and format=${format} contradict each other`);
    if (base === undefined) continue;
    if (raw || format === 'raw' || isNbdAddress(to)) refuse('a raw image cannot stand on a base');
    if (format === 'luks') refuse('a luks image cannot stand on a base');
    if (shallow) refuse('shallow and base contradict each other: the one is right below, the other is said');
  }
  return checked;
}
