/** New images that are renamed, removed or replaced while a saga works: no decision is taken for names that lead elsewhere. */
import { copyFileSync, renameSync } from 'node:fs';
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { SagaResult } from '../../src/index.ts';
import { withChains } from './chained.ts';
import { describeOnQemu } from './real-qemu.ts';
import { withoutReopen } from './version-at-hand.ts';
import { explain, type Stage, stage } from './witnessed.ts';

const HARMS: readonly { readonly what: string; readonly harm: (file: string) => Promise<void> }[] = [
  { what: 'removed', harm: file => rm(file) },
  { what: 'renamed', harm: file => rename(file, `${file}.moved`) },
  {
    what: 'replaced by a copy',
    harm: async file => {
      await copyFile(file, `${file}.copy`);
      await rename(`${file}.copy`, file);
    },
  },
  { what: 'moved with its directory', harm: file => rename(dirname(file), `${dirname(file)}-moved`) },
];

/** All disks are on their old images, which run on, and the result tells of the name. */
async function expectWentBack(on: Stage, result: SagaResult, file: string): Promise<void> {
  expect(result, explain(result)).toMatchObject({
    outcome: 'rolledBack',
    error: { code: 'FOREIGN', disk: 'dev1' },
  });
  expect(result.error?.message).toContain(file);
  expect((await on.look()).fronts).toEqual(on.before.fronts);
  expect((await on.look()).status).toBe('running');
  expect(result.leftovers.join('\n')).toContain(file);
}

describeOnQemu('new images whose names lead elsewhere in front of the decision', () => {
  for (const strategy of ['reopen', 'finalize', 'complete'] as const) {
    test.for(HARMS)(
      `a copy by ${strategy} whose second image is $what goes back`,
      async ({ harm }, { skip }) => {
        await using on = await stage({ disks: 2, guest: 'idle' });
        const missing = strategy === 'reopen' ? await withoutReopen(on) : '';
        skip(missing !== '', missing);
        const there = join(on.directory, 'there');
        await mkdir(there);
        const to = (index: number) => join(there, `new${index}.qcow2`);
        const request = on.copyAll(index => (index === 1 ? { to: to(1) } : {}));
        const saga = await on.engine.copy({ ...request, strategy, finish: 'leave' });
        expect((await saga.result).outcome).toBe('ready');
        await harm(to(1));
        await expectWentBack(on, await saga.pivot(), to(1));
      },
    );
  }

  test('a copy onto an image that was there, replaced under it, goes back and leaves both', async () => {
    await using on = await stage({ disks: 2, guest: 'idle' });
    const first = await on.engine.copy({ ...on.copyAll(), finish: 'clone' });
    expect((await first.result).outcome).toBe('committed');
    const saga = await on.engine.copy({ ...on.copyAll(() => ({ reuse: true })), finish: 'leave' });
    const ready = await saga.result;
    expect(ready.outcome, explain(ready)).toBe('ready');
    const file = on.newFile(1);
    await copyFile(file, `${file}.copy`);
    await rename(file, `${file}.moved`);
    await rename(`${file}.copy`, file);
    const result = await saga.pivot();
    expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', error: { code: 'FOREIGN' } });
    expect(await readdir(on.directory)).toEqual(
      expect.arrayContaining([basename(file), `${basename(file)}.moved`]),
    );
  });

  test('a snapshot whose overlay is replaced in front of its transaction goes back', async () => {
    await using on = await stage({ disks: 2, guest: 'idle' });
    const saga = await on.engine.snapshot({ ...on.snapshotAll(), ...on.tapped });
    saga.subscribe(notice => {
      if (notice.type !== 'event' || !notice.state.endsWith('.takeSnapshot')) return;
      const file = on.newFile(1);
      copyFileSync(file, `${file}.copy`);
      renameSync(`${file}.copy`, file);
    });
    await expectWentBack(on, await saga.result, on.newFile(1));
  });

  test('a commit into a base that was renamed goes back', async () => {
    await using on = await withChains(await stage({ disks: 2 }), 1);
    const base = on.chains[1]?.at(-1) ?? '';
    const disks = on.vm.disks.map(({ device }) => ({ disk: device }));
    const request = {
      qmp: on.vm.monitor,
      disks,
      active: true,
      finish: 'leave',
      maxBlackoutMs: 30_000,
    } as const;
    const saga = await on.engine.commit(request);
    const first = await saga.result;
    expect(first.outcome, explain(first)).toBe('ready');
    await rename(base, `${base}.moved`);
    const result = await saga.pivot();
    expect(result.error, explain(result)).toMatchObject({ code: 'FOREIGN', disk: 'dev1' });
    expect((await on.look()).fronts.map(({ node }) => node)).toEqual(
      on.before.fronts.map(({ node }) => node),
    );
  });
});
