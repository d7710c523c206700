/** What can be asked of a copy besides where it goes: chains, formats, speed, how many at once, how long a pause. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BASE_DATA_BYTES, BASE_DATA_OFFSET, BASE_PATTERN } from '../../src/demo/guest-images.ts';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { eachValue, turns } from '../tiers/tier.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectSwitched, expectTakenBack, explain, type Stage, stage } from './witnessed.ts';

const STRATEGIES = ['reopen', 'finalize', 'complete'] as const;
const SIZE = '16M';
const inTurn = turns();

/** What the image of this file has below it, by its own header. */
async function backingOf(file: string): Promise<string | undefined> {
  const info = JSON.parse(await qemuImg('info', '--output=json', file)) as Record<string, string | undefined>;
  return info['full-backing-filename'];
}

/** Fails unless the whole data of the base image can be read through an image. */
async function expectBaseData(on: Stage, file: string, format = 'qcow2'): Promise<void> {
  const pattern = join(on.directory, 'pattern');
  const source = `driver=raw,offset=${BASE_DATA_OFFSET},size=${BASE_DATA_BYTES},file.driver=${format},file.file.filename=${file}`;
  await qemuImg('convert', '--image-opts', '-O', 'raw', source, pattern);
  expect((await readFile(pattern)).every(byte => byte === BASE_PATTERN)).toBe(true);
}

interface Watched {
  /** The most mirrors that were seen not ready at one moment. */
  readonly copyingMax: number;
  readonly speeds: ReadonlySet<number>;
}

/** Watches the block jobs through the witness until `ended`. */
async function watchMirrors({ vm }: Stage, ended: Promise<unknown>): Promise<Watched> {
  let over = false;
  void ended.then(() => {
    over = true;
  });
  let copyingMax = 0;
  const speeds = new Set<number>();
  while (!over) {
    const jobs = (await vm.witness.execute('query-block-jobs')) as readonly {
      readonly type: string;
      readonly ready: boolean;
      readonly status: string;
      readonly speed: number;
    }[];
    const mirrors = jobs.filter(job => job.type === 'mirror');
    for (const job of mirrors) speeds.add(job.speed);
    copyingMax = Math.max(copyingMax, mirrors.filter(job => job.status === 'running').length);
    await sleep(systemClock, 1);
  }
  return { copyingMax, speeds };
}

describeOnQemu('a copy', () => {
  test.each(
    eachValue(
      STRATEGIES.flatMap(strategy => (['blockdev', 'drive'] as const).map(style => ({ strategy, style }))),
    ),
  )('that is shallow stands on the old base: $strategy, -$style', async ({ strategy, style }) => {
    await using on = await stage({ disks: 2, backing: true, style });
    const result = await (await on.engine.copy({ ...on.copyAll(() => ({ shallow: true })), strategy }))
      .result;
    expect((await on.look()).fronts.map(front => front.chain)).toEqual(
      on.vm.disks.map((disk, index) => [on.newFile(index), disk.base]),
    );
    await expectSwitched(on, result);
    for (const [index, disk] of on.vm.disks.entries()) {
      expect(await backingOf(on.newFile(index))).toBe(disk.base);
      await expectBaseData(on, on.newFile(index));
    }
  });

  test.each(inTurn(STRATEGIES))('that is full holds the base too and stands alone: %s', async strategy => {
    await using on = await stage({ disks: 2, backing: true });
    const result = await (await on.engine.copy({ ...on.copyAll(), strategy })).result;
    expect((await on.look()).fronts.map(front => front.chain)).toEqual([[on.newFile(0)], [on.newFile(1)]]);
    await expectSwitched(on, result);
    for (const index of [0, 1]) {
      expect(await backingOf(on.newFile(index))).toBe(undefined);
      await expectBaseData(on, on.newFile(index));
    }
  });

  test('that is shallow is just a copy where there is no base', async () => {
    await using on = await stage({ disks: 2 });
    await expectSwitched(on, await (await on.engine.copy(on.copyAll(() => ({ shallow: true })))).result);
  });

  test('writes over a file that is to be reused', async () => {
    await using on = await stage({ disks: 2, backing: true });
    for (const index of [0, 1]) await qemuImg('create', '-q', '-f', 'qcow2', on.newFile(index), SIZE);
    const result = await (await on.engine.copy(on.copyAll(() => ({ reuse: true })))).result;
    await expectSwitched(on, result);
    for (const index of [0, 1]) await expectBaseData(on, on.newFile(index));
  });

  test.each([
    { how: 'by its absolute path', path: (_on: Stage, base: string) => base },
    { how: 'by a relative path', path: (_on: Stage, base: string) => base.slice(base.lastIndexOf('/') + 1) },
  ])('that reuses a shallow file stands on what its header names $how', async ({ path }) => {
    await using on = await stage({ disks: 2, backing: true });
    for (const [index, disk] of on.vm.disks.entries()) {
      const base = path(on, disk.base ?? '');
      await qemuImg('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', on.newFile(index), SIZE);
    }
    const result = await (await on.engine.copy(on.copyAll(() => ({ reuse: true, shallow: true })))).result;
    await expectSwitched(on, result);
    for (const index of [0, 1]) await expectBaseData(on, on.newFile(index));
  });

  test('that reuses a shallow file stands on a copy of the base where its header names one', async () => {
    await using on = await stage({ disks: 2, backing: true });
    const moved = (index: number) => join(on.directory, `moved-base${index}.qcow2`);
    for (const [index, disk] of on.vm.disks.entries()) {
      await qemuImg('convert', '-q', '-U', '-O', 'qcow2', disk.base ?? '', moved(index));
      await qemuImg(
        'create',
        '-q',
        '-f',
        'qcow2',
        '-b',
        moved(index),
        '-F',
        'qcow2',
        on.newFile(index),
        SIZE,
      );
    }
    const result = await (await on.engine.copy(on.copyAll(() => ({ reuse: true, shallow: true })))).result;
    expect((await on.look()).fronts.map(front => front.chain)).toEqual(
      [0, 1].map(index => [on.newFile(index), moved(index)]),
    );
    await expectSwitched(on, result, { files: [moved(0), moved(1)] });
    for (const index of [0, 1]) await expectBaseData(on, on.newFile(index));
  });

  test.each([
    { from: 'qcow2', to: 'raw', fields: { raw: true } },
    { from: 'raw', to: 'qcow2', fields: { format: 'qcow2' } },
    { from: 'raw', to: 'raw', fields: {} },
  ] as const)('goes from $from to $to', async ({ from, to, fields }) => {
    await using on = await stage({ disks: 2, format: from });
    const result = await (await on.engine.copy(on.copyAll(() => fields))).result;
    if (to === 'raw') expect((await stat(on.newFile(0))).size).toBe(16 * 1024 * 1024);
    await expectSwitched(on, result, { newFormat: to });
  });

  test.each(['none', 'unsafe'] as const)('keeps the cache mode of the disk: %s', async cache => {
    await using on = await stage({ disks: 1, cache });
    const cacheOf = async () => {
      const blocks = (await on.vm.witness.execute('query-block')) as readonly {
        readonly inserted?: { readonly cache: object };
      }[];
      return blocks.flatMap(block => block.inserted?.cache ?? []);
    };
    const before = await cacheOf();
    const result = await (await on.engine.copy(on.copyAll())).result;
    expect(await cacheOf()).toEqual(before);
    expect(result.outcome, explain(result)).toBe('committed');
  });

  test('with a bandwidth is held to it by QEMU, and can be aborted meanwhile', async () => {
    await using on = await stage({ disks: 2, backing: true });
    const bandwidth = 65_536;
    const saga = await on.engine.copy({ ...on.copyAll(), bandwidth, parallel: 2 });
    const watched = watchMirrors(on, saga.result);
    await sleep(systemClock, 1_500); // the base's data alone is worth 16 s
    const jobs = (await on.vm.witness.execute('query-jobs')) as readonly { readonly status: string }[];
    expect(jobs.map(job => job.status)).toEqual(['running', 'running']);
    const result = await saga.abort();
    expect([...(await watched).speeds]).toEqual([bandwidth]);
    await expectTakenBack(on, result);
  });

  test.each(inTurn([1, 2, 3]))('copies no more than %i disks at once', async parallel => {
    await using on = await stage({ disks: 4, backing: true });
    const saga = await on.engine.copy({ ...on.copyAll(), parallel, bandwidth: 4 * 1024 * 1024 });
    const { copyingMax } = await watchMirrors(on, saga.result);
    expect(copyingMax).toBe(parallel);
    await expectSwitched(on, await saga.result);
  });

  test.each(inTurn(STRATEGIES))(
    'takes granularity, buffer size and synchronous writes: %s',
    async strategy => {
      await using on = await stage({ disks: 2 });
      const tuning = { granularity: 4096, bufSize: 1024 * 1024, syncWrites: true };
      const saga = await on.engine.copy({ ...on.copyAll(), ...tuning, strategy, finish: 'leave' });
      expect((await saga.result).outcome).toBe('ready');
      const nodes = (await on.vm.witness.execute('query-named-block-nodes', { flat: true })) as readonly {
        readonly 'dirty-bitmaps'?: readonly { readonly granularity: number }[];
      }[];
      const granularities = nodes
        .flatMap(node => node['dirty-bitmaps'] ?? [])
        .map(bitmap => bitmap.granularity);
      expect(granularities).toEqual([4096, 4096]);
      await expectSwitched(on, await saga.pivot());
    },
  );

  test.each(inTurn(STRATEGIES))(
    'of a guest that writes faster than it follows backs off, tries again and loses nothing: %s',
    async strategy => {
      await using on = await stage({ disks: 2 });
      const { execute } = on.vm.witness;
      const forEachMirror = async (command: string) => {
        const jobs = (await execute('query-jobs')) as readonly { readonly id: string }[];
        for (const { id } of jobs) await execute(command, { id });
      };
      // Just before the pause the mirrors fall behind, and the guest's devices write what the pause has no time to copy.
      on.tap.before('stop', async () => {
        await forEachMirror('job-pause');
        for (const { device } of on.vm.disks) {
          const line = `qemu-io -d /machine/peripheral/${device}/virtio-backend "write -P 0x5a 8M 1M"`;
          expect(await execute('human-monitor-command', { 'command-line': line })).toBe('');
        }
      });
      on.tap.after('cont', () => forEachMirror('job-resume'));
      const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy, maxBlackoutMs: 100 });
      const states: string[] = [];
      saga.subscribe(notice => notice.type === 'event' && states.push(notice.state));
      const result = await saga.result;
      expect(states.filter(state => state === 'switching.backingOff')).toHaveLength(1);
      await expectSwitched(on, result);
    },
  );
});
