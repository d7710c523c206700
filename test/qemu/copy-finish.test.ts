/** What a copy does when every mirror is ready: clone, abort, leave and the signals after it. */
import { expect, test } from 'vitest';
import type { Saga, SagaResult } from '../../src/index.ts';
import { turns } from '../tiers/tier.ts';
import { SOME_WRITES } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';
import {
  expectCloned,
  expectSwitched,
  expectTakenBack,
  type Stage,
  type StageOptions,
  stage,
} from './witnessed.ts';

const STRATEGIES = ['reopen', 'finalize', 'complete'] as const;

/** As `expectTakenBack`, for a saga that was asked to go back: nothing failed but a wait that it left. */
async function expectGivenUp(on: Stage, result: SagaResult): Promise<void> {
  expect(result.error?.code ?? 'ABORTED').toBe('ABORTED');
  await expectTakenBack(on, result);
}

const inTurn = turns();

describeOnQemu('a copy that does not pivot at once', () => {
  test.each<StageOptions & { readonly what: string }>([
    { what: 'one virtio-blk disk', disks: 1 },
    { what: 'eight virtio-blk disks', disks: 8 },
    { what: 'three scsi-hd disks with iothreads', disks: 3, bus: 'scsi-hd', iothreads: true },
    { what: 'two nvme disks of -drive', disks: 2, bus: 'nvme', style: 'drive' },
  ])(
    'clones $what: the copies are one instant and the guest stays where it was',
    async ({ what: _, ...guest }) => {
      await using on = await stage(guest);
      const result = await (await on.engine.copy({ ...on.copyAll(), finish: 'clone' })).result;
      await expectCloned(on, result);
    },
  );

  test('clones a paused guest and leaves it paused', async () => {
    await using on = await stage({ disks: 2, paused: true });
    const result = await (await on.engine.copy({ ...on.copyAll(), finish: 'clone' })).result;
    await expectCloned(on, result);
  });

  test('takes everything back when it is ready and was to abort', async () => {
    await using on = await stage({ disks: 3 });
    await expectGivenUp(on, await (await on.engine.copy({ ...on.copyAll(), finish: 'abort' })).result);
  });

  test.each(inTurn(STRATEGIES))('waits with ready mirrors until it is told to pivot: %s', async strategy => {
    await using on = await stage({ disks: 2, journal: 'sqlite' });
    const saga = await on.engine.copy({ ...on.copyAll(), finish: 'leave', strategy });
    expect((await saga.result).outcome).toBe('ready');
    expect((await on.look()).jobs).toHaveLength(2);
    await on.vm.awaitWrites(SOME_WRITES);
    // By `reopen` the filters are there already, above the old images.
    const chains = (world: typeof on.before) => world.fronts.map(({ chain }) => chain);
    expect(chains(await on.look())).toEqual(chains(on.before));
    await expectSwitched(on, await saga.pivot());
    await expect(saga.abort()).rejects.toMatchObject({ code: 'SAGA_STATE' });
  });

  test.each(inTurn(STRATEGIES))('waits with ready mirrors until it is told to abort: %s', async strategy => {
    await using on = await stage({ disks: 2, style: 'drive' });
    const saga = await on.engine.copy({ ...on.copyAll(), finish: 'leave', strategy });
    expect((await saga.result).outcome).toBe('ready');
    await on.vm.awaitWrites(SOME_WRITES);
    await expectGivenUp(on, await saga.abort());
    await expect(saga.pivot()).rejects.toMatchObject({ code: 'SAGA_STATE' });
  });

  test.each(inTurn(STRATEGIES))(
    'waits until it is told to keep its copies as one instant: %s',
    async strategy => {
      await using on = await stage({ disks: 3 });
      const saga = await on.engine.copy({ ...on.copyAll(), finish: 'leave', strategy });
      expect((await saga.result).outcome).toBe('ready');
      await on.vm.awaitWrites(SOME_WRITES);
      const result = await saga.keepCopies();
      expect(result.strategy).toBeNull();
      await expectCloned(on, result);
    },
  );

  test('keeps its copies also where the disks have iothreads', async () => {
    await using on = await stage({ disks: 3, bus: 'scsi-hd', iothreads: true });
    const saga = await on.engine.copy({ ...on.copyAll(), finish: 'leave' });
    expect((await saga.result).outcome).toBe('ready');
    await expectCloned(on, await saga.keepCopies());
  });

  test('is taken back when it is aborted in the middle of copying', async () => {
    await using on = await stage({ disks: 3 });
    const saga = await on.engine.copy({ ...on.copyAll(), bandwidth: 65_536 });
    await new Promise<void>(resolve => {
      saga.subscribe(notice => notice.type === 'progress' && notice.status === 'running' && resolve());
    });
    await expectGivenUp(on, await saga.abort());
    expect((await saga.result).outcome).toBe('rolledBack');
  });

  test.each(inTurn(['blockdev-create', 'blockdev-mirror', 'stop', 'block-job-cancel', 'qom-set'], 3))(
    'is taken back when it is aborted just before %s',
    async command => {
      await using on = await stage({ disks: 2 });
      const saga = Promise.withResolvers<Saga>();
      const given = Promise.withResolvers<SagaResult>();
      on.tap.before(command, async () => given.resolve((await saga.promise).abort()));
      saga.resolve(await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'reopen' }));
      await expectGivenUp(on, await given.promise);
      expect(on.tap.pending).toEqual([]);
    },
  );

  test('goes forward when it is aborted after the switch', async () => {
    await using on = await stage({ disks: 2 });
    const asked = Promise.withResolvers<unknown>();
    const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'reopen' });
    on.tap.after('blockdev-reopen', async () => asked.resolve(saga.abort()));
    const aborted = await asked.promise;
    expect(await saga.result).toBe(aborted);
    await expectSwitched(on, await saga.result);
  });
});
