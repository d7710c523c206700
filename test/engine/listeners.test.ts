/** What is thrown by those who listen to a saga, of every kind and at every notice: the saga comes to the same without it. */
import { afterEach, describe, expect, test } from 'vitest';
import type { EngineOptions } from '../../src/engine/api.ts';
import { often } from '../tiers/tier.ts';
import { live, smallSim } from './lives.ts';
import { thrown, WAYS } from './ways-to-fail.ts';

const DISKS = [0, 1].map(disk => ({ disk: `dev${disk}`, to: `/images/new${disk}.qcow2` }));
const KINDS = ['subscribe', 'inspect', 'observer', 'onCommit'] as const;

type Fail = (at: number) => unknown;

/** A copy with one kind of listener, which fails when it is called for the n-th time. */
async function copyWith(kind: (typeof KINDS)[number], fail: Fail, options: Partial<EngineOptions> = {}) {
  let calls = 0;
  const listener = (): never => {
    calls += 1;
    return fail(calls) as never;
  };
  const sim = smallSim();
  const { engine, guest } = live(sim, undefined, {
    ...(kind === 'inspect' ? { inspect: listener } : {}),
    ...(kind === 'observer' ? { inspect: { next: listener } } : {}),
    onCommit: async () => (kind === 'onCommit' ? listener() : undefined),
    ...options,
  });
  const saga = await sim.run(engine.copy({ ...guest, id: 's', disks: DISKS }));
  if (kind === 'subscribe') saga.subscribe(listener);
  const { outcome, error, leftovers } = await sim.run(saga.result);
  return { calls, end: { outcome, error, leftovers, fronts: sim.world.fronts().map(({ path }) => path) } };
}

describe.each(KINDS)('a listener of kind %s', kind => {
  test.each(Object.entries(WAYS))('that %s at any one call changes nothing for its saga', async (_, way) => {
    const { calls, end } = await copyWith(kind, () => undefined);
    expect(calls).toBeGreaterThan(0);
    // XState has some hundred events of one saga to inspect: a prime step meets all kinds of them.
    const step = calls > 50 ? often(23, 7) : often(3, 1);
    for (let at = 1; at <= calls; at += step) {
      const told: unknown[] = [];
      const onListenerError = (error: unknown) => void told.push(error);
      const run = await copyWith(kind, n => (n === at ? way() : undefined), { onListenerError });
      expect(run.end, `at call ${at}`).toEqual(end);
      await new Promise(resolve => setImmediate(resolve));
      expect(told, `at call ${at}`).toEqual([thrown]);
    }
  });
});

describe('what listeners throw', () => {
  const warnings: Error[] = [];
  // A simulator of another test, whose time nothing drives any more, may warn of that meanwhile.
  const hear = (warning: Error) => {
    if ('code' in warning && warning.code === 'BLOCKSAGA_LISTENER') warnings.push(warning);
  };
  afterEach(() => {
    process.off('warning', hear);
    warnings.length = 0;
  });

  const always = () => {
    throw thrown;
  };

  test('is told with the kind of the listener and its saga', async () => {
    const told: unknown[] = [];
    await copyWith('inspect', always, { onListenerError: (_, where) => void told.push(where) });
    expect(told[0]).toEqual({ listener: 'inspect', saga: 's' });
    expect(told.length).toBeGreaterThan(5);
  });

  test('is a warning of the process, once for each listener, where no listener takes it', async () => {
    process.on('warning', hear);
    const { end } = await copyWith('subscribe', always);
    await new Promise(resolve => setImmediate(resolve));
    expect(end.outcome).toBe('committed');
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringContaining('theirs')]);
  });

  test.each(Object.entries(WAYS))('is a warning where onListenerError itself %s', async (_, way) => {
    process.on('warning', hear);
    const { end } = await copyWith('subscribe', n => (n === 1 ? always() : undefined), {
      onListenerError: () => way() as never,
    });
    await new Promise(resolve => setImmediate(resolve));
    expect(end.outcome).toBe('committed');
    expect(warnings).toHaveLength(1);
  });

  test('cannot be done by changing a notice that others hear too', async () => {
    const sim = smallSim();
    const { engine, guest } = live(sim);
    const saga = await sim.run(engine.copy({ ...guest, id: 's', disks: DISKS }));
    const heard: string[] = [];
    saga.subscribe(notice => Object.assign(notice, { saga: 'other' }));
    saga.subscribe(notice => void heard.push(notice.saga));
    expect((await sim.run(saga.result)).outcome).toBe('committed');
    expect(new Set(heard)).toEqual(new Set(['s']));
  });
});
