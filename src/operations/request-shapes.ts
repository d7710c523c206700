/**
 * The shapes of all requests, with what is told of each field. Rules between fields, and what depends on the guest, are checked
 * elsewhere. `npm run requests` makes the types and docs/requests.md from them.
 */
import { z } from 'zod';
import { copiedImageFields, newImageFields } from './new-image-fields.ts';
import {
  bandwidth,
  bytes,
  common,
  disk,
  disksOf,
  encrypt,
  name,
  overlayFormat,
  parallelOf,
  path,
  pathOrExport,
  removeLeft,
  strategy,
} from './request-fields.ts';
import { told } from './told.ts';

const GRANULARITY_MIN = 512;
const GRANULARITY_MAX = 64 * 1024 * 1024;

const snapshotRequest = z.strictObject({
  ...common,
  disks: disksOf(
    z.strictObject({
      disk,
      overlay: told(path.optional(), "The overlay's file.", {
        ...{ example: '/images/disk0.snap1.qcow2', without: 'it is made from the name of the snapshot' },
      }),
      format: overlayFormat,
      reuse: told(
        z.boolean().optional(),
        'The overlay exists and is used as it is; its header names the image that the disk is on.',
        {
          example: true,
          default: false,
        },
      ),
      encrypt,
      ...newImageFields,
      mirror: told(path.optional(), 'Where the overlay is mirrored to: all disks of a request, or none.', {
        ...{ example: '/second/disk0.snap1.qcow2', without: 'it is not mirrored' },
      }),
      mirrorReuse: told(
        z.boolean().optional(),
        'The image at `mirror` exists, and names a chain of its own, which may be copied until the switch.',
        { example: true, default: false },
      ),
    }),
    { disk: 'disk0', overlay: '/images/disk0.snap1.qcow2' },
  ),
  name: told(
    z
      .string()
      .min(1)
      .max(200)
      .regex(/^[^./][^/\0]*$/, 'must not begin with a dot or hold a slash')
      .optional(),
    "The snapshot's name: an overlay without a file of its own gets the active image's, ending in the name.",
    { example: 'before-upgrade', without: 'each disk says its overlay' },
  ),
  relative: told(
    z.boolean().optional(),
    'Name the images below by paths relative to the overlays, so that a directory can be moved as a whole.',
    { example: true, default: false },
  ),
  strategy,
  parallel: parallelOf('are mirrored'),
  bandwidth,
  atomic: told(z.boolean().optional(), 'Refuse where QEMU cannot do all disks in one `transaction`.', {
    ...{ example: true, default: false },
  }),
  quiesce: told(name.optional(), "The guest agent's socket: the guest's file systems are frozen meanwhile.", {
    ...{ example: '/run/vm.qga', without: 'no file system is frozen' },
  }),
});

const copyRequest = z.strictObject({
  ...common,
  disks: disksOf(
    z.strictObject({
      disk,
      to: told(
        pathOrExport,
        "The new image's file, a block device (with `reuse`), or the address of an NBD export, which must be there.",
        { example: '/new/disk0.qcow2' },
      ),
      format: told(z.enum(['qcow2', 'raw', 'luks']).optional(), "The new image's format.", {
        ...{ example: 'raw', without: "the disk's own; raw for an NBD export" },
      }),
      encrypt,
      ...copiedImageFields,
      base: told(
        name.optional(),
        "The image of the disk's chain that the new one is based on, as in a pull: what lies above it is copied.",
        { example: '/images/base.qcow2', without: 'the new image has no backing image' },
      ),
      shallow: told(
        z.boolean().optional(),
        'Copy only the active image; the new one has the same backing image.',
        {
          ...{ example: true, default: false },
        },
      ),
      reuse: told(
        z.boolean().optional(),
        'The target exists and is written over; with `shallow` its header names what the copy is to stand on.',
        {
          example: true,
          default: false,
        },
      ),
      initialize: told(
        z.boolean().optional(),
        'The target is a block device, onto which a new image is written; what it holds is lost, also when the copy is rolled back.',
        { example: true, default: false },
      ),
      raw: told(z.boolean().optional(), "The same as `format: 'raw'`.", { example: true, default: false }),
      relative: told(
        z.boolean().optional(),
        'With `shallow` or `base`: name the image below by a path relative to the new one.',
        { example: true, default: false },
      ),
    }),
    { disk: 'disk0', to: '/new/disk0.qcow2' },
  ),
  finish: told(
    z.enum(['pivot', 'clone', 'abort', 'leave']).optional(),
    'What happens when all disks are mirrored: `pivot` switches to the copies, `clone` keeps them as one instant of all disks, `leave` waits for a word, `abort` takes them away.',
    { example: 'leave', default: 'pivot' },
  ),
  strategy,
  parallel: parallelOf('copy'),
  bandwidth,
  granularity: told(
    z
      .int()
      .min(GRANULARITY_MIN)
      .max(GRANULARITY_MAX)
      .refine(value => Number.isInteger(Math.log2(value)), 'must be a power of two')
      .optional(),
    'How large the pieces are that a mirror copies; a power of two.',
    { example: 65_536, unit: 'bytes', without: "QEMU's own choice" },
  ),
  bufSize: told(bytes.optional(), 'What a mirror may have in flight.', {
    ...{ example: 16_777_216, unit: 'bytes', without: "or with 0, QEMU's default" },
  }),
  quiesce: told(
    name.optional(),
    "With `finish: 'clone'`: the guest agent's socket; the guest's file systems are frozen for the instant of the cut.",
    { example: '/run/vm.qga', without: 'they are not frozen' },
  ),
  syncWrites: told(
    z.boolean().optional(),
    'Write to both sides at once: the copy then converges under any load, and the guest writes more slowly.',
    { example: true, default: false },
  ),
});

const merging = {
  ...common,
  parallel: parallelOf('are merged'),
  bandwidth,
  relative: told(z.boolean().optional(), 'Name the image below by a path relative to the one above.', {
    example: true,
    without: 'as the headers between them do',
  }),
};

const pullRequest = z.strictObject({
  ...merging,
  disks: disksOf(
    z.strictObject({
      disk,
      base: told(
        name.optional(),
        'The image that stays below the active one: its file, its node, or `disk[2]`.',
        {
          ...{ example: '/images/base.qcow2', without: 'all that is below is pulled' },
        },
      ),
    }),
    { disk: 'disk0', base: '/images/base.qcow2' },
  ),
});

const commitRequest = z.strictObject({
  ...merging,
  disks: disksOf(
    z.strictObject({
      disk,
      top: told(name.optional(), 'The image that is committed.', {
        ...{ example: '/images/disk0.snap2.qcow2', without: 'the active one' },
      }),
      base: told(name.optional(), 'The image that it is committed into.', {
        ...{ example: '/images/disk0.qcow2', without: 'the lowest, or with `shallow` the next one' },
      }),
    }),
    { disk: 'disk0', top: '/images/disk0.snap2.qcow2' },
  ),
  shallow: told(z.boolean().optional(), 'Commit into the image right below.', {
    example: true,
    default: false,
  }),
  delete: removeLeft,
  active: told(z.boolean().optional(), 'The active images are meant, and the guest is to be switched over.', {
    ...{ example: true, default: false },
  }),
  finish: told(
    z.enum(['pivot', 'abort', 'leave']).optional(),
    'With active images, what happens when all are merged: `pivot` switches to the bases, `leave` waits for a word, `abort` ends it.',
    { example: 'leave', default: 'pivot' },
  ),
  strategy,
});

const revertRequest = z.strictObject({
  ...common,
  disks: disksOf(
    z.strictObject({
      disk,
      to: told(name.optional(), 'The image to revert to: its file, its node, or `disk[2]`.', {
        ...{ example: '/images/disk0.qcow2', without: 'the one below the active image' },
      }),
      overlay: told(
        path,
        'The file of the new overlay on it, which takes what the guest writes from now on.',
        {
          example: '/images/disk0.new.qcow2',
        },
      ),
      format: overlayFormat,
      encrypt,
      ...newImageFields,
    }),
    { disk: 'disk0', overlay: '/images/disk0.new.qcow2' },
  ),
  delete: removeLeft,
});

/** The shapes of all requests; rules between their fields are in the checks below. */
export const requestShapes = {
  snapshot: snapshotRequest,
  copy: copyRequest,
  commit: commitRequest,
  pull: pullRequest,
  revert: revertRequest,
} as const;
