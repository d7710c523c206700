/**
 * What blocksaga does on a QEMU before 3.1, tried on a newer one that it is told to take for such: QEMU opens the images
 * by `drive-mirror`, forgets its jobs when they end, and knows them by their disks before 2.7.
 */
import { expect, test } from 'vitest';
import { recoverOffline, type SagaResult } from '../../src/index.ts';
import type { Capability } from '../../src/qmp/index.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { covering, isFull, share, turns } from '../tiers/tier.ts';
import { cancelJobOf } from './cancel-job.ts';
import { disksOf, expectChains, expectMerged, withChains } from './chained.ts';
import { buildCommand, resultOf, runCommand, startCommand } from './cli-process.ts';
import { describeOnQemu } from './real-qemu.ts';
import {
  expectCloned,
  expectSets,
  expectSwitched,
  expectTakenBack,
  explain,
  imagesOf,
  oldImages,
  stage,
} from './witnessed.ts';

interface Older {
  readonly what: string;
  readonly style: 'blockdev' | 'drive';
  readonly without: readonly Capability[];
}

const OLDER: readonly Older[] = [
  { what: 'jobs with names, -blockdev', style: 'blockdev', without: ['auto-dismiss'] },
  {
    what: 'jobs called by their disks',
    style: 'drive',
    without: ['auto-dismiss', 'job-id', 'throttle-group'],
  },
];

const inTurn = turns();

for (const [variant, { what, style, without }] of OLDER.entries())
  describeOnQemu(`a QEMU that is taken for an older one: ${what}`, () => {
    const plays = share(variant, OLDER.length);

    test.runIf(plays())('has three disks switched by a copy, which says what is weaker', async () => {
      await using on = await stage({ disks: 3, style });
      const result = await (await on.engine.copy({ ...on.copyAll(), without })).result;
      expect(result.strategy).toBe('complete');
      expect(result.weaker?.join()).toMatch(/forgets jobs/);
      await expectSwitched(on, result);
    });

    test.runIf(plays()).each(inTurn([1, 2]))(
      'has all disks as they were when the job of disk %i is ended right before its switch',
      async k => {
        await using on = await stage({ disks: 3, style });
        on.tap.before('block-job-complete', () => cancelJobOf(on, k), k);
        const result = await (await on.engine.copy({ ...on.copyAll(), ...on.tapped, without })).result;
        expect(on.tap.pending).toEqual([]);
        expect(result.error, explain(result)).toMatchObject({ step: 'completeMirrors' });
        await expectTakenBack(on, result);
      },
    );

    test.runIf(plays())('has its disks cloned as one cut', async () => {
      await using on = await stage({ disks: 3, style });
      await expectCloned(
        on,
        await (await on.engine.copy({ ...on.copyAll(), without, finish: 'clone' })).result,
      );
    });

    test.runIf(plays())('has shallow copies stand on the images that the disks stood on', async () => {
      await using on = await stage({ disks: 2, style, backing: true });
      const result = await (await on.engine.copy({ ...on.copyAll(() => ({ shallow: true })), without }))
        .result;
      await expectSwitched(on, result);
    });

    test.runIf(plays())('goes on with a copy whose orchestrator was killed, by its jobs', async () => {
      buildCommand();
      const state = temporaryFolder();
      await using on = await stage({ disks: 2, style });
      const disks = [0, 1].flatMap(index => ['--disk', `dev${index},to=${on.newFile(index)}`]);
      const lacking = ['--without', without.join()];
      const pace = ['--bandwidth', '256K', '--max-blackout', '30000'];
      const copy = ['copy', '--qmp', on.vm.monitor, '--id', 'night', ...disks, ...lacking, ...pace, '--json'];
      const running = startCommand(state, ...copy);
      await running.line(line => line.includes('"status":"running"'));
      running.child.kill('SIGKILL');
      await running.status;
      for (const { id } of (await on.vm.witness.execute('query-jobs')) as { id: string }[]) {
        await on.vm.witness.execute('block-job-set-speed', { device: id, speed: 0 });
      }
      const resumed = await runCommand(state, 'resume', 'night', '--json');
      expect([resumed.status, resultOf(resumed.out).outcome]).toEqual([0, 'committed']);
      await expectSwitched(on, resultOf(resumed.out) as SagaResult);
    });

    test.runIf(plays())('has three chains pulled down to their lowest images', async () => {
      await using on = await withChains(await stage({ disks: 3, style }), 2);
      const disks = disksOf(on, index => ({ base: `dev${index}[2]` }));
      const result = await (await on.engine.pull({ qmp: on.vm.monitor, disks, without })).result;
      await expectMerged(
        on,
        result,
        on.chains.map(([front = '', , base = '']) => [front, base]),
      );
    });

    test.runIf(plays())('has the images in the middle of three chains committed and removed', async () => {
      await using on = await withChains(await stage({ disks: 3, style }), 2);
      const leaving = on.chains.map(([, middle = '']) => middle);
      const disks = disksOf(on, index => ({ top: leaving[index] ?? '' }));
      const request = { qmp: on.vm.monitor, disks, delete: true, without };
      await expectMerged(
        on,
        await (await on.engine.commit(request)).result,
        on.chains.map(([front = '', , base = '']) => [front, base]),
        leaving,
      );
    });

    const commitActive = (on: Awaited<ReturnType<typeof withChains>>) =>
      on.engine.commit({
        ...{ ...on.tapped, disks: disksOf(on, () => ({})), active: true, maxBlackoutMs: 30_000, without },
      });

    test.runIf(plays())('has the active images of three disks committed', async () => {
      await using on = await withChains(await stage({ disks: 3, style }), 2);
      await expectMerged(
        on,
        await (await commitActive(on)).result,
        on.chains.map(chain => chain.slice(-1)),
      );
    });

    test.runIf(plays())(
      'has the overlays put back when the commit of the last is ended right before its switch',
      async () => {
        await using on = await withChains(await stage({ disks: 3, style }), 2);
        on.tap.before('block-job-complete', () => cancelJobOf(on, 2), 2);
        const result = await (await commitActive(on)).result;
        expect(on.tap.pending).toEqual([]);
        expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
        await expectChains(on, on.chains);
      },
    );

    test.runIf(plays())(
      'has snapshots taken back that were taken one by one, when the last overlay is refused',
      async () => {
        await using on = await stage({ disks: 3, style });
        const request = on.snapshotAll(index => (index === 2 ? { overlay: '/proc/o.qcow2' } : {}));
        const lacking = [...without, 'transaction'];
        const result = await (await on.engine.snapshot({ ...request, without: lacking })).result;
        expect(result.error).toMatchObject({ disk: 'dev2' });
        await expectTakenBack(on, result);
      },
    );

    test.runIf(plays())('has a snapshot switched to its mirrors, and another taken back', async () => {
      await using on = await stage({ disks: 2, style });
      const mirrored = (name: string) => ({
        ...on.snapshotAll(index => ({
          overlay: `${on.directory}/${name}${index}.qcow2`,
          mirror: `${on.directory}/${name}${index}-mirror.qcow2`,
        })),
        without,
      });
      const back = await on.engine.snapshot(mirrored('back'));
      const begun = await back.result;
      expect(begun.outcome, explain(begun)).toBe('ready');
      const result = await back.abort();
      expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
      const fronts = (await on.look()).fronts.map(({ chain }) => chain);
      const kept = await on.engine.snapshot(mirrored('kept'));
      expect((await kept.result).outcome).toBe('ready');
      const switched = await kept.pivot();
      expect(switched, explain(switched)).toMatchObject({ outcome: 'committed', error: null });
      const now = (await on.look()).fronts.map(({ chain }) => chain);
      expect(now).toEqual(
        fronts.map((chain, index) => [`${on.directory}/kept${index}-mirror.qcow2`, ...chain]),
      );
    });
  });

/** Between the others: nothing of it is its own, so it is tried where most could go wrong. */
const BETWEEN: Older = {
  what: 'jobs with names, -drive',
  style: 'drive',
  without: ['auto-dismiss', 'throttle-group'],
};

const DEATHS = [
  { when: 'after', command: 'drive-mirror', holds: 'old' },
  { when: 'after', command: 'stop', holds: 'old' },
  { when: 'after', command: 'block-job-complete', holds: 'old' },
  { when: 'after', command: 'cont', holds: 'new' },
] as const;

const killed = [...OLDER, BETWEEN].flatMap(older => DEATHS.map(death => ({ ...older, ...death })));

describeOnQemu('a QEMU that is taken for an older one and killed', () => {
  // Mostly waiting, for a QEMU that does not come back.
  test.concurrent.each(isFull ? killed : covering(killed, ({ holds }) => [holds]))(
    '$when $command: the $holds images are booted from ($what)',
    async ({ when, command, holds, style, without }) => {
      await using on = await stage({ disks: 3, style, journal: 'sqlite' });
      on.tap[when](command, () => on.vm.kill(), 0);
      const result = await (await on.engine.copy({ ...on.copyAll(), ...on.tapped, without })).result;
      expect(on.tap.pending).toEqual([]);
      expect(result, explain(result)).toMatchObject({ outcome: 'needsRecovery' });
      const news = imagesOf(result.disks.map(disk => disk.image));
      const fronts = holds === 'old' ? oldImages(on) : news;
      const recovered = await recoverOffline(on.journal, result.saga, {});
      expect(recovered.boot?.map(({ file }) => file)).toEqual(fronts.map(({ file }) => file));
      await expectSets(on, { front: fronts });
    },
  );
});

/** As QEMU 3.1, which does not tell of the nodes below: jobs are held back, and images called by their files. */
const BY_FILE: readonly Capability[] = ['blockdev-add'];

describeOnQemu('a QEMU that keeps its jobs and is told of images by their files', () => {
  test.each(inTurn(['blockdev', 'drive'] as const))('has its chains shortened: -%s', async style => {
    await using on = await withChains(await stage({ disks: 3, style }), 3);
    const kept = on.chains.map(([front = '', , , base = '']) => [front, base]);
    const tops = on.chains.map(([, , top = '']) => top);
    const request = { qmp: on.vm.monitor, disks: disksOf(on, index => ({ top: tops[index] ?? '' })) };
    const committed = await (await on.engine.commit({ ...request, without: BY_FILE })).result;
    expect(committed, explain(committed)).toMatchObject({ outcome: 'committed', strategy: 'rewrite' });
    const disks = disksOf(on, index => ({ base: kept[index]?.[1] ?? '' }));
    const pulled = await (await on.engine.pull({ ...request, disks, without: BY_FILE })).result;
    await expectMerged(on, pulled, kept);
  });

  test.each(inTurn(['blockdev', 'drive'] as const))('has its active images committed: -%s', async style => {
    await using on = await withChains(await stage({ disks: 3, style }), 2);
    const disks = disksOf(on, () => ({}));
    const request = { ...on.tapped, disks, active: true, maxBlackoutMs: 30_000, without: BY_FILE };
    const result = await (await on.engine.commit(request)).result;
    expect(result.strategy).toBe('finalize');
    await expectMerged(
      on,
      result,
      on.chains.map(chain => chain.slice(-1)),
    );
  });

  test.each(inTurn(['blockdev', 'drive'] as const))('has its overlays put back: -%s', async style => {
    await using on = await withChains(await stage({ disks: 3, style }), 2);
    on.tap.before('job-finalize', () => cancelJobOf(on, 2), 2);
    const disks = disksOf(on, () => ({}));
    const request = { ...on.tapped, disks, active: true, maxBlackoutMs: 30_000, without: BY_FILE };
    const result = await (await on.engine.commit(request)).result;
    expect(on.tap.pending).toEqual([]);
    expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    await expectChains(on, on.chains);
  });
});
