/**
 * A table: each kind of listener, over every operation and every way in which one ends, fails at each single one of its calls. The
 * saga comes to what it comes to without it: the same result, the same commands, the same images.
 */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { Saga } from '../../src/engine/running/saga-types.ts';
import {
  createEngine,
  type Engine,
  type EngineOptions,
  type ListenerPlace,
  type Logger,
  memoryJournal,
  type OpenTelemetryApi,
  type SagaResult,
} from '../../src/index.ts';
import { openQmpClient } from '../../src/qmp/client.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { createVirtualClock } from '../../src/sim/host/virtual-clock.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';
import { strides, turns } from '../tiers/tier.ts';
import { type Life, live, smallSim } from './lives.ts';
import { thrown, WAYS } from './ways-to-fail.ts';

const COPIES = [0, 1].map(disk => ({ disk: `dev${disk}`, to: `/images/new${disk}.qcow2` }));
const OVERLAYS = [0, 1].map(disk => ({ disk: `dev${disk}`, overlay: `/images/over${disk}.qcow2` }));
const BEFORE = [0, 1].map(disk => ({ disk: `dev${disk}`, overlay: `/images/before${disk}.qcow2` }));
const FAILS: readonly Fault[] = [{ kind: 'jobFails', nth: 2, percent: 50 }];
const REFUSED: readonly Fault[] = [{ kind: 'refuse', command: 'transaction', nth: 1 }];

interface Case {
  readonly outcome: SagaResult['outcome'];
  readonly faults?: readonly Fault[];
  /** A guest with a snapshot of its disks; `stopped` by its administrator besides; in which a process that died has left a copy. */
  readonly on?: 'snapshot' | 'stopped' | 'left';
  begin(engine: Engine, guest: Life['guest'] & { readonly id: string; readonly vm: string }): Promise<Saga>;
  /** What is asked of it when it waits. */
  ask?(saga: Saga): Promise<SagaResult>;
}

const DISKS = [0, 1].map(disk => ({ disk: `dev${disk}` }));
const MIRRORED = OVERLAYS.map((each, disk) => ({ ...each, mirror: `/images/mirror${disk}.qcow2` }));

const copy: Case['begin'] = (engine, guest) => engine.copy({ ...guest, disks: COPIES });
const leave: Case['begin'] = (engine, guest) => engine.copy({ ...guest, disks: COPIES, finish: 'leave' });
const snapshot: Case['begin'] = (engine, guest) => engine.snapshot({ ...guest, disks: OVERLAYS });
const mirrored: Case['begin'] = (engine, guest) => engine.snapshot({ ...guest, disks: MIRRORED });
const pull: Case['begin'] = (engine, guest) => engine.pull({ ...guest, disks: DISKS });
const commit: Case['begin'] = (engine, guest) =>
  engine.commit({ ...guest, disks: DISKS, active: true, shallow: true });
const revert: Case['begin'] = (engine, guest) => engine.revert({ ...guest, disks: OVERLAYS });

/** A switch that QEMU refuses, each time. */
const NO_REOPEN: readonly Fault[] = Array.from({ length: 3 }, (_, at) => ({
  ...({ kind: 'refuse', command: 'blockdev-reopen', nth: at + 1 } as const),
}));

const SAGAS: Readonly<Record<string, Case>> = {
  'a copy': { outcome: 'committed', begin: copy },
  'a copy that fails while it mirrors': { outcome: 'rolledBack', faults: FAILS, begin: copy },
  'a copy that fails in the pause': { outcome: 'rolledBack', faults: NO_REOPEN, begin: copy },
  'a clone': {
    ...{
      outcome: 'committed',
      begin: (engine, guest) => engine.copy({ ...guest, disks: COPIES, finish: 'clone' }),
    },
  },
  'a copy that waits, and pivots': { outcome: 'committed', begin: leave, ask: saga => saga.pivot() },
  'a copy that waits, and is aborted': { outcome: 'rolledBack', begin: leave, ask: saga => saga.abort() },
  'a copy that waits, and is kept': { outcome: 'committed', begin: leave, ask: saga => saga.keepCopies() },
  'a snapshot': { outcome: 'committed', begin: snapshot },
  'a snapshot that is rolled back': { outcome: 'rolledBack', faults: REFUSED, begin: snapshot },
  'a snapshot with mirrors': { outcome: 'committed', begin: mirrored, ask: saga => saga.pivot() },
  'a snapshot with mirrors that goes': { outcome: 'rolledBack', begin: mirrored, ask: saga => saga.abort() },
  'a snapshot whose mirrors go': { outcome: 'committed', begin: mirrored, ask: saga => saga.keepSnapshot() },
  'a pull': { outcome: 'committed', on: 'snapshot', begin: pull },
  'a commit': { outcome: 'committed', on: 'snapshot', begin: commit },
  'a copy that another process resumes': {
    ...{ outcome: 'committed', on: 'left', begin: (engine, guest) => engine.resume('s', guest) },
    ask: saga => saga.pivot(),
  },
  'a revert': { outcome: 'committed', on: 'stopped', begin: revert },
};

/** Whatever it is called for; what it gives is the listener's to give. */
type Call = () => never;

interface Kind {
  /** How its errors are told; none for what is told of itself. */
  readonly listener: ListenerPlace['listener'] | undefined;
  options?(call: Call): Partial<EngineOptions>;
  follow?(saga: Saga, call: Call): void;
}

const KINDS: Readonly<Record<string, Kind>> = {
  subscribe: { listener: 'subscribe', follow: (saga, call) => void saga.subscribe(call) },
  progress: {
    listener: 'subscribe',
    follow: (saga, call) => void saga.subscribe(notice => (notice.type === 'progress' ? call() : undefined)),
  },
  inspect: { listener: 'inspect', options: call => ({ inspect: call }) },
  'inspect, an observer': { listener: 'inspect', options: call => ({ inspect: { next: call } }) },
  onCommit: { listener: 'onCommit', options: call => ({ onCommit: async () => call() }) },
  trace: { listener: 'trace', options: call => ({ trace: call }) },
  logger: { listener: 'telemetry', options: call => ({ logger: loggerOf(call) }) },
  openTelemetry: { listener: 'telemetry', options: call => ({ openTelemetry: apiOf(call) }) },
  onListenerError: {
    listener: undefined,
    options: call => ({ onListenerError: call }),
    follow: (saga, _) =>
      void saga.subscribe(() => {
        throw thrown;
      }),
  },
};

function loggerOf(call: Call): Logger {
  return { debug: call, info: call, warn: call, error: call };
}

/** Every call of the API may fail; those that must give something can only throw. */
function apiOf(call: Call): OpenTelemetryApi {
  const spanContext = () => ({ traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 0 });
  const span = { spanContext, setAttribute: call, setStatus: call, end: call };
  const giving =
    <T>(value: T) =>
    (): T => {
      const given: unknown = (call as () => unknown)();
      if (given !== undefined) Promise.resolve(given).catch(() => undefined);
      if (given !== undefined) throw thrown;
      return value;
    };
  return {
    trace: {
      getTracer: () => ({ startSpan: giving(span) }),
      ...{ getActiveSpan: giving(undefined), setSpan: giving({}) },
    },
    metrics: {
      getMeter: () => ({ createCounter: () => ({ add: call }), createHistogram: () => ({ record: call }) }),
    },
    ROOT_CONTEXT: {},
  };
}

/** Gives what was durable of a process that had to do with the guest before. */
async function prepared(sim: Sim, on: Exclude<Case['on'], undefined>) {
  const before = live(sim);
  const given = { ...before.guest, id: on === 'left' ? 's' : 'before', vm: 'v' };
  const saga = await sim.run(
    on === 'left' ? leave(before.engine, given) : before.engine.snapshot({ ...given, disks: BEFORE }),
  );
  expect((await sim.run(saga.result)).error).toBe(null);
  if (on === 'stopped') await stop(sim);
  return before.die();
}

/** As its administrator. */
async function stop(sim: Sim): Promise<void> {
  const client = await sim.run(openQmpClient(sim.monitor('admin'), { clock: sim.clock }));
  await sim.run(client.execute('stop'));
  client.close();
}

/** One saga to its end, with a listener that fails when it is called for the n-th time. */
async function run({ faults = [], on, begin, ask }: Case, kind: Kind, fail: (at: number) => unknown) {
  let calls = 0;
  const call = () => fail(++calls) as never;
  const told: (readonly [unknown, ListenerPlace])[] = [];
  const sim = smallSim({ faults });
  const before = on === undefined ? undefined : await prepared(sim, on);
  const { engine, guest, sent } = live(sim, before, {
    onListenerError: (error, place) => void told.push([error, place]),
    onCommit: async () => undefined,
    ...kind.options?.(call),
  });
  const saga = await sim.run(begin(engine, { ...guest, id: 's', vm: 'v' }));
  kind.follow?.(saga, call);
  const first = await sim.run(saga.result);
  const result = ask === undefined ? first : await sim.run(ask(saga));
  await new Promise(resolve => setImmediate(resolve));
  const end = { result, sent, fronts: sim.world.fronts(), files: [...sim.world.host.files.keys()] };
  return { calls, told, end };
}

// What onListenerError itself throws is a warning of the process.
beforeEach(() => void vi.spyOn(process, 'emitWarning').mockReturnValue());

const callsToFail = strides(80); // the ways to fail are fewer, and each is tried
/** Those that one saga is listened to by in the quick tier: each kind by some sagas. */
const KINDS_AT_ONCE = 3;
const inTurn = turns();

describe.each(Object.entries(SAGAS))('%s', (_, saga) => {
  const kinds = inTurn(Object.entries(KINDS), KINDS_AT_ONCE);
  test.each(kinds)('comes to the same whenever its %s fails', async (name, kind) => {
    const { calls, end } = await run(saga, kind, () => undefined);
    expect(end.result.outcome).toBe(saga.outcome);
    // What is rolled back has nothing to publish, and a snapshot has no jobs.
    if (!['onCommit', 'progress'].includes(name)) expect(calls).toBeGreaterThan(3);
    const ways = Object.values(WAYS);
    for (const at of callsToFail(calls)) {
      const way = ways[at % ways.length];
      const failing = await run(saga, kind, n => (n === at ? way?.() : undefined));
      expect(failing.end, `at call ${at} of ${calls}`).toEqual(end);
      const place = { listener: kind.listener, saga: 's' };
      if (kind.listener !== undefined) expect(failing.told, `at call ${at}`).toEqual([[thrown, place]]);
    }
  });
});

/** A group of two guests, to its end. */
async function runGroup(kind: Kind, fail: (at: number) => unknown) {
  let calls = 0;
  const told: unknown[] = [];
  const call = () => fail(++calls) as never;
  const clock = createVirtualClock();
  const sims = ['/a', '/b'].map(directory => smallSim({ clock, directory }));
  const engine = createEngine({
    ...{ journal: memoryJournal(undefined, { clock }), clock },
    ...{ onListenerError: (error: unknown, place: object) => void told.push([error, place]) },
    ...{ onCommit: async () => undefined },
    ...kind.options?.(call),
  });
  const members = sims.map((sim, at) => ({
    ...{ vm: `v${at}`, qmp: sim.connect, files: sim.files },
    disks: [0, 1].map(disk => ({ disk: `dev${disk}`, overlay: `/${'ab'[at]}/over${disk}.qcow2` })),
  }));
  const group = await clock.run(engine.group(members, { id: 'g' }));
  for (const member of group.members) kind.follow?.(member, call);
  const { outcome, error, members: each } = await clock.run(group.result);
  await new Promise(resolve => setImmediate(resolve));
  const leftovers = each.map(member => member.leftovers);
  return { calls, told, end: { outcome, error, leftovers, fronts: sims.map(sim => sim.world.fronts()) } };
}

// Its guests are spoken to side by side: how long each pause was may differ, and no more.
test.each(Object.entries(KINDS))('a group comes to the same whenever its %s fails', async (_, kind) => {
  const { calls, end } = await runGroup(kind, () => undefined);
  expect(end.outcome).toBe('committed');
  const ways = Object.values(WAYS);
  for (const at of callsToFail(Math.max(calls, 1))) {
    const failing = await runGroup(kind, n => (n === at ? ways[at % ways.length]?.() : undefined));
    expect(failing.end, `at call ${at} of ${calls}`).toEqual(end);
    const place = { listener: kind.listener, saga: expect.stringMatching(/^g\.[01]$/) };
    const isHeard = kind.listener !== undefined && at <= calls;
    if (isHeard) expect(failing.told, `at call ${at}`).toEqual([[thrown, place]]);
  }
});
