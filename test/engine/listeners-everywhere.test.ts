/**
 * A table: each kind of listener, over sagas that commit and sagas that are rolled back, fails at each single one of its calls. The saga
 * comes to what it comes to without it: the same result, the same commands, the same images.
 */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { Saga } from '../../src/engine/running/saga-types.ts';
import type { Engine, EngineOptions, ListenerPlace, Logger, OpenTelemetryApi } from '../../src/index.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';
import { strides } from '../tiers/tier.ts';
import { type Life, live, smallSim } from './lives.ts';
import { thrown, WAYS } from './ways-to-fail.ts';

const COPIES = [0, 1].map(disk => ({ disk: `dev${disk}`, to: `/images/new${disk}.qcow2` }));
const OVERLAYS = [0, 1].map(disk => ({ disk: `dev${disk}`, overlay: `/images/over${disk}.qcow2` }));
const FAILS: readonly Fault[] = [{ kind: 'jobFails', nth: 2, percent: 50 }];
const REFUSED: readonly Fault[] = [{ kind: 'refuse', command: 'transaction', nth: 1 }];

interface Case {
  readonly outcome: 'committed' | 'rolledBack';
  readonly faults: readonly Fault[];
  begin(engine: Engine, guest: Life['guest']): Promise<Saga>;
}

const copy: Case['begin'] = (engine, guest) => engine.copy({ ...guest, id: 's', vm: 'v', disks: COPIES });
const snapshot: Case['begin'] = (engine, guest) =>
  engine.snapshot({ ...guest, id: 's', vm: 'v', disks: OVERLAYS });

const SAGAS: Readonly<Record<string, Case>> = {
  'a copy': { outcome: 'committed', faults: [], begin: copy },
  'a snapshot': { outcome: 'committed', faults: [], begin: snapshot },
  'a copy that is rolled back': { outcome: 'rolledBack', faults: FAILS, begin: copy },
  'a snapshot that is rolled back': { outcome: 'rolledBack', faults: REFUSED, begin: snapshot },
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

/** One saga to its end, with a listener that fails when it is called for the n-th time. */
async function run({ faults, begin }: Case, kind: Kind, fail: (at: number) => unknown) {
  let calls = 0;
  const call = () => fail(++calls) as never;
  const told: (readonly [unknown, ListenerPlace])[] = [];
  const sim = smallSim({ faults });
  const { engine, guest, sent } = live(sim, undefined, {
    onListenerError: (error, place) => void told.push([error, place]),
    onCommit: async () => undefined,
    ...kind.options?.(call),
  });
  const saga = await sim.run(begin(engine, guest));
  kind.follow?.(saga, call);
  const result = await sim.run(saga.result);
  await new Promise(resolve => setImmediate(resolve));
  const end = { result, sent, fronts: sim.world.fronts(), files: [...sim.world.host.files.keys()] };
  return { calls, told, end };
}

// What onListenerError itself throws is a warning of the process.
beforeEach(() => void vi.spyOn(process, 'emitWarning').mockReturnValue());

const callsToFail = strides(5); // the ways to fail are fewer, and each is tried

describe.each(Object.entries(SAGAS))('%s', (_, saga) => {
  test.each(Object.entries(KINDS))('comes to the same whenever its %s fails', async (name, kind) => {
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
