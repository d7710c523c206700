/** What may be asked of a commit without QEMU, checked before any image is looked at. Shapes only. */
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { checkRequest } from './check-request.ts';
import { DISKS_MAX, sagaId } from './requests.ts';

const name = z.string().min(1).max(4096);
const path = name
  .refine(isAbsolute, 'must be an absolute path')
  .refine(file => !file.includes('\0'), 'must not hold a NUL');
const format = z
  .string()
  .max(32)
  .regex(/^[a-z][a-z0-9_-]*$/, "must be the name of one of QEMU's formats");

const offlineCommitRequest = z.strictObject({
  /** Submitting the same id twice has one effect. Made up when absent. */
  id: sagaId.optional(),
  /** The VM's name in the journal; the first disk's file when absent. */
  vm: name.optional(),
  disks: z
    .array(
      z.strictObject({
        /** The file of the image in front. */
        disk: path,
        /** Its format; what is below has the format that the header above it says. */
        format: format.optional(),
        /** The image that is committed: its file, or `[2]` for a place; the one in front when absent. */
        top: name.optional(),
        /** The image that it is committed into; the lowest when absent, or with `shallow` the next one. */
        base: name.optional(),
      }),
    )
    .min(1)
    .max(DISKS_MAX)
    .readonly(),
  /** The format of all images in front whose own is not said; qcow2 when absent. */
  format: format.optional(),
  /** Commit into the image right below. */
  shallow: z.boolean().optional(),
  /** Remove the files that have left the chains, after the decision. */
  delete: z.boolean().optional(),
  /** Name the image below by a path relative to the one above, as the headers between them do. */
  relative: z.boolean().optional(),
});

/** A commit of images of N disks that no QEMU has open. */
export type OfflineCommitRequest = z.infer<typeof offlineCommitRequest>;

/** Throws REQUEST_INVALID naming the field and the rule. */
export function checkOfflineCommitRequest(request: unknown): OfflineCommitRequest {
  return checkRequest(offlineCommitRequest, request);
}
