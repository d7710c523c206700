/** What may be asked of a commit without QEMU, checked before any image is looked at. Shapes only. */
import { z } from 'zod';
import { checkRequest } from './check-request.ts';
import { DISKS_MAX, name, path, sagaId } from './request-fields.ts';
import type { OfflineCommitRequest } from './request-types.generated.ts';
import { told } from './told.ts';

export type { OfflineCommitRequest };

const format = z
  .string()
  .max(32)
  .regex(/^[a-z][a-z0-9_-]*$/, "must be the name of one of QEMU's formats");

/** The shape of such a request. */
export const offlineCommitShape = z.strictObject({
  id: told(sagaId.optional(), 'Submitting the same id twice has one effect.', {
    ...{ example: 'task-4711', without: 'one is made up' },
  }),
  vm: told(name.optional(), "The VM's name in the journal.", {
    example: 'web',
    without: "the first disk's file",
  }),
  disks: told(
    z
      .array(
        z.strictObject({
          disk: told(path, 'The file of the image in front.', { example: '/images/disk0.snap2.qcow2' }),
          format: told(
            format.optional(),
            'Its format; what is below has the format that the header above it says.',
            { example: 'qcow2', without: 'that of the request' },
          ),
          top: told(name.optional(), 'The image that is committed: its file, or `[2]` for a place.', {
            ...{ example: '/images/disk0.snap2.qcow2', without: 'the one in front' },
          }),
          base: told(name.optional(), 'The image that it is committed into.', {
            ...{ example: '/images/disk0.qcow2', without: 'the lowest, or with `shallow` the next one' },
          }),
        }),
      )
      .min(1)
      .max(DISKS_MAX)
      .readonly(),
    'The disks, all of which are merged, or none.',
    { example: [{ disk: '/images/disk0.snap2.qcow2' }] },
  ),
  format: told(format.optional(), 'The format of all images in front whose own is not said.', {
    ...{ example: 'qed', default: 'qcow2' },
  }),
  shallow: told(z.boolean().optional(), 'Commit into the image right below.', {
    example: true,
    default: false,
  }),
  delete: told(z.boolean().optional(), 'Remove the files that have left the chains, after the decision.', {
    ...{ example: true, default: false },
  }),
  relative: told(z.boolean().optional(), 'Name the image below by a path relative to the one above.', {
    ...{ example: true, without: 'as the headers between them do' },
  }),
});

/** Throws REQUEST_INVALID naming the field and the rule. */
export function checkOfflineCommitRequest(request: unknown): OfflineCommitRequest {
  return checkRequest(offlineCommitShape, request);
}
