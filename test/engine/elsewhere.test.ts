/**
 * What others ask of a saga that runs, through the journal: two engines on one journal, of which only one runs the saga.
 */
import { expect, test } from 'vitest';
import { HEARD, SET_SPEED } from '../../src/engine/durable/history.ts';
import { setSpeedElsewhere } from '../../src/engine/elsewhere.ts';
import { createEngine } from '../../src/engine/engine.ts';
import type { Saga } from '../../src/engine/running/saga.ts';
import type { Journal } from '../../src/journal/journal.ts';
import type { CopyRequest } from '../../src/operations/requests.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { entered, type Life, live, rejection, smallSim } from './lives.ts';

const DISKS = [0, 1].map(index => ({ disk: `dev${index}`, to: `/images/new${index}.qcow2` }));

async function begun(sim: Sim, more: Partial<CopyRequest>): Promise<{ life: Life; saga: Saga }> {
  const life = live(sim);
  const saga = await sim.run(life.engine.copy({ ...life.guest, id: 's', vm: 'web', disks: DISKS, ...more }));
  return { life, saga };
}

/** Another process: it shares the journal and nothing else. Its own monitor is never needed. */
function other(sim: Sim, { journal }: Life) {
  return createEngine({ journal, clock: sim.clock });
}

const options = { qmp: '/no-monitor' };

test('a copy that waits at READY in another process is switched there', async () => {
  const sim = smallSim();
  const { life, saga } = await begun(sim, { finish: 'leave' });
  expect((await sim.run(saga.result)).outcome).toBe('ready');
  const elsewhere = await sim.run(other(sim, life).resume('s', { ...options, signal: 'pivot' }));
  expect((await sim.run(elsewhere.result)).outcome).toBe('committed');
  expect((await sim.run(saga.ended)).outcome).toBe('committed');
});

test('a copy that another process runs is taken back there', async () => {
  const sim = smallSim();
  const { life, saga } = await begun(sim, { bandwidth: 1024 });
  await sim.run(entered(saga, 'mirrorDisks'));
  const elsewhere = await sim.run(other(sim, life).resume('s', { ...options, signal: 'abort' }));
  expect((await sim.run(elsewhere.result)).outcome).toBe('rolledBack');
  expect((await sim.run(saga.result)).error?.code).toBe('ABORTED');
  expect(sim.files.list()).toEqual(['/images/disk0.qcow2', '/images/disk1.qcow2']);
});

// The news and the end are looked for by themselves: one time in two the end is seen first.
test.each([20, 70, 120, 170, 220])(
  'what awaits its end has heard all that led to it before: looks %d ms apart',
  async apartMs => {
    const sim = smallSim();
    const { life, saga } = await begun(sim, { bandwidth: 1024 });
    await sim.run(entered(saga, 'mirrorDisks'));
    const elsewhere = other(sim, life).saga('s');
    const heard: string[] = [];
    const result = elsewhere?.result ?? Promise.reject(new Error('the saga is known'));
    await sim.advance(apartMs);
    elsewhere?.subscribe(notice => notice.type === 'event' && heard.push(notice.state));
    const aborted = saga.abort();
    await sim.run(result);
    heard.push('the result');
    await sim.advance(10_000);
    expect(heard.slice(-2)).toEqual(['rolledBack', 'the result']);
    await aborted;
  },
);

test('a saga that ends there between two looks is told by its end', async () => {
  const sim = smallSim();
  const { life, saga } = await begun(sim, { bandwidth: 1024 });
  await sim.run(entered(saga, 'mirrorDisks'));
  // The look at the journal, and the one before taking it over, come a moment too early to see the end.
  let early = 2;
  const journal: Journal = {
    ...life.journal,
    saga(id) {
      const row = life.journal.saga(id);
      if (row === undefined || row.state === 'open' || early === 0) return row;
      early -= 1;
      return { ...row, state: 'open', result: null };
    },
  };
  const engine = createEngine({ journal, clock: sim.clock });
  const elsewhere = await sim.run(engine.resume('s', { ...options, signal: 'abort' }));
  expect((await sim.run(elsewhere.result)).outcome).toBe('rolledBack');
  expect(early).toBe(0);
});

test('when that process dies instead of answering, the saga is taken back here', async () => {
  const sim = smallSim();
  const { life, saga } = await begun(sim, { bandwidth: 1024 });
  await sim.run(entered(saga, 'mirrorDisks'));
  const next = live(sim, life.die());
  // Its process counts as living until the third look.
  let looks = 0;
  const journal: Journal = {
    ...next.journal,
    takeOver(id, force) {
      looks += 1;
      if (looks < 3) throw vmBusy(life.journal, id);
      return next.journal.takeOver(id, force);
    },
  };
  const engine = createEngine({ journal, clock: sim.clock });
  const elsewhere = await sim.run(engine.resume('s', { ...next.guest, signal: 'abort' }));
  expect((await sim.run(elsewhere.result)).outcome).toBe('rolledBack');
  expect(looks).toBe(3);
});

/** What the journal of the living process says. */
function vmBusy(journal: Journal, id: string): unknown {
  try {
    return journal.takeOver(id);
  } catch (error) {
    return error;
  }
}

test('a process that does not hear is reported within its deadline, and the saga goes on when it does', async () => {
  const sim = smallSim();
  const { life, saga } = await begun(sim, { finish: 'leave' });
  await sim.run(saga.result);
  const deaf: Journal = { ...life.journal, ask: () => 999 };
  const engine = createEngine({ journal: deaf, clock: sim.clock });
  const elsewhere = await sim.run(engine.resume('s', { ...options, signal: 'pivot' }));
  const error = await sim.run(rejection(elsewhere.result));
  expect([error.code, error.message]).toEqual(['VM_BUSY', expect.stringMatching(/not heard it for 30 s/)]);
  expect((await sim.run(saga.pivot())).outcome).toBe('committed');
});

test('an abort that comes behind the decision is refused, and says that it came too late', async () => {
  const sim = smallSim();
  const { life, saga } = await begun(sim, {});
  await sim.run(entered(saga, 'mirrorDisks'));
  // It decides before it looks.
  const late: Journal = { ...life.journal, ask: () => 999 };
  const engine = createEngine({ journal: late, clock: sim.clock });
  const elsewhere = await sim.run(engine.resume('s', { ...options, signal: 'abort' }));
  const error = await sim.run(rejection(elsewhere.result));
  expect([error.code, error.message]).toEqual(['SAGA_STATE', expect.stringMatching(/too late/)]);
});

const speeds = (sim: Sim) => [...(sim.world.qemu?.jobs.values() ?? [])].map(job => Number(job.speed));

test('the speed of a saga is set by itself and from elsewhere, for jobs that run and jobs to come', async () => {
  const sim = smallSim();
  const { life, saga } = await begun(sim, { bandwidth: 1024, parallel: 1, finish: 'leave' });
  await sim.run(entered(saga, 'mirrorDisks'));
  await sim.advance(600);
  expect(speeds(sim)).toEqual([1024]);
  await sim.run(saga.setSpeed(2048));
  expect(speeds(sim)).toEqual([2048]);
  const row = life.journal.saga('s');
  if (row === undefined) throw new Error('it is there');
  await sim.run(setSpeedElsewhere(life.journal, row, row.plan as object as Plan, 64 * 2 ** 20, sim.clock));
  // The first may be ready by now, since a speed that is raised wakes it, and the second have begun.
  expect(new Set(speeds(sim))).toEqual(new Set([64 * 2 ** 20]));
  for (let turn = 0; turn < 200 && speeds(sim).length < 2; turn += 1) await sim.advance(1_000);
  expect(speeds(sim)).toEqual([64 * 2 ** 20, 64 * 2 ** 20]);
  expect((await sim.run(saga.pivot())).outcome).toBe('committed');
  const signals = life.journal.records('s').filter(({ kind }) => kind === 'signal');
  expect(signals.map(({ step }) => step)).toEqual([SET_SPEED, SET_SPEED, HEARD, 'pivot']);
  expect((await rejection(saga.setSpeed(1))).code).toBe('SAGA_STATE');
});

test('a resume keeps the speed that was asked for last', async () => {
  const sim = smallSim();
  const { life, saga } = await begun(sim, { bandwidth: 1024, parallel: 1, finish: 'leave' });
  await sim.run(entered(saga, 'mirrorDisks'));
  await sim.advance(600);
  await sim.run(saga.setSpeed(64 * 2 ** 20));
  const next = live(sim, life.die());
  const resumed = await sim.run(next.engine.resume('s', next.guest));
  for (let turn = 0; turn < 200 && speeds(sim).length < 2; turn += 1) await sim.advance(1_000);
  expect(speeds(sim)).toEqual([64 * 2 ** 20, 64 * 2 ** 20]);
  expect((await sim.run(resumed.pivot())).outcome).toBe('committed');
});

test.each([
  [-1, 'REQUEST_INVALID'],
  [1.5, 'REQUEST_INVALID'],
] as const)('a speed of %s is refused', async (speed, code) => {
  const sim = smallSim();
  const { saga } = await begun(sim, { bandwidth: 1024 });
  expect((await rejection(saga.setSpeed(speed))).code).toBe(code);
});

test('a snapshot has no speed', async () => {
  const sim = smallSim();
  const { engine, guest } = live(sim);
  const overlay = { disk: 'dev0', overlay: '/images/new0.qcow2' };
  const saga = await sim.run(engine.snapshot({ ...guest, vm: 'web', disks: [overlay] }));
  expect((await rejection(saga.setSpeed(1))).code).toBe('SAGA_STATE');
});
