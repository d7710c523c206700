/** Virtual time that nothing drives: an await of something of it is told why it does not come; where nothing waits, nothing is. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createEngine } from '../../src/engine/engine.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { sleep } from '../../src/qmp/clock.ts';

const warned = vi.fn<(...told: readonly unknown[]) => void>();

/** Of a process of its own, so to say: it has not warned yet. */
let createSim: typeof import('../../src/sim/index.ts').createSim;
let createVirtualClock: typeof import('../../src/sim/index.ts').createVirtualClock;

beforeEach(async () => {
  vi.resetModules();
  ({ createSim, createVirtualClock } = await import('../../src/sim/index.ts'));
  warned.mockClear();
  vi.spyOn(process, 'emitWarning').mockImplementation((...told: readonly unknown[]) => warned(...told));
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => void vi.useRealTimers());

/** Lets promises come to rest, and a real second pass. */
async function second(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(resolve => setImmediate(resolve));
  vi.advanceTimersByTime(1_000);
}

function vm() {
  const sim = createSim({ disks: 1 });
  const engine = createEngine({ journal: memoryJournal(), clock: sim.clock });
  const disks = [{ disk: 'disk0', overlay: '/images/disk0.s1.qcow2' }];
  return { sim, begin: () => engine.snapshot({ qmp: sim.connect, files: sim.files, vm: 'v', disks }) };
}

test('a request that is awaited without it is told of, once, with what to do', async () => {
  const { begin } = vm();
  begin().catch(() => undefined);
  for (let seconds = 0; seconds < 3; seconds += 1) await second();
  expect(warned.mock.calls).toEqual([
    [
      expect.stringContaining('sim.run(promise)'),
      expect.objectContaining({ code: 'BLOCKSAGA_VIRTUAL_TIME' }),
    ],
  ]);
});

test('of many that are given up it is told once', async () => {
  for (let times = 0; times < 3; times += 1) {
    vm()
      .begin()
      .catch(() => undefined);
    await second();
  }
  expect(warned).toHaveBeenCalledOnce();
});

test('a result that is awaited without it is told of, though the request was driven', async () => {
  const { sim, begin } = vm();
  const saga = await sim.run(begin());
  saga.result.catch(() => undefined);
  await second();
  expect(warned).toHaveBeenCalledOnce();
});

test('nothing is told where it is driven', async () => {
  const { sim, begin } = vm();
  const saga = await sim.run(begin());
  expect((await sim.run(saga.result)).outcome).toBe('committed');
  await second();
  await sim.advance(60_000);
  await second();
  expect(warned).not.toHaveBeenCalled();
});

test('nothing is told of what begins before it is driven, or is given up', async () => {
  const clock = createVirtualClock();
  const slept = sleep(clock, 10);
  clock.after(5, () => undefined)();
  await clock.run(slept);
  await second();
  expect(clock.pending).toBe(0);
  const cancel = clock.after(5, () => undefined);
  cancel();
  await second();
  expect(warned).not.toHaveBeenCalled();
});

test('nothing is told of a saga that has ended, whose monitor has yet to see that its client is gone', async () => {
  const sim = createSim({ disks: 2 });
  const engine = createEngine({ journal: memoryJournal(), clock: sim.clock });
  const disks = ['dev0', 'dev1'].map(disk => ({ disk, to: `/images/${disk}.copy` }));
  const saga = await sim.run(engine.copy({ qmp: sim.connect, files: sim.files, disks }));
  expect((await sim.run(saga.result)).outcome).toBe('committed');
  expect(sim.clock.pending).toBeGreaterThan(0);
  for (let seconds = 0; seconds < 3; seconds += 1) await second();
  expect(warned).not.toHaveBeenCalled();
});
