import { expect, test } from 'vitest';
import { sleep } from '../../src/qmp/clock.ts';
import { createVirtualClock } from '../../src/sim/index.ts';

test('an hour passes at once, and callbacks come in the order of their times and then of their age', async () => {
  const clock = createVirtualClock();
  const seen: string[] = [];
  clock.after(20, () => seen.push('late'));
  clock.after(10, () => seen.push('first'));
  clock.after(10, () => seen.push('second'));
  const cancel = clock.after(15, () => seen.push('never'));
  cancel();
  await clock.run(sleep(clock, 3_600_000));
  expect(seen).toEqual(['first', 'second', 'late']);
  expect(clock.now()).toBe(3_600_000);
  expect(clock.pending).toBe(0);
});

test('time waits for promises that are still being worked on', async () => {
  const clock = createVirtualClock();
  let expired = false;
  clock.after(1_000, () => {
    expired = true;
  });
  async function deep(levels: number): Promise<void> {
    for (let level = 0; level < levels; level += 1) await null;
  }
  await clock.run(deep(500));
  expect(expired).toBe(false);
});

test('a wait that nothing can end is an error, not a hang', async () => {
  const clock = createVirtualClock();
  await expect(clock.run(new Promise(() => {}))).rejects.toThrow('nothing is left to happen');
});

test('a wait that goes on for ever is an error after a bound', async () => {
  const clock = createVirtualClock();
  const again = (): void => {
    clock.after(0.1, again);
  };
  again();
  await expect(clock.run(new Promise(() => {}), 1_000)).rejects.toThrow('after 1000 events');
});

test('where only promises are waited for, time waits for however long a chain of them', async () => {
  const clock = createVirtualClock({ promisesOnly: true });
  const seen: string[] = [];
  clock.after(0.1, () => seen.push('timer'));
  async function deep(): Promise<void> {
    for (let level = 0; level < 500; level += 1) await null;
    seen.push('promises');
  }
  await clock.run(Promise.all([deep(), sleep(clock, 1_000)]));
  expect(seen).toEqual(['promises', 'timer']);
});
