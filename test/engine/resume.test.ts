import { describe, expect, test } from 'vitest';
import { ownRecords } from '../../src/journal/taken-over.ts';
import { sagaToken } from '../../src/plan/names.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { entered, type Life, live, rejection, smallSim } from './lives.ts';

const DISKS = [
  { disk: 'dev0', to: '/images/new0.qcow2' },
  { disk: 'dev1', to: '/images/new1.qcow2' },
];
const OLD = ['/images/disk0.qcow2', '/images/disk1.qcow2'];
const NEW = DISKS.map(disk => disk.to);
const fronts = (sim: Sim) => sim.world.fronts().map(front => front.path);

/** A copy that a process left at READY before it ended. */
async function left(sim: Sim) {
  const first = live(sim);
  const saga = await sim.run(
    first.engine.copy({ ...first.guest, id: 's', disks: DISKS, finish: 'leave', vm: 'web' }),
  );
  expect((await sim.run(saga.result)).outcome).toBe('ready');
  return first.die();
}

const resume = (sim: Sim, { engine, guest }: Life, signal?: 'pivot' | 'keepCopies' | 'abort') =>
  sim.run(engine.resume('s', { ...guest, ...(signal === undefined ? {} : { signal }) }));

describe('a copy that waits at READY, in another process', () => {
  test('waits again when it is resumed', async () => {
    const sim = smallSim();
    const next = live(sim, await left(sim));
    const saga = await resume(sim, next);
    expect((await sim.run(saga.result)).outcome).toBe('ready');
    expect(fronts(sim)).toEqual(OLD);
  });

  test('is switched by pivot, whose result is that of the end and not that it waits', async () => {
    const sim = smallSim();
    const next = live(sim, await left(sim));
    const saga = await resume(sim, next, 'pivot');
    expect(await sim.run(saga.result)).toMatchObject({ outcome: 'committed', error: null });
    expect(fronts(sim)).toEqual(NEW);
    expect(sim.world.running).toBe(true);
    expect(next.journal.saga('s')?.state).toBe('committed');
  });

  test('is taken back by abort, with its files', async () => {
    const sim = smallSim();
    const saga = await resume(sim, live(sim, await left(sim)), 'abort');
    expect(await sim.run(saga.result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect([fronts(sim), sim.files.list()]).toEqual([OLD, OLD]);
  });

  test('keeps its copies beside the guest when it is asked to', async () => {
    const sim = smallSim();
    const next = live(sim, await left(sim));
    const { result } = await resume(sim, next, 'keepCopies');
    expect(await sim.run(result)).toMatchObject({ outcome: 'committed', strategy: null, leftovers: [] });
    expect([fronts(sim), sim.files.list(), sim.world.running]).toEqual([OLD, [...OLD, ...NEW], true]);
    const again = await resume(sim, next, 'keepCopies');
    expect(await again.result).toEqual(await result);
    const late = next.engine.resume('s', { ...next.guest, signal: 'pivot' });
    expect(await rejection(late)).toMatchObject({ code: 'SAGA_STATE' });
  });

  test('does what it was asked first, also in its next process: to switch, or to keep its copies', async () => {
    for (const [first, second] of [
      ['pivot', 'keepCopies'],
      ['keepCopies', 'pivot'],
    ] as const) {
      const sim = smallSim();
      const before = live(sim);
      const request = { id: 's', disks: DISKS, finish: 'leave', vm: 'web', bandwidth: 65_536 } as const;
      const saga = await sim.run(before.engine.copy({ ...before.guest, ...request }));
      await sim.run(entered(saga, 'mirrorDisks'));
      void saga[first]();
      await sim.advance(1);
      expect(await rejection(saga[second]())).toMatchObject({ code: 'SAGA_STATE' });
      const next = live(sim, before.die());
      expect(await rejection(next.engine.resume('s', { ...next.guest, signal: second }))).toMatchObject({
        code: 'SAGA_STATE',
      });
      await sim.run((await resume(sim, next)).result);
      expect(fronts(sim)).toEqual(first === 'pivot' ? NEW : OLD);
    }
  });

  test('is switched by pivot where the same process has resumed it before', async () => {
    const sim = smallSim();
    const next = live(sim, await left(sim));
    await sim.run((await resume(sim, next)).result);
    const saga = await resume(sim, next, 'pivot');
    expect((await sim.run(saga.result)).outcome).toBe('committed');
  });

  test('once ended, gives its result again for the signal that it came to, and refuses the other', async () => {
    const sim = smallSim();
    const next = live(sim, await left(sim));
    const result = await sim.run((await resume(sim, next, 'pivot')).result);
    const again = await resume(sim, next, 'pivot');
    expect(await again.result).toEqual(result);
    await expect(next.engine.resume('s', { ...next.guest, signal: 'abort' })).rejects.toMatchObject({
      code: 'SAGA_STATE',
      message: expect.stringMatching(/has ended \(committed\)/),
    });
  });
});

describe('a copy that was told to switch, and whose process died before the end', () => {
  test.each(['awaitConvergence', 'endMirrorsInPlace', 'reopenFilters', 'closeOldNodes', 'committed'])(
    'does not say again that it waits when it is resumed, after a death in %s',
    async state => {
      const sim = smallSim();
      const first = live(sim);
      const saga = await sim.run(
        first.engine.copy({ ...first.guest, id: 's', disks: DISKS, finish: 'leave', vm: 'web' }),
      );
      await sim.run(saga.result);
      void saga.pivot();
      await sim.run(entered(saga, state));
      const next = live(sim, first.die());
      const again = await resume(sim, next);
      expect(await sim.run(again.result)).toMatchObject({ outcome: 'committed', error: null });
      expect(fronts(sim)).toEqual(NEW);
    },
  );
});

describe('a copy that waits at READY and ends by itself', () => {
  test('tells its end to who listens, and why to who asks for something then, also in another process', async () => {
    const sim = smallSim();
    const { engine, guest, journal, die } = live(sim);
    const saga = await sim.run(engine.copy({ ...guest, id: 's', disks: DISKS, finish: 'leave', vm: 'web' }));
    expect((await sim.run(saga.result)).outcome).toBe('ready');
    sim.world.inject('job-cancel', { id: saga.plan.disks[1]?.names.job ?? '' });
    const ended = await sim.run(saga.ended);
    expect(ended).toMatchObject({ outcome: 'rolledBack', error: { code: 'JOB_FAILED', disk: 'dev1' } });
    expect(journal.saga('s')).toMatchObject({ state: 'rolledBack', result: ended });
    const told = {
      code: 'SAGA_STATE',
      message: expect.stringMatching(/has ended \(rolledBack: the blockdev-mirror job of disk dev1 failed/),
    };
    expect(await rejection(saga.pivot())).toMatchObject(told);
    const next = live(sim, die());
    expect(await rejection(next.engine.resume('s', { ...next.guest, signal: 'pivot' }))).toMatchObject(told);
    const again = await sim.run(next.engine.resume('s', next.guest));
    expect(await again.ended).toEqual(ended);
    expect(await rejection(again.pivot())).toMatchObject(told);
  });

  test('while no process watches it is taken back by the next process that asks for something, and says why', async () => {
    const sim = smallSim();
    const next = live(sim, await left(sim));
    sim.world.inject('job-cancel', { id: `bs-${sagaToken('s')}-1-job` });
    await sim.advance(1_000);
    const saga = await resume(sim, next, 'pivot');
    expect(await sim.run(saga.result)).toMatchObject({
      outcome: 'rolledBack',
      error: { code: 'JOB_FAILED', disk: 'dev1' },
      leftovers: [],
    });
    expect(fronts(sim)).toEqual(OLD);
  });
});

describe('a saga that is asked for what it cannot do', () => {
  test('refuses to abort after its decision, and then still goes forward', async () => {
    const sim = smallSim();
    const first = live(sim);
    const saga = await sim.run(first.engine.copy({ ...first.guest, id: 's', disks: DISKS }));
    await sim.run(entered(saga, 'closeOldNodes'));
    const next = live(sim, first.die());
    expect(await rejection(next.engine.resume('s', { ...next.guest, signal: 'abort' }))).toMatchObject({
      code: 'SAGA_STATE',
    });
    const again = await resume(sim, next);
    expect((await sim.run(again.result)).outcome).toBe('committed');
    expect(fronts(sim)).toEqual(NEW);
  });

  test.each(['clone', 'abort'] as const)('refuses to pivot a copy that ends with %s', async finish => {
    const sim = smallSim();
    const first = live(sim);
    const saga = await sim.run(first.engine.copy({ ...first.guest, id: 's', disks: DISKS, finish }));
    await sim.run(entered(saga, 'mirrorDisks'));
    const next = live(sim, first.die());
    expect(await rejection(next.engine.resume('s', { ...next.guest, signal: 'pivot' }))).toMatchObject({
      code: 'SAGA_STATE',
      message: expect.stringMatching(/nothing to switch/),
    });
  });

  test.each(['pivot', 'clone', 'abort'] as const)(
    'refuses to keep the copies of one that ends with %s',
    async finish => {
      const sim = smallSim();
      const first = live(sim);
      const saga = await sim.run(first.engine.copy({ ...first.guest, id: 's', disks: DISKS, finish }));
      expect(await sim.run(rejection(saga.keepCopies()))).toMatchObject({
        code: 'SAGA_STATE',
        message: expect.stringMatching(/no copies to keep/),
      });
      await sim.run(saga.result);
    },
  );

  test('is refused when another version of the program has planned it, and left as it is', async () => {
    const sim = smallSim();
    const state = await left(sim);
    const sagas = state.sagas.map(({ row, records }) => ({ row: { ...row, planVersion: 99 }, records }));
    const next = live(sim, { ...state, sagas });
    expect(await rejection(next.engine.resume('s', next.guest))).toMatchObject({
      code: 'JOURNAL',
      message: expect.stringMatching(/plan version 99/),
    });
    expect(next.journal.saga('s')?.state).toBe('open');
    expect(next.sent).toEqual([]);
  });
});

describe('a saga whose QEMU does not answer', () => {
  test('needs recovery still, has written nothing, and goes on where it was when QEMU answers again', async () => {
    const sim = smallSim();
    const next = live(sim, await left(sim));
    const records = next.journal.records('s');
    const absent = { ...next.guest, qmp: () => Promise.reject(new Error('the tunnel is down')) };
    const saga = await sim.run(next.engine.resume('s', absent));
    const result = await saga.result;
    expect(result).toMatchObject({
      outcome: 'needsRecovery',
      error: { code: 'QMP_CONNECT', saga: 's', message: expect.stringMatching(/the tunnel is down/) },
    });
    expect(result.disks.map(disk => disk.after)).toEqual([null, null]);
    // That it was taken over is told to people; of its own work there is nothing new.
    expect(ownRecords(next.journal.records('s'))).toEqual(records);
    expect(next.journal.saga('s')?.state).toBe('needsRecovery');
    const third = await resume(sim, next, 'pivot');
    expect((await sim.run(third.result)).outcome).toBe('committed');
  });

  test('but another QEMU in its place, is told so, and that one sees nothing but queries', async () => {
    const sim = smallSim();
    const next = live(sim, await left(sim));
    const records = next.journal.records('s');
    sim.kill();
    sim.restart();
    const saga = await resume(sim, next, 'pivot');
    expect(await sim.run(saga.result)).toMatchObject({
      outcome: 'needsRecovery',
      error: { code: 'QEMU_REPLACED', message: expect.stringMatching(/resume --offline/) },
    });
    expect(next.sent.filter(name => !/^(qmp_capabilities|query-.*|qom-list)$/.test(name))).toEqual([]);
    // That it was taken over is told to people; of its own work there is nothing new.
    expect(ownRecords(next.journal.records('s'))).toEqual(records);
    expect(fronts(sim)).toEqual(OLD);
  });
});
