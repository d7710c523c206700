/**
 * Dirty bitmaps of a real QEMU go along when disks move, so that a chain of incremental backups survives: a full backup, a
 * move, an incremental one by the bitmap that came along, and what both hold is what the guest reads.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import type { BlockDeviceInfo } from '../../src/qmp/schema.generated.ts';
import { turns } from '../tiers/tier.ts';
import { SOME_WRITES } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';
import { withoutReopen } from './version-at-hand.ts';
import { type Stage, stage } from './witnessed.ts';

type Asked = Record<string, unknown>;

async function bitmapsOf({ vm }: Stage, node: string) {
  const nodes = (await vm.witness.execute('query-named-block-nodes', {
    flat: true,
  })) as readonly BlockDeviceInfo[];
  const found = nodes.find(each => each['node-name'] === node)?.['dirty-bitmaps'] ?? [];
  return found
    .filter(({ name }) => name !== undefined)
    .map(({ name, granularity, persistent, recording }) => ({ name, granularity, persistent, recording }))
    .sort((a, b) => String(a.name).localeCompare(String(b.name)));
}

async function frontOf({ vm }: Stage, index: number): Promise<string> {
  const blocks = (await vm.witness.execute('query-block')) as readonly {
    readonly qdev?: string;
    readonly inserted?: { readonly 'node-name': string };
  }[];
  const device = vm.disks[index]?.device ?? '';
  return blocks.find(({ qdev }) => qdev?.split('/').includes(device))?.inserted?.['node-name'] ?? '';
}

/** A backup of one disk into a new image, on the last one for an incremental backup. */
async function backUp(on: Stage, node: string, file: string, more: Asked, below?: string): Promise<void> {
  const { witness } = on.vm;
  const base = below === undefined ? [] : ['-b', below, '-F', 'qcow2'];
  await qemuImg('create', '-q', '-f', 'qcow2', ...base, file, '16M');
  const driver = { driver: 'qcow2', file: { driver: 'file', filename: file } };
  await witness.execute('blockdev-add', { 'node-name': 'backup', ...driver, backing: null });
  await witness.execute('blockdev-backup', {
    ...{ 'job-id': 'backup', device: node, target: 'backup', 'auto-dismiss': false },
    ...more,
  });
  await expect
    .poll(async () => ((await witness.execute('query-jobs')) as readonly Asked[])[0]?.['status'], {
      timeout: 30_000,
    })
    .toBe('concluded');
  expect(((await witness.execute('query-jobs')) as readonly Asked[])[0]?.['error']).toBe(undefined);
  await witness.execute('job-dismiss', { id: 'backup' });
  await witness.execute('blockdev-del', { 'node-name': 'backup' });
}

/** A full backup of the second disk, from which on a bitmap records, and two other bitmaps. */
async function beginChain(on: Stage, format: string): Promise<string> {
  const { witness } = on.vm;
  const node = await frontOf(on, 1);
  const full = join(on.directory, 'full.qcow2');
  const persistent = format === 'qcow2';
  await witness.execute('stop');
  await backUp(on, node, full, { sync: 'full' });
  await witness.execute('block-dirty-bitmap-add', { node, name: 'chain', persistent });
  await witness.execute('block-dirty-bitmap-add', { node, name: 'fine', granularity: 4096 });
  await witness.execute('block-dirty-bitmap-add', { node, name: 'off', persistent, disabled: true });
  await witness.execute('cont');
  await on.vm.awaitWrites(SOME_WRITES);
  return full;
}

/** Backs up what the bitmap has recorded, and reads both backups as one. */
async function expectChain(on: Stage, full: string, name: string): Promise<void> {
  const { witness } = on.vm;
  await on.vm.awaitWrites(SOME_WRITES);
  await witness.execute('stop');
  const node = await frontOf(on, 1);
  const last = join(on.directory, `${name}.qcow2`);
  await backUp(on, node, last, { sync: 'incremental', bitmap: name }, full);
  const blocks = (await witness.execute('query-named-block-nodes', {
    flat: true,
  })) as readonly BlockDeviceInfo[];
  const front = blocks.find(each => each['node-name'] === node);
  // Throws where they differ.
  await qemuImg('compare', '-U', '-f', front?.drv ?? '', '-F', 'qcow2', front?.file ?? '', last);
  await witness.execute('cont');
}

const STRATEGIES = ['reopen', 'finalize', 'complete'] as const;

const inTurn = turns();

describeOnQemu('dirty bitmaps', () => {
  test.for(inTurn(STRATEGIES))(
    'go along with a copy, with what they have recorded: %s',
    async (strategy, { skip }) => {
      await using on = await stage({ disks: 2, format: 'qcow2' });
      const lacks = strategy === 'reopen' ? await withoutReopen(on) : '';
      skip(lacks !== '', lacks);
      const full = await beginChain(on, 'qcow2');
      const before = await bitmapsOf(on, await frontOf(on, 1));
      expect(before.map(({ name }) => name)).toEqual(['chain', 'fine', 'off']);
      const result = await (await on.engine.copy({ ...on.copyAll(), strategy })).result;
      expect(result).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
      expect(result).not.toHaveProperty('losses');
      expect(await bitmapsOf(on, await frontOf(on, 1))).toEqual(before);
      expect(await bitmapsOf(on, await frontOf(on, 0))).toEqual([]);
      await expectChain(on, full, 'chain');
      await expectChain(on, full, 'fine');
    },
  );

  test.for(inTurn(['iothreads', 'scsi-hd']))('go along in a guest with %s', async what => {
    const guest = what === 'iothreads' ? { iothreads: true } : { bus: 'scsi-hd' as const };
    await using on = await stage({ disks: 2, format: 'qcow2', ...guest });
    const full = await beginChain(on, 'qcow2');
    const result = await (await on.engine.copy(on.copyAll())).result;
    expect(result).toMatchObject({ outcome: 'committed', error: null });
    await expectChain(on, full, 'chain');
  });

  test('of a whole chain become one in a full copy, and go down with a commit', async () => {
    await using on = await stage({ disks: 2, format: 'qcow2' });
    const full = await beginChain(on, 'qcow2');
    const overlays = on.snapshotAll(index => ({ overlay: join(on.directory, `over${index}.qcow2`) }));
    expect(await (await on.engine.snapshot(overlays)).result).toMatchObject({ outcome: 'committed' });
    // Those that record go on in the overlays, persistent or not.
    expect((await bitmapsOf(on, await frontOf(on, 1))).map(({ name }) => name)).toEqual(['chain', 'fine']);
    await on.vm.awaitWrites(SOME_WRITES);
    const copied = await (await on.engine.copy(on.copyAll())).result;
    expect(copied).toMatchObject({ outcome: 'committed', error: null });
    await expectChain(on, full, 'chain');
    const again = on.snapshotAll(index => ({ overlay: join(on.directory, `again${index}.qcow2`) }));
    expect(await (await on.engine.snapshot(again)).result).toMatchObject({ outcome: 'committed' });
    const { disks: _, ...basics } = on.copyAll();
    const disks = on.vm.disks.map(({ device }) => ({ disk: device }));
    const merged = await (await on.engine.commit({ ...basics, disks, active: true })).result;
    expect(merged).toMatchObject({ outcome: 'committed', error: null });
    await expectChain(on, full, 'fine');
  });

  test('of a raw image go along into a qcow2 one', async () => {
    await using on = await stage({ disks: 2, format: 'raw' });
    const full = await beginChain(on, 'raw');
    const result = await (await on.engine.copy(on.copyAll(() => ({ format: 'qcow2' })))).result;
    expect(result).toMatchObject({ outcome: 'committed', error: null });
    await expectChain(on, full, 'chain');
  });

  test('that a raw image has no room for are in memory then, and the result says so', async () => {
    await using on = await stage({ disks: 2, format: 'qcow2' });
    const full = await beginChain(on, 'qcow2');
    const result = await (await on.engine.copy(on.copyAll(() => ({ format: 'raw' })))).result;
    expect(result).toMatchObject({ outcome: 'committed', error: null });
    expect(result.losses).toEqual([expect.stringContaining('"chain"')]);
    expect((await bitmapsOf(on, await frontOf(on, 1))).map(({ persistent }) => persistent)).toEqual([
      false,
      false,
      false,
    ]);
    await expectChain(on, full, 'chain');
  });

  test('stay with their disks when a copy is rolled back, and none is left in an image that was there', async ({
    skip,
  }) => {
    await using on = await stage({ disks: 2, format: 'qcow2' });
    const lacks = await withoutReopen(on);
    skip(lacks !== '', lacks);
    const full = await beginChain(on, 'qcow2');
    const request = on.copyAll(() => ({ reuse: true }));
    for (const { to } of request.disks) await qemuImg('create', '-q', '-f', 'qcow2', to, '16M');
    const before = await bitmapsOf(on, await frontOf(on, 1));
    on.tap.before('blockdev-reopen', () => on.spoil(on.newFile(0)));
    on.tap.before('blockdev-del', () => on.unspoil());
    const result = await (await on.engine.copy({ ...request, ...on.tapped, strategy: 'reopen' })).result;
    expect(result).toMatchObject({ outcome: 'rolledBack', error: { step: 'reopenFilters' } });
    expect(on.tap.commands).toContain('block-dirty-bitmap-remove');
    expect(on.tap.pending).toEqual([]);
    expect(await bitmapsOf(on, await frontOf(on, 1))).toEqual(before);
    await expectChain(on, full, 'chain');
    for (const { to } of request.disks)
      expect(await qemuImg('info', '--output=json', to)).not.toContain('"chain"');
  });

  test.for(inTurn(STRATEGIES))(
    'that a third party changes in the pause cost the others nothing: %s',
    async (strategy, { skip }) => {
      await using on = await stage({ disks: 2, format: 'qcow2' });
      const lacks = strategy === 'reopen' ? await withoutReopen(on) : '';
      skip(lacks !== '', lacks);
      const full = await beginChain(on, 'qcow2');
      const node = await frontOf(on, 1);
      on.tap.before('transaction', async () => {
        await on.vm.witness.execute('block-dirty-bitmap-remove', { node, name: 'fine' });
        await on.vm.witness.execute('block-dirty-bitmap-add', { node: await frontOf(on, 0), name: 'late' });
      });
      const result = await (await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy })).result;
      expect(result).toMatchObject({ outcome: 'committed', error: null });
      expect((await bitmapsOf(on, await frontOf(on, 0))).map(({ name }) => name)).toEqual(['late']);
      expect((await bitmapsOf(on, await frontOf(on, 1))).map(({ name }) => name)).toEqual(['chain', 'off']);
      await expectChain(on, full, 'chain');
    },
  );

  test('that came too late to go along are named in the result', async () => {
    await using on = await stage({ disks: 2, format: 'qcow2' });
    await beginChain(on, 'qcow2');
    const node = await frontOf(on, 0);
    on.tap.after('stop', () => on.vm.witness.execute('block-dirty-bitmap-add', { node, name: 'late' }));
    const result = await (await on.engine.copy({ ...on.copyAll(), ...on.tapped })).result;
    expect(result).toMatchObject({ outcome: 'committed', error: null });
    expect(result.losses).toEqual([expect.stringMatching(/disk dev0: .*"late"/)]);
  });

  test.for(inTurn(['transaction', 'block-job-cancel']))(
    'go along when the line is cut behind %s in the pause',
    async (command, { skip }) => {
      await using on = await stage({ disks: 2, format: 'qcow2' });
      const lacks = await withoutReopen(on);
      skip(lacks !== '', lacks);
      const full = await beginChain(on, 'qcow2');
      on.tap.after(command, async () => on.tap.cut());
      const result = await (await on.engine.copy({ ...on.copyAll(), ...on.tapped })).result;
      expect(on.tap.pending).toEqual([]);
      expect(['committed', 'rolledBack']).toContain(result.outcome);
      expect((await bitmapsOf(on, await frontOf(on, 1))).map(({ name }) => name)).toEqual([
        'chain',
        'fine',
        'off',
      ]);
      await expectChain(on, full, 'chain');
    },
  );
});
