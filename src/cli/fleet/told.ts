/** What a fleet tells, as it is read: by Restate's ingress, from hosts that are other machines. What is not of its shape is refused. */
import { z } from 'zod';

const hostStatus = z.object({
  guests: z.array(z.object({ vm: z.string(), qmp: z.string() })),
  sagas: z.array(z.object({ id: z.string(), vm: z.string(), operation: z.string(), state: z.string() })),
});

export const hostsTold = z.array(
  z.object({ host: z.string(), agent: z.string(), status: hostStatus.nullable() }),
);

export type HostTold = z.output<typeof hostsTold>[number];

export const stuckTold = z.array(
  z.object({ id: z.string(), target: z.string(), status: z.string(), why: z.string().nullable() }),
);

export type StuckTold = z.output<typeof stuckTold>[number];

/** What a saga has left on its host, in words; an agent of an earlier version does not tell it. */
const leftovers = z.array(z.string()).optional();

const guestTold = z.object({
  guest: z.string(),
  host: z.string(),
  saga: z.string(),
  disks: z.array(z.object({ disk: z.string(), from: z.string(), to: z.string() })),
  state: z.string(),
  blackoutMs: z.number().optional(),
  why: z.string().optional(),
  leftovers,
});

export type GuestTold = z.output<typeof guestTold>;

const moveReport = z.object({
  state: z.enum([
    'planning',
    'planned',
    'refused',
    'moving',
    'stopping',
    'takingBack',
    'done',
    'incomplete',
    'stopped',
    'takenBack',
  ]),
  guests: z.array(guestTold),
  why: z.string().optional(),
});

/** Where an endpoint of an earlier version says that a move is done whose guests have merely ended, it is not believed. */
export const moveTold = moveReport.transform(told =>
  told.state === 'done' && told.guests.some(({ state }) => state !== 'committed')
    ? { ...told, state: 'incomplete' as const }
    : told,
);

export type MoveTold = z.output<typeof moveTold>;

export const groupTold = z.object({
  id: z.string(),
  state: z.string(),
  members: z
    .array(z.object({ id: z.string(), vm: z.string().optional(), state: z.string(), leftovers }))
    .optional(),
});

export type GroupTold = z.output<typeof groupTold>;

/** Whatever an object says that is of no consequence here. */
export const anything = z.unknown();
