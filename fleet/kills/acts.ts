/** What is done to a fleet, and how it is made good again: one row a kind. Who is struck, chance says. */
import type { Chance } from '../../src/sim/host/random.ts';
import type { Part } from '../test/part.ts';
import type { Arena } from './arena.ts';
import type { Guest } from './guest.ts';
import type { Wire } from './wire.ts';

/** One blow at one part. */
export interface Blow {
  readonly victim: string;
  strike(): Promise<void>;
  /** A killed QEMU is started again by the process that recovers its images. */
  mend(): Promise<void>;
  /** Whose QEMU is dead then. */
  readonly guest?: Guest;
  /** It is the one that asks, which is another process in that round. */
  readonly isCaller?: boolean;
}

/** All that strikes at one moment. */
export interface Kind {
  readonly name: string;
  /** How long it is left so, at most. */
  readonly restMs: number;
  draw(arena: Arena, chance: Chance): readonly Blow[];
  /** Only where agents reach their QEMUs by wires. */
  readonly needsWires?: true;
}

const SHORT_MS = 1_500;
const LONG_MS = 12_000;
/** A paused vCPU thread is no pause of the guest's by QMP, but all that waits for QEMU waits. */
const QEMU_STOPPED_MS = 4_000;

export const CALLER: Blow = {
  victim: 'the caller',
  isCaller: true,
  strike: async () => {},
  mend: async () => {},
};

function oneOf<T>(all: readonly T[], chance: Chance): T {
  const one = all[chance.below(all.length)];
  if (one === undefined) throw new Error('there is nothing to choose from');
  return one;
}

const killed = (part: Part): Blow => ({
  victim: part.name,
  strike: () => part.end(),
  mend: () => part.start(),
});

const stopped = (part: Part): Blow => ({
  victim: part.name,
  strike: async () => part.signal('SIGSTOP'),
  mend: async () => part.signal('SIGCONT'),
});

const cut = (victim: string, wire: Wire): Blow => ({
  victim,
  strike: async () => wire.cut(),
  mend: async () => wire.mend(),
});

const qemuKilled = (guest: Guest): Blow => ({
  ...{ victim: `the QEMU of ${guest.name}`, guest },
  strike: () => guest.kill(),
  mend: async () => {},
});

const node = ({ nodes }: Arena, chance: Chance) => oneOf(nodes, chance);
const agent = ({ hosts }: Arena, chance: Chance) => oneOf(hosts, chance).agent;

export const KINDS: readonly Kind[] = [
  { name: 'a node of Restate', restMs: SHORT_MS, draw: (...all) => [killed(node(...all))] },
  { name: 'an agent', restMs: SHORT_MS, draw: (...all) => [killed(agent(...all))] },
  { name: 'the endpoint', restMs: SHORT_MS, draw: ({ endpoint }) => [killed(endpoint)] },
  {
    name: 'a QEMU',
    restMs: SHORT_MS,
    draw: ({ guests }, chance) => [qemuKilled(oneOf(guests, chance))],
  },
  { name: 'the caller', restMs: SHORT_MS, draw: () => [CALLER] },
  {
    name: 'a node and an agent',
    restMs: SHORT_MS,
    draw: (...all) => [killed(node(...all)), killed(agent(...all))],
  },
  {
    name: 'both agents',
    restMs: SHORT_MS,
    draw: ({ hosts }) => hosts.map(host => killed(host.agent)),
  },
  {
    name: 'the endpoint and an agent',
    restMs: SHORT_MS,
    draw: (arena, chance) => [killed(arena.endpoint), killed(agent(arena, chance))],
  },
  {
    name: 'a QEMU and its agent',
    restMs: SHORT_MS,
    draw({ hosts }, chance) {
      const host = oneOf(hosts, chance);
      return [qemuKilled(oneOf(host.guests, chance)), killed(host.agent)];
    },
  },
  {
    name: 'the caller and a node',
    restMs: SHORT_MS,
    draw: (...all) => [CALLER, killed(node(...all))],
  },
  {
    name: 'two nodes of three',
    restMs: SHORT_MS,
    draw({ nodes }, chance) {
      const spared = chance.below(nodes.length);
      return nodes.filter((_, at) => at !== spared || nodes.length === 1).map(killed);
    },
  },
  {
    name: 'cut: an agent from all that ask it',
    restMs: LONG_MS,
    draw({ hosts }, chance) {
      const { name, wire } = oneOf(hosts, chance);
      return [cut(`the wire to the agent of ${name}`, wire)];
    },
  },
  {
    name: 'cut: Restate from the endpoint',
    restMs: LONG_MS,
    draw: ({ endpointWire }) => [cut('the wire to the endpoint', endpointWire)],
  },
  {
    name: 'cut: a QEMU from its agent',
    restMs: SHORT_MS,
    needsWires: true,
    draw({ guests }, chance) {
      const { name, wire } = oneOf(guests, chance);
      return wire === undefined ? [] : [cut(`the wire to the QEMU of ${name}`, wire)];
    },
  },
  { name: 'stopped: a node of Restate', restMs: LONG_MS, draw: (...all) => [stopped(node(...all))] },
  { name: 'stopped: an agent', restMs: LONG_MS, draw: (...all) => [stopped(agent(...all))] },
  { name: 'stopped: the endpoint', restMs: LONG_MS, draw: ({ endpoint }) => [stopped(endpoint)] },
  {
    name: 'stopped: a QEMU',
    restMs: QEMU_STOPPED_MS,
    draw({ guests }, chance) {
      const guest = oneOf(guests, chance);
      return [
        {
          victim: `the QEMU of ${guest.name}`,
          strike: async () => guest.signal('SIGSTOP'),
          mend: async () => guest.signal('SIGCONT'),
        },
      ];
    },
  },
];
