/** What `--plan` predicts of each disk's chain, against what QEMU and the result tell when the very request has been carried out. */
import { expect, test } from 'vitest';
import { predictChain } from '../../src/cli/predict.ts';
import type { Plan } from '../../src/steps/plan.ts';
import { type Chained, disksOf, withChains } from './chained.ts';
import { describeOnQemu } from './real-qemu.ts';
import { explain, stage } from './witnessed.ts';

const basics = ({ vm }: Chained) => ({ qmp: vm.monitor, maxBlackoutMs: 30_000 });

/** By what is asked: the plan, and the saga of the same request. */
const asks = {
  snapshot: (on: Chained) => {
    const request = on.snapshotAll();
    return [on.engine.planSnapshot(request), () => on.engine.snapshot(request)] as const;
  },
  copy: (on: Chained) => {
    const request = on.copyAll();
    return [on.engine.planCopy(request), () => on.engine.copy(request)] as const;
  },
  'shallow copy': (on: Chained) => {
    const request = on.copyAll(() => ({ shallow: true }));
    return [on.engine.planCopy(request), () => on.engine.copy(request)] as const;
  },
  'copy onto a base': (on: Chained) => {
    const request = on.copyAll(index => ({ base: `dev${index}[2]` }));
    return [on.engine.planCopy(request), () => on.engine.copy(request)] as const;
  },
  clone: (on: Chained) => {
    const request = { ...on.copyAll(), finish: 'clone' as const };
    return [on.engine.planCopy(request), () => on.engine.copy(request)] as const;
  },
  'pull of everything': (on: Chained) => {
    const request = { ...basics(on), disks: disksOf(on, () => ({})) };
    return [on.engine.planPull(request), () => on.engine.pull(request)] as const;
  },
  'pull down to a base': (on: Chained) => {
    const request = { ...basics(on), disks: disksOf(on, index => ({ base: `dev${index}[2]` })) };
    return [on.engine.planPull(request), () => on.engine.pull(request)] as const;
  },
  'commit below the active images': (on: Chained) => {
    const request = { ...basics(on), disks: disksOf(on, index => ({ top: `dev${index}[1]` })) };
    return [on.engine.planCommit(request), () => on.engine.commit(request)] as const;
  },
  'commit of active images': (on: Chained) => {
    const request = { ...basics(on), disks: disksOf(on, () => ({})), active: true, shallow: true };
    return [on.engine.planCommit(request), () => on.engine.commit(request)] as const;
  },
};

describeOnQemu('the chains that a plan predicts', () => {
  test.each(Object.entries(asks))('are those that a %s comes to', async (_what, ask) => {
    await using on = await withChains(await stage({ disks: 2, style: 'drive' }), 2);
    const [planned, begin] = ask(on);
    const plan: Plan = await planned;
    const predicted = plan.disks.map(disk => predictChain(plan, disk).map(({ file }) => file));
    const result = await (await begin()).result;
    expect(result, explain(result)).toMatchObject({ outcome: 'committed' });
    expect((await on.look()).fronts.map(front => front.chain)).toEqual(predicted);
    expect(result.disks.map(({ after }) => after?.chain)).toEqual(predicted);
  });

  test('come with a hint at what copies less, where chains are merged', async () => {
    await using on = await withChains(await stage({ disks: 1 }), 1);
    const plan = await asks['pull of everything'](on)[0];
    expect(plan.hint).toMatch(/^dev0: commit copies less, its active image holds \d+ % of the disk$/);
  });
});
