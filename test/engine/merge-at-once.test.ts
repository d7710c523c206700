/** Merges in a QEMU that cannot hold jobs back: a job changes its chain by itself and is gone then. */
import { describe, expect, test } from 'vitest';
import type { SagaResult } from '../../src/engine/running/result.ts';
import type { Saga } from '../../src/engine/running/saga.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';
import { entered, type Life, live, smallSim } from './lives.ts';

const FRONT = '/images/disk0.qcow2';
const MIDDLE = '/images/disk0-base1.qcow2';
const LOWEST = '/images/disk0-base0.qcow2';
const WITHOUT = ['manual-finalize'];

type What = 'pull' | 'commit';

function guestWithChains(faults: readonly Fault[] = []): Sim {
  const sim = smallSim({ backingLayers: 2, faults, disks: 1 });
  const { host } = sim.world;
  const lowest = host.image(LOWEST);
  if (lowest !== undefined) host.write(LOWEST, { ...lowest, contents: [0, 1_048_576, -2] });
  return sim;
}

function begin({ engine, guest }: Life, what: What): Promise<Saga> {
  const common = { ...guest, id: 's', without: WITHOUT };
  return what === 'pull'
    ? engine.pull({ ...common, disks: [{ disk: 'dev0', base: LOWEST }] })
    : engine.commit({ ...common, disks: [{ disk: 'dev0', top: MIDDLE }] });
}

describe.each(['pull', 'commit'] as const)('a %s whose job cannot be held in PENDING', what => {
  test('shortens the chain by one plain job, as its plan says', async () => {
    const sim = guestWithChains();
    const life = live(sim);
    const saga = await sim.run(begin(life, what));
    expect(saga.plan).toMatchObject({ manualFinalize: false });
    const result = await sim.run(saga.result);
    expect(result).toMatchObject({ outcome: 'committed', error: null });
    expect(result.disks[0]?.after?.chain).toEqual([FRONT, LOWEST]);
    expect(life.sent.filter(command => command.startsWith('job-'))).toEqual([]);
  });

  test('leaves the chain as it was when the job fails, and says that the reason is kept nowhere', async () => {
    const sim = guestWithChains([{ kind: 'jobFails', nth: 1, percent: 0 }]);
    const life = live(sim);
    const result = await sim.run((await sim.run(begin(life, what))).result);
    expect(result).toMatchObject({ outcome: 'rolledBack', error: { code: 'JOB_FAILED', disk: 'dev0' } });
    expect(result.disks[0]?.after?.chain).toEqual([FRONT, MIDDLE, LOWEST]);
  });

  test('is taken back while the job works', async () => {
    const sim = guestWithChains([{ kind: 'jobNeverReady', nth: 1 }]);
    const life = live(sim);
    const saga = await sim.run(begin(life, what));
    await sim.run(entered(saga, 'rewriteFirst'));
    await sim.advance(20);
    const result = await sim.run(saga.abort());
    expect(result).toMatchObject({ outcome: 'rolledBack', error: { code: 'ABORTED' } });
    expect(result.disks[0]?.after?.chain).toEqual([FRONT, MIDDLE, LOWEST]);
    expect(sim.world.inject('query-jobs')).toMatchObject({ return: [] });
  });

  test('goes on to its end when the orchestrator dies while the job works or right behind it', async () => {
    for (const afterMs of [0, 0.1, 1, 5, 50]) {
      const sim = guestWithChains();
      const first = live(sim);
      const saga = await sim.run(begin(first, what));
      await sim.run(entered(saga, 'rewriteFirst'));
      await sim.advance(afterMs);
      const next = live(sim, first.die());
      const result = await sim.run((await sim.run(next.engine.resume('s', next.guest))).result);
      expect(result, `died ${afterMs} ms later`).toMatchObject({ outcome: 'committed', error: null });
      expect(result.disks[0]?.after?.chain).toEqual([FRONT, LOWEST]);
    }
  });
});

describe('a pull of several disks whose jobs cannot be held in PENDING', () => {
  const pullAll = ({ engine, guest }: Life) =>
    engine.pull({
      ...{ ...guest, id: 's', without: WITHOUT },
      disks: [0, 1, 2].map(index => ({ disk: `dev${index}` })),
    });
  const depths = ({ disks }: SagaResult) => disks.map(({ after }) => after?.chain.length);

  test('says in its plan that it only rolls forward when the first is done', async () => {
    const sim = smallSim({ backingLayers: 1, disks: 3 });
    const saga = await sim.run(pullAll(live(sim)));
    expect(saga.plan.weaker).toEqual(
      expect.arrayContaining([expect.stringContaining('no job can be held in PENDING')]),
    );
    const result = await sim.run(saga.result);
    expect(result).toMatchObject({ outcome: 'committed', weaker: saga.plan.weaker });
    expect(depths(result)).toEqual([1, 1, 1]);
  });

  test('leaves every chain when the job of the first fails', async () => {
    const sim = smallSim({ backingLayers: 1, disks: 3, faults: [{ kind: 'jobFails', nth: 1, percent: 0 }] });
    const result = await sim.run((await sim.run(pullAll(live(sim)))).result);
    expect(result).toMatchObject({ outcome: 'rolledBack', error: { code: 'JOB_FAILED' } });
    expect(depths(result)).toEqual([2, 2, 2]);
  });

  test('runs the job of another again that fails after the first is done', async () => {
    const sim = smallSim({ backingLayers: 1, disks: 3, faults: [{ kind: 'jobFails', nth: 3, percent: 0 }] });
    const result = await sim.run((await sim.run(pullAll(live(sim)))).result);
    expect(result).toMatchObject({ outcome: 'committed', error: null });
    expect(depths(result)).toEqual([1, 1, 1]);
  });
});
