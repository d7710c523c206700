/** What a request may say of a new image's file and node, where nothing of the old one tells it. Checks nothing of the guest. */
import { z } from 'zod';
import type { NodeWishes } from '../plan/new-image.ts';
import { told } from './told.ts';

/** Of files that the saga makes. */
const OWNER = /^(\d{1,10})(?::(\d{1,10}))?$/;

export const newImageFields = {
  aio: told(
    z.enum(['threads', 'native', 'io_uring']).optional(),
    "How QEMU does the new image's I/O. QEMU does not tell it of the old image.",
    { example: 'native', default: 'threads' },
  ),
  discard: told(
    z.enum(['unmap', 'ignore']).optional(),
    "Whether the guest's TRIM reaches the new image's file. QEMU does not tell it of the old image.",
    { example: 'ignore', without: 'it does, unless its space is preallocated' },
  ),
  owner: told(
    z.string().regex(OWNER, 'must be numbers, UID or UID:GID').optional(),
    'Who owns a new file, in numbers: `UID` or `UID:GID`.',
    { example: '107:107', without: 'the owner of the old image' },
  ),
  mode: told(
    z
      .string()
      .regex(/^0?[0-6]{3}$/, 'must be an octal mode such as 0640, without execution')
      .optional(),
    'The mode of a new file, in octal.',
    { example: '0640', without: "the old image's, never more" },
  ),
} as const;

/** The same of a copy. */
export const copiedImageFields = {
  ...newImageFields,
  preallocation: told(
    z.enum(['off', 'metadata', 'falloc', 'full']).optional(),
    'Whether the space of a new file is allocated at once, and stays so.',
    { example: 'falloc', default: 'off' },
  ),
} as const;

/** These fields, as a request has them. */
export type NewImageWishes = {
  readonly [field in keyof typeof copiedImageFields]?: z.infer<(typeof copiedImageFields)[field]>;
};

/** What the plan keeps of them. */
export function wishesInPlan({ aio, discard, owner, mode, preallocation }: NewImageWishes) {
  const opens: NodeWishes = {
    ...(aio === undefined ? {} : { aio }),
    ...(discard === undefined ? {} : { discard }),
  };
  const [, uid, gid] = OWNER.exec(owner ?? '') ?? [];
  const access = {
    ...(uid === undefined ? {} : { uid: Number(uid) }),
    ...(gid === undefined ? {} : { gid: Number(gid) }),
    ...(mode === undefined ? {} : { mode: Number.parseInt(mode, 8) }),
  };
  return {
    ...(Object.keys(opens).length === 0 ? {} : { opens }),
    ...(Object.keys(access).length === 0 ? {} : { access }),
    ...(preallocation === undefined ? {} : { preallocation }),
  };
}
