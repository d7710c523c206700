/** What `--plan` predicts of each disk's chain, against what QEMU and the result tell when the very request has been carried out. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { predictChain } from '../../src/cli/print/predict.ts';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import { commitOffline, planOfflineCommit } from '../../src/engine/offline-commit/commit-offline.ts';
import type { CommitRequest, CopyRequest, Plan, Saga, SagaResult, SnapshotRequest } from '../../src/index.ts';
import { chainOfImage } from '../../src/plan/chain-of-image.ts';
import type { ChainImage, DiskPlan } from '../../src/plan/plan.ts';
import { isFull } from '../tiers/tier.ts';
import { type Chained, chainInHeaders, disksOf, withChains } from './chained.ts';
import { describeOnQemu } from './real-qemu.ts';
import { explain, stage } from './witnessed.ts';

const basics = ({ vm }: Chained) => ({ qmp: vm.monitor, maxBlackoutMs: 30_000 });

/** What is planned, what is begun by the same request, and how a saga that waits then ends. */
interface Ask {
  readonly plan: Promise<Plan>;
  begin(): Promise<Saga>;
  end?(saga: Saga): Promise<SagaResult>;
}

const snapshot = (on: Chained, more: Partial<SnapshotRequest> = {}): Ask => {
  const request = { ...on.snapshotAll(), ...more };
  return { plan: on.engine.planSnapshot(request), begin: () => on.engine.snapshot(request) };
};
const copy = (
  on: Chained,
  change: (index: number) => Partial<CopyRequest['disks'][number]> = () => ({}),
  more: Partial<CopyRequest> = {},
): Ask => {
  const request = { ...on.copyAll(change), ...more };
  return { plan: on.engine.planCopy(request), begin: () => on.engine.copy(request) };
};
const pull = (on: Chained, change: (index: number) => { base?: string }): Ask => {
  const request = { ...basics(on), disks: disksOf(on, change) };
  return { plan: on.engine.planPull(request), begin: () => on.engine.pull(request) };
};
const commit = (
  on: Chained,
  change: (index: number) => { top?: string; base?: string },
  more: Partial<CommitRequest> = {},
): Ask => {
  const request = { ...basics(on), disks: disksOf(on, change), ...more };
  return { plan: on.engine.planCommit(request), begin: () => on.engine.commit(request) };
};
const mirrored = (on: Chained): Ask =>
  snapshot(on, {
    ...on.snapshotAll(index => ({ mirror: join(on.directory, `mirror${index}.qcow2`) })),
  });
const makeTargets = async (on: Chained, below: (index: number) => readonly string[] = () => []) => {
  for (const index of on.vm.disks.keys()) {
    await qemuImg('create', '-q', '-u', '-f', 'qcow2', ...below(index), on.newFile(index), '16M');
  }
};

/** By what is asked. */
const asks: Readonly<Record<string, (on: Chained) => Ask | Promise<Ask>>> = {
  'snapshot over overlays that are there': on => snapshot(on),
  'snapshot that makes its overlays': on => snapshot(on, { without: ['blockdev-create'] }),
  'snapshot disk by disk': on => snapshot(on, { without: ['transaction'] }),
  copy: on => copy(on),
  'copy that finalizes': on => copy(on, () => ({}), { strategy: 'finalize' }),
  'copy that completes': on => copy(on, () => ({}), { strategy: 'complete' }),
  'shallow copy': on => copy(on, () => ({ shallow: true })),
  'raw copy': on => copy(on, () => ({ raw: true })),
  'copy into images that are there': async on => {
    await makeTargets(on);
    return copy(on, () => ({ reuse: true }));
  },
  'shallow copy into images that are there': async on => {
    await makeTargets(on, index => ['-b', on.chains[index]?.[1] ?? '', '-F', 'qcow2']);
    return copy(on, () => ({ reuse: true, shallow: true }));
  },
  'copy onto a base': on => copy(on, index => ({ base: `dev${index}[2]` })),
  clone: on => copy(on, () => ({}), { finish: 'clone' }),
  'copy that is taken back': on => copy(on, () => ({}), { finish: 'abort' }),
  'copy that keeps its copies': on => ({
    ...copy(on, () => ({}), { finish: 'leave' }),
    end: saga => saga.keepCopies(),
  }),
  'pull of everything': on => pull(on, () => ({})),
  'pull down to a base': on => pull(on, index => ({ base: `dev${index}[2]` })),
  'commit below the active images': on => commit(on, index => ({ top: `dev${index}[1]` })),
  'commit that removes files': on => commit(on, index => ({ top: `dev${index}[1]` }), { delete: true }),
  'commit of active images': on => commit(on, () => ({}), { active: true, shallow: true }),
  'commit of active images that removes files': on => commit(on, () => ({}), { active: true, delete: true }),
  'snapshot with mirrors that keeps the snapshot': on => ({
    ...mirrored(on),
    end: saga => saga.keepSnapshot(),
  }),
  revert: async on => {
    await on.vm.witness.execute('stop');
    const disks = disksOf(on, index => ({ overlay: on.newFile(index), to: `dev${index}[2]` }));
    const request = { ...basics(on), disks };
    return { plan: on.engine.planRevert(request), begin: () => on.engine.revert(request) };
  },
};

/** The chains of a plan's disks, as `find` has them. */
const filesOf = (plan: Plan, find: (disk: DiskPlan) => readonly ChainImage[]) =>
  plan.disks.map(disk => find(disk).map(({ file }) => file));

async function play({ begin, end }: Ask): Promise<SagaResult> {
  const saga = await begin();
  const first = await saga.result;
  return end === undefined ? first : end(saga);
}

describeOnQemu('the chains that a plan predicts', () => {
  test.each(Object.entries(asks).filter((_, at) => isFull || at % 3 === 0))(
    'are those that a %s comes to',
    async (_what, ask) => {
      await using on = await withChains(await stage({ disks: 2, style: 'drive' }), 2);
      const asked = await ask(on);
      const plan = await asked.plan;
      const predicted = filesOf(plan, disk => predictChain(plan, disk));
      const result = await play(asked);
      const outcome = 'finish' in plan && plan.finish === 'abort' ? 'rolledBack' : 'committed';
      expect(result, explain(result)).toMatchObject({ outcome });
      expect((await on.look()).fronts.map(front => front.chain)).toEqual(predicted);
      expect(result.disks.map(({ after }) => after?.chain)).toEqual(predicted);
    },
  );

  test.each([
    ['copy', (on: Chained) => copy(on, () => ({ shallow: true }), { finish: 'leave' })],
    ['snapshot with mirrors', mirrored],
  ] as const)(
    'of a %s are the disks while it waits, and the copies when it is switched',
    async (_what, ask) => {
      await using on = await withChains(await stage({ disks: 2 }), 1);
      const asked = ask(on);
      const plan = await asked.plan;
      const saga = await asked.begin();
      expect((await saga.result).outcome).toBe('ready');
      const now = async () => (await on.look()).fronts.map(front => front.chain);
      expect(await now()).toEqual(filesOf(plan, disk => predictChain(plan, disk)));
      const result = await saga.pivot();
      expect(result, explain(result)).toMatchObject({ outcome: 'committed' });
      expect(await now()).toEqual(filesOf(plan, chainOfImage));
    },
  );

  test.each([
    ['active images', {}],
    ['images below', { top: '[1]' }],
  ])('are those that an offline commit of %s comes to', async (_what, images) => {
    await using on = await withChains(await stage({ disks: 2 }), 2);
    await on.vm.quit();
    const disks = on.chains.map(([disk = '']) => ({ disk, ...images }));
    const plan = await planOfflineCommit({ disks });
    const result = await commitOffline(on.journal, { disks });
    expect(result, explain(result)).toMatchObject({ outcome: 'committed' });
    const predicted = filesOf(plan as object as Plan, chainOfImage);
    expect(result.disks.map(({ after }) => after?.chain)).toEqual(predicted);
    for (const chain of predicted) expect(await chainInHeaders(chain[0] ?? '')).toEqual(chain);
  });

  test('come with a hint at what copies less, where chains are merged', async () => {
    await using on = await withChains(await stage({ disks: 1 }), 1);
    const plan = await pull(on, () => ({})).plan;
    expect('hint' in plan ? plan.hint : undefined).toMatch(
      /^dev0: commit copies less, its active image holds \d+ % of the disk$/,
    );
  });
});
