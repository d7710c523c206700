/** The fields that several requests have in common, each with what is told of it. */
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { isNbdAddress, readNbdAddress } from '../images/nbd-address.ts';
import { told } from './told.ts';

/** Disks that one saga may have. */
export const DISKS_MAX = 64;
const BLACKOUT_MS_MAX = 60_000;

export const name = z.string().min(1).max(4096);
export const path = name
  .refine(isAbsolute, 'must be an absolute path')
  .refine(file => !file.includes('\0'), 'must not hold a NUL');
export const pathOrExport = name.refine(
  text =>
    isNbdAddress(text) ? readNbdAddress(text) !== undefined : isAbsolute(text) && !text.includes('\0'),
  'must be an absolute path, nbd://HOST:PORT/EXPORT, or nbd+unix:///EXPORT?socket=PATH',
);
export const bytes = z.int().nonnegative();
export const disksOf = <D extends z.ZodType>(disk: D, example: z.input<D>) =>
  told(z.array(disk).min(1).max(DISKS_MAX).readonly(), 'The disks, all of which are changed, or none.', {
    example: [example],
  });

export const encrypt = told(
  z.string().min(1).max(200).optional(),
  'The id of the secret object in QEMU that the new image is encrypted with, or `none` for one in the clear.',
  {
    example: 'sec0',
    without: 'an encrypted disk keeps its own secret, and another stays in the clear',
  },
);
export const disk = told(name, 'Node name, qdev id, `-drive` id, or the file name of the active image.', {
  example: 'disk0',
});
export const overlayFormat = told(z.enum(['qcow2']).optional(), "The overlay's format.", {
  example: 'qcow2',
  default: 'qcow2',
});
export const strategy = told(
  z.enum(['auto', 'reopen', 'finalize', 'complete']).optional(),
  'How the disks are switched; `auto` is the strongest that this QEMU has.',
  { example: 'reopen', default: 'auto' },
);
export const parallelOf = (what: string) =>
  told(
    z.int().min(1).max(DISKS_MAX).optional(),
    `How many disks ${what} at once; those that are done wait for the others.`,
    {
      ...{ example: 4, default: 2, unit: 'disks' },
    },
  );
export const bandwidth = told(bytes.optional(), "The limit of each disk's job; 0 lifts it.", {
  ...{ example: 104_857_600, default: 0, unit: 'bytes per second and disk' },
});
export const removeLeft = told(
  z.boolean().optional(),
  'Remove the files that have left the chains, after the decision.',
  {
    ...{ example: true, default: false },
  },
);

/** The id of a saga, as a request may choose it. */
export const sagaId = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[\w.:@-]+$/, 'may hold letters, digits and . : @ _ -');

export const common = {
  id: told(sagaId.optional(), 'Submitting the same id twice has one effect.', {
    ...{ example: 'task-4711', without: 'one is made up' },
  }),
  metadata: told(
    z
      .record(name, z.string().max(4096))
      .refine(entries => Object.keys(entries).length <= 64, 'may have 64 entries at most')
      .optional(),
    'What a caller wants to find again: kept in the journal, and given back with each notice and definition.',
    { example: { tenant: 'acme' }, without: 'none' },
  ),
  vm: told(name.optional(), "The VM's name in the journal: one saga at a time under each.", {
    ...{ example: 'web', without: "QEMU's UUID, else its name, else the monitor's address" },
  }),
  without: told(z.array(name).readonly().optional(), 'Capabilities to act without, as an older QEMU would.', {
    ...{ example: ['blockdev-reopen'], without: 'all that QEMU has are used' },
  }),
  onCommit: told(
    z
      .strictObject({
        program: told(name, 'The program.', { example: '/usr/lib/backend/record-disks' }),
        arguments: told(z.array(z.string()).max(100).readonly(), 'What it is called with.', {
          example: ['--vm', 'web'],
        }),
        environment: told(
          z.array(name).max(100).readonly().exactOptional(),
          'Names of variables that must be in the environment, which the program inherits; their values are kept nowhere.',
          { example: ['DATABASE_URL'], without: 'none must be there' },
        ),
        timeoutMs: told(z.int().min(1).max(3_600_000).exactOptional(), 'How long it may take.', {
          ...{ example: 10_000, default: 60_000, unit: 'milliseconds' },
        }),
      })
      .optional(),
    "A program that is told of the new disks after the decision: one line of JSON (`Definition`) on its standard input, status 0 when it has taken it. Run without a shell, at least once, again for minutes when it fails; the journal keeps it for a resume. An engine's own `onCommit` is not called then.",
    {
      example: { program: '/usr/lib/backend/record-disks', arguments: ['--vm', 'web'] },
      without: 'no program is told',
    },
  ),
  maxBlackoutMs: told(z.int().min(1).max(BLACKOUT_MS_MAX).optional(), 'How long the guest may be paused.', {
    ...{ example: 500, default: 1_000, unit: 'milliseconds' },
  }),
};
