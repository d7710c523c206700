/**
 * QEMU is killed in the middle of a saga, in every phase: the saga ends and says so, nothing of the guest's is removed,
 * and the side that the records name holds every acknowledged write at one instant.
 */
import { readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { SagaResult } from '../../src/index.ts';
import { eachValue } from '../tiers/tier.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectSets, explain, imagesOf, oldImages, type Stage, stage } from './witnessed.ts';

interface Death {
  readonly when: 'before' | 'after';
  readonly command: string;
  readonly skip?: number;
  /** Which set of images a guest would have to start from: both hold everything until `cont`. */
  readonly holds: 'old' | 'both' | 'new';
}

const COPY_DEATHS: readonly (Death & { readonly strategy: 'reopen' | 'finalize' | 'complete' })[] = [
  { strategy: 'reopen', when: 'after', command: 'blockdev-create', holds: 'old' },
  { strategy: 'reopen', when: 'after', command: 'blockdev-mirror', holds: 'old' },
  { strategy: 'reopen', when: 'after', command: 'stop', holds: 'old' },
  // The filters come before the mirrors, one for each of three disks, and go when the guest runs.
  { strategy: 'reopen', when: 'before', command: 'qom-set', holds: 'old' },
  { strategy: 'reopen', when: 'before', command: 'qom-set', skip: 3, holds: 'new' },
  { strategy: 'reopen', when: 'before', command: 'blockdev-reopen', holds: 'both' },
  { strategy: 'reopen', when: 'after', command: 'blockdev-reopen', holds: 'both' },
  { strategy: 'reopen', when: 'before', command: 'cont', holds: 'both' },
  { strategy: 'reopen', when: 'after', command: 'cont', holds: 'new' },
  { strategy: 'finalize', when: 'before', command: 'job-complete', holds: 'old' },
  { strategy: 'finalize', when: 'before', command: 'job-finalize', holds: 'both' },
  { strategy: 'finalize', when: 'after', command: 'job-finalize', holds: 'both' },
  { strategy: 'finalize', when: 'after', command: 'cont', holds: 'new' },
  { strategy: 'complete', when: 'after', command: 'job-complete', holds: 'old' },
  { strategy: 'complete', when: 'after', command: 'cont', holds: 'new' },
];

const SNAPSHOT_DEATHS: readonly (Death & { readonly without: readonly string[] })[] = [
  { without: [], when: 'after', command: 'blockdev-create', holds: 'old' },
  { without: [], when: 'before', command: 'transaction', holds: 'old' },
  { without: [], when: 'after', command: 'transaction', holds: 'new' },
  { without: ['blockdev-create'], when: 'after', command: 'transaction', holds: 'new' },
  { without: ['transaction'], when: 'after', command: 'blockdev-snapshot-sync', skip: 1, holds: 'old' },
  { without: ['transaction'], when: 'after', command: 'cont', holds: 'new' },
];

function arm({ tap, vm }: Stage, { when, command, skip = 0 }: Death): void {
  tap[when](command, () => vm.kill(), skip);
}

async function expectDeath(on: Stage, result: SagaResult, { holds }: Death): Promise<void> {
  expect(on.tap.pending).toEqual([]);
  expect(result, explain(result)).toMatchObject({ outcome: 'needsRecovery' });
  expect(result.error).not.toBe(null);
  expect(result.disks.map(disk => disk.after)).toEqual(result.disks.map(() => null));
  expect(await readdir(on.directory)).toEqual(
    expect.arrayContaining(on.vm.disks.map(disk => disk.file.slice(on.directory.length + 1))),
  );
  const news = imagesOf(result.disks.map(disk => disk.image));
  if (holds !== 'new') await expectSets(on, { front: oldImages(on) });
  if (holds !== 'old') await expectSets(on, { front: news });
  if (holds === 'new') await expectSets(on, { front: news, behind: oldImages(on) });
  expect(on.journal.saga(result.saga)?.state).toBe('needsRecovery');
}

describeOnQemu('a QEMU that is killed', () => {
  test.concurrent.each(eachValue(COPY_DEATHS))(
    '$when $command of a copy leaves the $holds images whole: $strategy',
    async death => {
      await using on = await stage({ disks: 3, journal: 'sqlite' });
      arm(on, death);
      const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: death.strategy });
      await expectDeath(on, await saga.result, death);
    },
  );

  test.concurrent.each(eachValue(SNAPSHOT_DEATHS))(
    '$when $command of a snapshot leaves the $holds images whole: without $without',
    async death => {
      await using on = await stage({ disks: 3, journal: 'sqlite' });
      arm(on, death);
      const request = { ...on.snapshotAll(), ...on.tapped, without: death.without };
      await expectDeath(on, await (await on.engine.snapshot(request)).result, death);
    },
  );

  test.concurrent('while the saga waits with ready mirrors is noticed', async () => {
    await using on = await stage({ disks: 2 });
    const saga = await on.engine.copy({ ...on.copyAll(), finish: 'leave' });
    expect((await saga.result).outcome).toBe('ready');
    await on.vm.kill();
    const result = await saga.pivot();
    expect(result.outcome, explain(result)).toBe('needsRecovery');
    await expectSets(on, { front: oldImages(on) });
  });
});
