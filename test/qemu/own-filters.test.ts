/**
 * The filters that a saga has above its disks while the guest runs, on a real QEMU: on each kind of device, and when third parties, a
 * migration or an unplugged disk meet them. The guest writes in order; its images are read from outside.
 */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { GuestBus } from '../../src/demo/guest-command-line.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { describeOnQemu } from './real-qemu.ts';
import { stageThatReopens } from './version-at-hand.ts';
import {
  endGuest,
  expectSets,
  expectSwitched,
  expectTakenBack,
  explain,
  imagesOf,
  type Stage,
} from './witnessed.ts';

interface Block {
  readonly qdev?: string;
  readonly inserted?: { readonly 'node-name': string; readonly drv: string };
}

async function fronts({ vm }: Stage): Promise<readonly { path: string; node: string; drv: string }[]> {
  const blocks = (await vm.witness.execute('query-block')) as readonly Block[];
  return blocks.flatMap(({ qdev = '', inserted }) => {
    if (inserted === undefined) return [];
    const path = qdev.startsWith('/') ? qdev : `/machine/peripheral/${qdev}`;
    return [{ path, node: inserted['node-name'], drv: inserted.drv }];
  });
}

async function throttles({ vm }: Stage): Promise<readonly string[]> {
  const nodes = (await vm.witness.execute('query-named-block-nodes', { flat: true })) as readonly {
    readonly drv: string;
    readonly 'node-name': string;
  }[];
  return nodes.filter(({ drv }) => drv === 'throttle').map(node => node['node-name']);
}

/** The node of an image, whatever is above it. */
async function nodeOf({ vm }: Stage, image: string): Promise<string | undefined> {
  const nodes = (await vm.witness.execute('query-named-block-nodes', { flat: true })) as readonly {
    readonly drv: string;
    readonly file: string;
    readonly 'node-name': string;
  }[];
  return nodes.find(({ drv, file }) => drv === 'qcow2' && file === image)?.['node-name'];
}

/** The throttle group of a filter. */
async function groupOf({ vm }: Stage, filter: string): Promise<string | undefined> {
  const objects = (await vm.witness.execute('qom-list', { path: '/objects' })) as readonly {
    readonly name: string;
  }[];
  const token = filter.replace(/-\d+-filter$/, '');
  return objects.find(({ name }) => name === `${token}-group`)?.name;
}

/** A copy that waits at READY, below its filters. */
async function waiting(on: Stage) {
  const saga = await on.engine.copy({ ...on.copyAll(), strategy: 'reopen', finish: 'leave' });
  const result = await saga.result;
  expect(result.outcome, explain(result)).toBe('ready');
  expect((await fronts(on)).map(({ drv }) => drv)).toEqual(on.vm.disks.map(() => 'throttle'));
  return saga;
}

const JOB_MS = 500;
const BUSES: readonly GuestBus[] = ['virtio-blk', 'scsi-hd', 'nvme', 'ide-hd', 'usb-storage'];

describeOnQemu('filters of a saga above disks of a guest that runs', () => {
  describe.each(BUSES)('on %s', bus => {
    test('are there before the pause, move in it, and are gone when it is over', async ({ skip }) => {
      await using on = await stageThatReopens({ skip }, { disks: 2, bus });
      const saga = await waiting(on);
      const before = on.vm.witness.events.length;
      const result = await saga.pivot();
      expect(await throttles(on), explain(result)).toEqual([]);
      await expectSwitched(on, result);
      const stops = on.vm.witness.events.slice(before).filter(({ event }) => event === 'STOP');
      expect(stops).toHaveLength(1);
    });
  });

  test('are taken out again by an abort, without a pause', async ({ skip }) => {
    await using on = await stageThatReopens({ skip }, { disks: 3 });
    const saga = await waiting(on);
    const result = await saga.abort();
    expect(await throttles(on), explain(result)).toEqual([]);
    await expectTakenBack(on, result);
    expect(on.vm.witness.events.filter(({ event }) => event === 'STOP')).toEqual([]);
  });

  test('that a third party has taken a device off are noticed, and all disks stay where they were', async ({
    skip,
  }) => {
    await using on = await stageThatReopens({ skip }, { disks: 3 });
    const saga = await waiting(on);
    const [, second] = await fronts(on);
    await on.vm.witness.execute('qom-set', { path: second?.path, property: 'drive', value: 'disk1' });
    await on.vm.awaitWrites(6);
    const result = await saga.pivot();
    expect(result.error, explain(result)).toMatchObject({ code: 'FOREIGN', disk: 'dev1' });
    expect(await throttles(on), explain(result)).toEqual([]);
    await expectTakenBack(on, result);
  });

  test('cannot be closed by a third party', async ({ skip }) => {
    await using on = await stageThatReopens({ skip }, { disks: 2 });
    const saga = await waiting(on);
    const [first] = await throttles(on);
    await expect(on.vm.witness.execute('blockdev-del', { 'node-name': first })).rejects.toThrow(/in use/);
    await expectSwitched(on, await saga.pivot());
  });

  test('of a guest with iothreads are put in within the pause', async ({ skip }) => {
    await using on = await stageThatReopens({ skip }, { disks: 2, iothreads: true });
    const saga = await on.engine.copy({ ...on.copyAll(), strategy: 'reopen', finish: 'leave' });
    expect((await saga.result).outcome).toBe('ready');
    expect(await throttles(on)).toEqual([]);
    const result = await saga.pivot();
    expect(await throttles(on), explain(result)).toEqual([]);
    await expectSwitched(on, result);
  });

  test('that a third party moves right before they are left stay, as the trace of what was written below them', async ({
    skip,
  }) => {
    await using on = await stageThatReopens({ skip }, { disks: 2 });
    const old = await nodeOf(on, on.vm.disks[1]?.file ?? '');
    let filter = '';
    const moveBack = async () => {
      filter = (await fronts(on))[1]?.node ?? '';
      const options = [
        { driver: 'throttle', 'node-name': filter, 'throttle-group': await groupOf(on, filter), file: old },
      ];
      await on.vm.witness.execute('blockdev-reopen', { options });
      await on.vm.awaitWrites(6);
    };
    // The saga would have closed the old image by then; a node of that party's keeps it open.
    on.tap.after('cont', () =>
      on.vm.witness.execute('blockdev-add', { driver: 'copy-on-read', 'node-name': 'theirs', file: old }),
    );
    on.tap.before('qom-set', moveBack, on.vm.disks.length);
    const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'reopen' });
    const result = await saga.result;
    expect(on.tap.pending).toEqual([]);
    expect(result.outcome, explain(result)).toBe('needsRecovery');
    expect(result.error).toMatchObject({ code: 'FOREIGN', disk: 'dev1' });
    expect(result.error?.message).toContain(`blockdev-del ${filter}`);
    expect(await throttles(on)).toEqual([filter]);
    const again = async () => (await on.engine.resume(saga.id, on.tapped)).result;
    expect((await again()).outcome).toBe('needsRecovery');
    await on.vm.witness.execute('blockdev-del', { 'node-name': filter });
    const resumed = await again();
    expect(resumed.outcome, explain(resumed)).toBe('committed');
    expect(await throttles(on)).toEqual([]);
  });

  test('are left when no image is open any more that a third party could set a drive to', async ({
    skip,
  }) => {
    await using on = await stageThatReopens({ skip }, { disks: 2 });
    const old = await nodeOf(on, on.vm.disks[1]?.file ?? '');
    const path = '/machine/peripheral/dev1/virtio-backend';
    let refusal: unknown;
    const moveBack = async () => {
      const moved = on.vm.witness.execute('qom-set', { path, property: 'drive', value: old });
      refusal = await moved.catch((error: unknown) => error);
    };
    on.tap.before('qom-set', moveBack, on.vm.disks.length);
    const result = await (await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'reopen' })).result;
    expect(on.tap.pending).toEqual([]);
    expect(String(refusal)).toContain(old);
    expect(result, explain(result)).toMatchObject({ outcome: 'committed', leftovers: [] });
    await expectSwitched(on, result);
  });

  test('wait for the job of a third party that began above them when the guest ran again', async ({
    skip,
  }) => {
    await using on = await stageThatReopens({ skip }, { disks: 2 });
    const target = on.vm.disks[0]?.sizeBytes ?? 0;
    let cancelled: Promise<unknown> = Promise.resolve();
    let meanwhile: readonly string[] = [];
    on.tap.after('cont', async () => {
      const [first] = await fronts(on);
      await on.vm.witness.execute('blockdev-add', {
        ...{ driver: 'null-co', 'node-name': 'backup-target', size: target },
      });
      await on.vm.witness.execute('blockdev-backup', {
        ...{ 'job-id': 'theirs', device: first?.node, target: 'backup-target', sync: 'full', speed: 1 },
      });
      cancelled = sleep(systemClock, JOB_MS).then(async () => {
        meanwhile = await throttles(on);
        await on.vm.witness.execute('block-job-cancel', { device: 'theirs', force: true });
      });
    });
    const result = await (await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'reopen' })).result;
    expect(on.tap.pending).toEqual([]);
    await cancelled;
    expect(meanwhile).toContainEqual(expect.stringMatching(/-0-filter$/));
    await on.vm.witness.execute('blockdev-del', { 'node-name': 'backup-target' });
    expect(await throttles(on), explain(result)).toEqual([]);
    await expectSwitched(on, result);
  });

  test('are below the jobs of a commit, which let no overlay above or below them', async ({ skip }) => {
    await using on = await stageThatReopens({ skip }, { disks: 2, journal: 'memory' });
    const taken = await (await on.engine.snapshot(on.snapshotAll())).result;
    expect(taken.outcome, explain(taken)).toBe('committed');
    const image = await nodeOf(on, on.newFile(1));
    const refusals: string[] = [];
    on.tap.after('block-commit', async () => {
      const filter = (await throttles(on)).find(name => name.endsWith('-1-filter'));
      for (const node of [filter, image]) {
        const added = on.vm.witness.execute('blockdev-snapshot-sync', {
          ...{ 'node-name': node, 'snapshot-node-name': 'theirs' },
          'snapshot-file': join(temporaryFolder(), 'theirs.qcow2'),
        });
        await added.catch((error: unknown) => refusals.push(String(error)));
      }
    });
    const disks = on.vm.disks.map(({ device }) => ({ disk: device }));
    const saga = await on.engine.commit({ disks, active: true, strategy: 'reopen', ...on.tapped });
    const result = await saga.result;
    expect(on.tap.pending).toEqual([]);
    expect(refusals).toHaveLength(2);
    expect(result.outcome, explain(result)).toBe('committed');
    expect(await throttles(on)).toEqual([]);
    await endGuest(on);
    await expectSets(on, { front: imagesOf(on.vm.disks.map(({ file }) => file)) });
  });

  test('have to stay below an overlay that a third party has put above one, until that is committed', async ({
    skip,
  }) => {
    await using on = await stageThatReopens({ skip }, { disks: 2 });
    const theirs = join(temporaryFolder(), 'theirs.qcow2');
    on.tap.after('cont', async () => {
      const node = (await throttles(on)).find(name => name.endsWith('-1-filter'));
      await on.vm.witness.execute('blockdev-snapshot-sync', {
        ...{ 'node-name': node, 'snapshot-file': theirs, 'snapshot-node-name': 'theirs' },
      });
    });
    const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'reopen' });
    const first = await saga.result;
    expect(on.tap.pending).toEqual([]);
    expect(first, explain(first)).toMatchObject({ outcome: 'needsRecovery', error: { code: 'FOREIGN' } });
    const [, base] =
      /device theirs and base-node (\S+), then job-complete/.exec(first.error?.message ?? '') ?? [];
    await on.vm.awaitWrites(6);
    await on.vm.witness.execute('block-commit', {
      ...{ 'job-id': 'theirs', device: 'theirs', 'base-node': base },
    });
    await expect
      .poll(async () => on.vm.witness.execute('query-jobs'))
      .toContainEqual(expect.objectContaining({ id: 'theirs', status: 'ready' }));
    await on.vm.witness.execute('job-complete', { id: 'theirs' });
    await expect.poll(async () => (await on.look()).jobs).not.toContain('theirs');
    const again = await on.engine.resume(saga.id, on.tapped);
    const result = await again.result;
    expect(await throttles(on), explain(result)).toEqual([]);
    await expectSwitched(on, result);
  });

  describe.each(['reopen', 'finalize', 'complete'] as const)(
    'hold the commit of active images by %s off',
    strategy => {
      test('an overlay that a third party puts on one as it begins, which would leave the chain', async ({
        skip,
      }) => {
        const filtered = strategy === 'reopen' ? {} : ({ filters: ['throttle'] } as const);
        await using on = await stageThatReopens({ skip }, { disks: 2, journal: 'memory', ...filtered });
        const taken = await (await on.engine.snapshot(on.snapshotAll())).result;
        expect(taken.outcome, explain(taken)).toBe('committed');
        await on.vm.awaitWrites(6);
        const [first = [], second = []] = (await on.look()).fronts.map(({ chain }) => chain);
        const file = join(on.directory, 'theirs.qcow2');
        const node = await nodeOf(on, on.newFile(1));
        on.tap.before('block-commit', () =>
          on.vm.witness.execute('blockdev-snapshot-sync', {
            ...{ 'node-name': node, 'snapshot-file': file, 'snapshot-node-name': 'theirs' },
          }),
        );
        const disks = on.vm.disks.map(({ device }) => ({ disk: device }));
        const saga = await on.engine.commit({ disks, active: true, strategy, ...on.tapped });
        const result = await saga.result;
        expect(on.tap.pending).toEqual([]);
        expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
        expect(result.error).toMatchObject({ code: 'FOREIGN', disk: 'dev1' });
        expect(result.error?.message).toMatch(
          strategy === 'reopen' ? /is mirrored from node/ : /has put theirs where/,
        );
        expect((await on.look()).fronts.map(({ chain }) => chain)).toEqual([first, [file, ...second]]);
        await endGuest(on);
        await expectSets(on, { front: imagesOf([first[0] ?? '', file]) });
      });
    },
  );
});
