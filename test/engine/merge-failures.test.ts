/** Merges in which something fails or is asked for: before the decision every chain is as it was, after it all are shortened. */
import { describe, expect, test } from 'vitest';
import type { Saga } from '../../src/engine/running/saga.ts';
import { sagaToken } from '../../src/plan/names.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';
import { often } from '../tiers/tier.ts';
import { entered, type Life, live, smallSim } from './lives.ts';

const DISKS = 3;
const chainOf = (disk: number, ...layers: readonly number[]) => [
  `/images/disk${disk}.qcow2`,
  ...layers.map(layer => `/images/disk${disk}-base${layer}.qcow2`),
];
const OLD = [0, 1, 2].map(disk => chainOf(disk, 1, 0));
const SHORT = [0, 1, 2].map(disk => chainOf(disk, 0));

type What = 'pull' | 'commit';

function begin({ engine, guest }: Life, what: What): Promise<Saga> {
  const common = { ...guest, id: 's', parallel: 1 };
  const disks = [0, 1, 2].map(disk =>
    what === 'pull'
      ? { disk: `dev${disk}`, base: `dev${disk}[2]` }
      : { disk: `dev${disk}`, top: `dev${disk}[1]` },
  );
  return what === 'pull' ? engine.pull({ ...common, disks }) : engine.commit({ ...common, disks });
}

function merging(faults: readonly Fault[] = []) {
  const sim = smallSim({ disks: DISKS, backingLayers: 2, faults });
  return { sim, life: live(sim) };
}

describe.each(['pull', 'commit'] as const)('a %s of three disks', what => {
  test.each([1, 2, 3])('is taken back from all when job %d fails for want of room', async nth => {
    const { sim, life } = merging([{ kind: 'jobFails', nth, percent: 0, error: 'No space left on device' }]);
    const result = await sim.run((await sim.run(begin(life, what))).result);
    expect(result).toMatchObject({
      outcome: 'rolledBack',
      error: { code: 'JOB_FAILED', disk: `dev${nth - 1}`, cause: { desc: 'No space left on device' } },
    });
    expect(result.disks.map(({ after }) => after?.chain)).toEqual(OLD);
    expect(sim.world.inject('query-jobs')).toMatchObject({ return: [] });
  });

  test.each([
    ['query-migrate', { lasting: true }, []],
    ['query-status', { lasting: true }, []],
    ['qom-list', {}, [{ kind: 'cut', effect: 'before', command: 'query-migrate', nth: 4 }]],
  ] as const)('ends well or is taken back, whichever %s is refused', async (command, lasting, before) => {
    const outcomes = new Set<string>();
    for (let nth = 1; nth <= 14; nth += 1) {
      const { sim, life } = merging([...before, { kind: 'refuse', command, nth, ...lasting }]);
      const begun = begin(life, what).then(
        saga => saga.result,
        () => undefined,
      );
      const result = await sim.run(begun);
      if (result === undefined) continue;
      outcomes.add(result.outcome);
      const chains = result.disks.map(({ after }) => after?.chain);
      expect(chains, `${command} ${nth}`).toEqual(result.outcome === 'committed' ? SHORT : OLD);
    }
    expect(outcomes).toEqual(new Set(['rolledBack', 'committed']));
  });

  test('is taken back when it is asked to at any moment before its decision, and never after it', async () => {
    const outcomes = new Set<string>();
    for (let afterMs = 0; afterMs < 4; afterMs += often(0.15, 0.05)) {
      const { sim, life } = merging();
      const saga = await sim.run(begin(life, what));
      await sim.advance(afterMs);
      const wasDecided = life.journal.records('s').some(({ kind }) => kind === 'decision');
      const result = await sim.run(saga.abort().catch(() => saga.result));
      outcomes.add(result.outcome);
      const chains = result.disks.map(({ after }) => after?.chain);
      expect(chains, `asked ${afterMs} ms later`).toEqual(result.outcome === 'committed' ? SHORT : OLD);
      if (wasDecided) expect(result.outcome, `asked ${afterMs} ms later`).toBe('committed');
      expect(sim.world.alive).toBe(true);
    }
    expect(outcomes).toEqual(new Set(['rolledBack', 'committed']));
  });

  test.each([1, 2, 3])('goes on to its end when QEMU refuses to finalize job %d', async nth => {
    const { sim, life } = merging([{ kind: 'refuse', command: 'job-finalize', nth }]);
    const result = await sim.run((await sim.run(begin(life, what))).result);
    expect(result).toMatchObject({ outcome: 'committed', error: null });
    expect(result.disks.map(({ after }) => after?.chain)).toEqual(SHORT);
    expect(sim.world.inject('query-jobs')).toMatchObject({ return: [] });
  });

  test('runs a job again that a third party cancels behind the decision', async () => {
    const { sim, life } = merging([
      {
        kind: 'otherClient',
        at: { when: 'before', command: 'job-finalize', nth: 2 },
        execute: 'job-cancel',
        arguments: { id: `bs-${sagaToken('s')}-1-job` },
      },
    ]);
    const saga = await sim.run(begin(life, what));
    await sim.run(entered(saga, 'finalizeRewrites'));
    const result = await sim.run(saga.result);
    expect(result).toMatchObject({ outcome: 'committed', error: null });
    expect(result.disks.map(({ after }) => after?.chain)).toEqual(SHORT);
    expect(
      life.sent.filter(command => command === `block-${what === 'pull' ? 'stream' : 'commit'}`),
    ).toHaveLength(4);
  });
});
