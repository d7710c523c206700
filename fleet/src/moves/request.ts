/** What can be asked of a move, and which guests and disks that selects. Pure: what agents have told is handed in. */
import { basename, posix } from 'node:path';
import { z } from 'zod';
import type { GuestRequest } from '../guest-object.ts';

export const moveRequest = z.strictObject({
  /** Names of guests; with `host`, those of them that are on it. All guests of the fleet unless one of both is given. */
  guests: z.array(z.string().min(1)).min(1).optional(),
  host: z.string().min(1).optional(),
  /** Only disks whose active image is in this directory, or in one in it. */
  below: z.string().startsWith('/').optional(),
  /** The directory of the new images, on the host of each guest. */
  to: z.string().startsWith('/'),
  /** The names of the new images: {file} is the old one's, {guest} and {disk} are whose it is. */
  as: z
    .string()
    .regex(/^[^/]+$/, 'is a name without a slash')
    .default('{file}'),
  format: z.enum(['qcow2', 'raw']).optional(),
  /** Of each disk, bytes per second. */
  bandwidth: z.int().min(1).optional(),
  /** How long each guest may be paused for its switch. */
  maxBlackoutMs: z.int().min(1).optional(),
  policy: z.enum(['stopAtFirst', 'goOn', 'takeBackAll']).default('stopAtFirst'),
  /** Guests that copy at once, in the fleet and on one host. */
  atOnce: z.int().min(1).max(1_000).default(8),
  atOncePerHost: z.int().min(1).max(1_000).default(2),
  /** Says what would be done, and does nothing. */
  plan: z.boolean().default(false),
});

export type MoveRequest = z.output<typeof moveRequest>;

/** A disk as an agent tells of it. */
export interface DiskTold {
  readonly disk: string;
  readonly readOnly: boolean;
  readonly chain: readonly { readonly file: string }[];
}

export interface DiskMove {
  readonly disk: string;
  readonly from: string;
  readonly to: string;
}

/** The disks of a guest that are to be moved, and where to. Read-only ones stay: a guest boots from its CD where that is. */
export function movesOf(
  guest: string,
  disks: readonly DiskTold[],
  { below, to, as }: Pick<MoveRequest, 'below' | 'to' | 'as'>,
): readonly DiskMove[] {
  return disks.flatMap(({ disk, readOnly, chain: [active] }) => {
    if (readOnly || active === undefined) return [];
    const from = active.file;
    if (!from.startsWith('/') || (below !== undefined && !isBelow(from, below))) return [];
    const names = { '{file}': basename(from), '{guest}': guest, '{disk}': disk };
    const name = Object.entries(names).reduce((text, [mark, value]) => text.replaceAll(mark, value), as);
    const target = posix.join(to, name.replaceAll('/', '_'));
    return target === from ? [] : [{ disk, from, to: target }];
  });
}

function isBelow(file: string, directory: string): boolean {
  const relative = posix.relative(directory, file);
  return relative !== '' && relative !== '..' && !relative.startsWith('../');
}

/** Names that two disks of one host would both get: no copy of them is begun. */
export function collisionsIn(
  moves: readonly { readonly guest: string; readonly host: string; readonly disks: readonly DiskMove[] }[],
): readonly string[] {
  const taken = new Map<string, string>();
  return moves.flatMap(({ guest, host, disks }) =>
    disks.flatMap(({ disk, from, to }) => {
      const who = `${disk} of ${guest} (${from})`;
      const other = taken.get(`${host} ${to}`);
      taken.set(`${host} ${to}`, who);
      return other === undefined
        ? []
        : [
            `${to} on ${host} would be the new image of ${other} and of ${who}: say names that differ, such as "{guest}-{file}"`,
          ];
    }),
  );
}

/** What the agent is asked for one guest. */
export function copyRequest(
  id: string,
  disks: readonly DiskMove[],
  { format, bandwidth, maxBlackoutMs, policy }: MoveRequest,
): GuestRequest {
  return {
    id,
    disks: disks.map(({ disk, to }) => ({ disk, to, ...(format === undefined ? {} : { format }) })),
    ...(bandwidth === undefined ? {} : { bandwidth }),
    ...(maxBlackoutMs === undefined ? {} : { maxBlackoutMs }),
    ...(policy === 'takeBackAll' ? { finish: 'leave' } : {}),
  };
}
