/** What the fleet is asked for in a round, and which messages of it are boundaries of its protocol. */
import type { Chance } from '../../src/sim/host/random.ts';
import type { Arena, Host } from './arena.ts';
import { DISKS, type Guest } from './guest.ts';
import type { Boundary, Wire } from './wire.ts';

export interface Operation {
  readonly name: 'copy' | 'snapshot' | 'move' | 'instant' | 'clones';
  /** Of the handler. */
  readonly path: string;
  readonly body: object;
  /** The guests whose disks are to change, with the images that they are to be on. */
  readonly named: ReadonlyMap<Guest, readonly string[]>;
  /** The images are copies of one instant: the guests stay on those that they have. */
  readonly isCloned?: true;
  /** All of these or none; a move that goes on changes each by itself. */
  readonly isOneUnit: boolean;
  /** The ids of all sagas that it may be. */
  readonly sagas: readonly string[];
}

/** A moment: so many milliseconds behind the call, or a message on a wire. */
export type Moment =
  | { readonly afterMs: number }
  | { readonly wire: Wire; readonly on: string; readonly boundary: Boundary };

/** About as long as an operation takes. */
const RANDOM_MS = 1_200;
/** The bound is not what is tried here, and the machine may be busy. */
const MAX_BLACKOUT_MS = 20_000;
const CHAIN_MAX = 5;

/** A move merges the chains that snapshots have made longer. */
export function drawOperation(arena: Arena, id: string, longestChain: number, chance: Chance): Operation {
  const imagesOf = (guest: Guest) =>
    Array.from({ length: DISKS }, (_, disk) => `${guest.directory}/${id}-${guest.name}-${disk}.qcow2`);
  const disksOf = (guest: Guest, member: 'to' | 'overlay') =>
    imagesOf(guest).map((file, disk) => ({ disk: `dev${disk}`, [member]: file }));
  const names = ['instant', 'copy', 'clones', 'move', 'instant', 'snapshot'] as const;
  const drawn = names[chance.below(names.length)] ?? 'instant';
  const name = longestChain >= CHAIN_MAX ? 'move' : drawn;
  if (name === 'copy' || name === 'snapshot') {
    const guest = arena.guests[chance.below(arena.guests.length)] as Guest;
    return {
      ...{ name, path: `guest/${guest.name}/${name}`, isOneUnit: true, sagas: [id] },
      body: {
        ...{ id, maxBlackoutMs: MAX_BLACKOUT_MS },
        disks: disksOf(guest, name === 'copy' ? 'to' : 'overlay'),
      },
      named: new Map([[guest, imagesOf(guest)]]),
    };
  }
  if (name === 'move') {
    const host = arena.hosts[chance.below(2)] as Host;
    const toOf = (guest: Guest) =>
      Array.from({ length: DISKS }, (_, disk) => `${arena.target}/${id}-${guest.name}-dev${disk}.qcow2`);
    return {
      ...{ name, path: `move/${id}/run`, isOneUnit: false },
      body: {
        ...{ to: arena.target, host: host.name, as: `${id}-{guest}-{disk}.qcow2` },
        ...{ policy: 'goOn', atOncePerHost: 2 },
      },
      named: new Map(host.guests.map(guest => [guest, toOf(guest)])),
      sagas: host.guests.map(guest => `${id}.${guest.name}`),
    };
  }
  const [first, second] = chance.below(2) === 0 ? arena.hosts : [...arena.hosts].reverse();
  const members = [first as Host, second as Host].flatMap(host => host.guests.slice(0, 1 + chance.below(2)));
  const isCloned = name === 'clones';
  const asked = (guest: Guest) =>
    isCloned ? { finish: 'clone', disks: disksOf(guest, 'to') } : { disks: disksOf(guest, 'overlay') };
  return {
    ...{ name, path: `instant/${id}/run`, isOneUnit: true },
    ...(isCloned ? { isCloned } : {}),
    body: {
      members: members.map(guest => ({
        ...{ vm: guest.name, maxBlackoutMs: MAX_BLACKOUT_MS, ...asked(guest) },
      })),
    },
    named: new Map(members.map(guest => [guest, imagesOf(guest)])),
    sagas: [id, ...members.map((_, at) => `${id}.${at}`)],
  };
}

/** Two of three at a boundary of the protocol, the others at any time. */
export function drawMoment(arena: Arena, operation: Operation, chance: Chance): Moment {
  const afterMs = chance.below(RANDOM_MS);
  const at = chance.below(1_000);
  const side = chance.below(2) === 0 ? 'asked' : 'answered';
  if (chance.below(3) === 0) return { afterMs };
  const messages = [...messagesToAgents(arena, operation), ...messagesToQemus(operation)];
  const [wire, on, pattern, nths] = messages[at % messages.length] ?? [];
  if (wire === undefined || on === undefined || pattern === undefined) return { afterMs };
  return { wire, on: `${on} ${side}`, boundary: { pattern, side, nth: 1 + chance.below(nths ?? 1) } };
}

type Message = readonly [wire: Wire, on: string, pattern: RegExp, nths?: number];

/** To the agents of the named guests; what agents say to one another goes to that of the first. */
function messagesToAgents({ hosts }: Arena, { name, named }: Operation): readonly Message[] {
  const guests = [...named.keys()];
  const asked = hosts.filter(host => host.guests.some(guest => named.has(guest)));
  const [leader] = hosts.filter(host => guests[0] !== undefined && host.guests.includes(guests[0]));
  const toAll = (what: string, pattern: RegExp, nths = 1): Message[] =>
    asked.map(host => [host.wire, `${what} (${host.name})`, pattern, nths]);
  if (name !== 'instant' && name !== 'clones')
    return [
      ...toAll('the submission', /POST \/guests\/[^/ ]+\/(copy|snapshot) /),
      ...toAll('a look', /GET \/sagas\//, 2),
    ];
  const met = name === 'clones' ? ['planned', 'prepared', 'converged'] : ['planned', 'prepared'];
  const steps = [...met, 'taken', 'confirmed', 'taken', 'confirmed'].map((step): Message[] =>
    leader === undefined ? [] : [[leader.wire, step, new RegExp(`POST /groups/[^ ]+/parts/[^ ]+/${step} `)]],
  );
  return [
    ...toAll('the submission', /POST \/groups\/[^/ ]+ /),
    ...toAll('a look', /GET \/sagas\//, 2),
    ...steps.flat(),
    ...steps.flat(),
  ];
}

/** What makes or ends something, by what is asked. */
const COMMANDS: Readonly<Record<Operation['name'], readonly string[]>> = {
  snapshot: ['blockdev-add', 'stop', 'transaction', 'cont'],
  instant: ['blockdev-add', 'stop', 'transaction', 'cont'],
  clones: ['blockdev-add', 'blockdev-mirror', 'stop', 'block-job-cancel', 'cont', 'job-dismiss'],
  copy: ['blockdev-mirror', 'stop', 'block-job-cancel', 'blockdev-reopen', 'cont'],
  move: ['blockdev-mirror', 'stop', 'block-job-cancel', 'blockdev-reopen', 'cont'],
};

function messagesToQemus({ name, named }: Operation): readonly Message[] {
  const commands = ['object-add', ...COMMANDS[name], 'object-del'];
  return [...named.keys()].flatMap(guest =>
    commands.flatMap((command): Message[] =>
      guest.wire === undefined
        ? []
        : [[guest.wire, `${command} (${guest.name})`, new RegExp(`"execute":"${command}"`)]],
    ),
  );
}
