/**
 * Images of the guest's own that lose their names while a saga works on them, and new ones that lose theirs behind the decision:
 * what can be seen in front of the decision is, and what is seen behind it is said, with the way out.
 */
import { copyFileSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { copyFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exitStatusOf } from '../../src/cli/print/exit-status.ts';
import { resultInWords } from '../../src/cli/print/summary.ts';
import type { Saga, SagaResult } from '../../src/index.ts';
import { disksOf, withChains } from './chained.ts';
import { describeOnQemu } from './real-qemu.ts';
import { unplug } from './unplug-table.ts';
import { withoutReopen } from './version-at-hand.ts';
import { explain, type Stage, stage } from './witnessed.ts';

const HARMS: readonly { readonly what: string; readonly harm: (file: string) => void }[] = [
  { what: 'removed', harm: file => rmSync(file) },
  { what: 'renamed', harm: file => renameSync(file, `${file}.moved`) },
  {
    what: 'replaced by a copy',
    harm(file) {
      copyFileSync(file, `${file}.copy`);
      renameSync(`${file}.copy`, file);
    },
  },
];

/** Does it as soon as the saga enters the state. */
function at(saga: Saga, state: string, act: () => void): void {
  let isDone = false;
  saga.subscribe(notice => {
    if (isDone || notice.type !== 'event' || !notice.state.endsWith(`.${state}`)) return;
    isDone = true;
    act();
  });
}

async function expectWentBack(on: Stage, result: SagaResult, file: string): Promise<void> {
  expect(result, explain(result)).toMatchObject({
    outcome: 'rolledBack',
    error: { code: 'FOREIGN', disk: 'dev1' },
    misnamed: [{ disk: 'dev1', file }],
  });
  const now = await on.look();
  expect(now.fronts).toEqual(on.before.fronts);
  expect(now.status).toBe('running');
}

describeOnQemu('images of the guest that lose their names', () => {
  test.for(HARMS)('a snapshot over an image that is $what meanwhile goes back', async ({ harm }) => {
    await using on = await stage({ disks: 2, guest: 'idle' });
    const file = on.before.fronts[1]?.chain[0] ?? '';
    const saga = await on.engine.snapshot({ ...on.snapshotAll(), ...on.tapped });
    at(saga, 'takeSnapshot', () => harm(file));
    await expectWentBack(on, await saga.result, file);
  });

  test.for(HARMS)('a pull from a chain whose base is $what meanwhile goes back', async ({ harm }) => {
    await using on = await withChains(await stage({ disks: 2 }), 2);
    const base = on.chains[1]?.at(-1) ?? '';
    const disks = disksOf(on, index => ({ base: on.chains[index]?.at(-1) ?? '' }));
    const saga = await on.engine.pull({ disks, ...on.tapped });
    at(saga, 'rewriteChains', () => harm(base));
    const result = await saga.result;
    expect(result, explain(result)).toMatchObject({
      outcome: 'rolledBack',
      error: { code: 'FOREIGN', disk: 'dev1' },
      misnamed: [{ disk: 'dev1', file: base }],
    });
  });

  test('a snapshot over an image that was replaced before is refused', async () => {
    await using on = await stage({ disks: 2, guest: 'idle' });
    const file = on.before.fronts[1]?.chain[0] ?? '';
    await copyFile(file, `${file}.copy`);
    await rename(`${file}.copy`, file);
    await expect(on.engine.snapshot(on.snapshotAll())).rejects.toMatchObject({
      code: 'FOREIGN',
      disk: 'dev1',
    });
  });

  test.each([
    ['as it was', 'another file than the one that QEMU had open when this saga was planned'],
    ['replaced once more', 'a file that could not be proved to be the one that QEMU had open'],
  ])(
    'that a disk was on which leaves are told of where its name led elsewhere before: %s',
    async (then, found) => {
      await using on = await stage({ disks: 2, guest: 'idle', bus: 'scsi-hd', style: 'drive' });
      const file = on.before.fronts[1]?.chain[0] ?? '';
      copyFileSync(file, `${file}.copy`);
      renameSync(`${file}.copy`, file);
      const saga = await on.engine.copy({ ...on.copyAll(), finish: 'leave' });
      expect((await saga.result).outcome).toBe('ready');
      if (then !== 'as it was') copyFileSync(file, `${file}.copy`);
      if (then !== 'as it was') renameSync(`${file}.copy`, file);
      await unplug(on, 'dev1');
      const result = await saga.ended;
      expect(result, explain(result)).toMatchObject({
        outcome: 'rolledBack',
        error: { code: 'DISK_UNPLUGGED' },
        misnamed: [{ disk: 'dev1', file, found: expect.stringContaining(found), unplugged: true }],
      });
    },
  );

  test('a rollback into an image whose name leads to another file writes nothing there, and goes on once it is back', async ({
    skip,
  }) => {
    await using on = await stage({ disks: 2 });
    const missing = await withoutReopen(on);
    skip(missing !== '', missing);
    const file = on.before.fronts[1]?.chain[0] ?? '';
    const request = on.snapshotAll(index => ({ mirror: join(on.directory, `mirror${index}.qcow2`) }));
    const saga = await on.engine.snapshot(request);
    expect((await saga.result).outcome).toBe('ready');
    await rename(file, `${file}.moved`);
    await copyFile(`${file}.moved`, file);
    const theirs = readFileSync(file);
    const stopped = await saga.abort();
    expect(stopped, explain(stopped)).toMatchObject({ outcome: 'needsRecovery' });
    expect((await on.look()).status).toBe('running');
    expect(readFileSync(file).equals(theirs)).toBe(true);
    await rename(`${file}.moved`, file);
    const result = await (await on.engine.resume(saga.id)).result;
    expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect(result.misnamed).toBeUndefined();
  });
});

describeOnQemu('new images that lose their names behind the decision', () => {
  test.for(HARMS)('a copy whose image is $what then says so, and is copied away', async ({ harm }) => {
    await using on = await stage({ disks: 2 });
    const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped });
    at(saga, 'closeOldNodes', () => harm(on.newFile(1)));
    const result = await saga.result;
    expect(result, explain(result)).toMatchObject({
      outcome: 'committed',
      misnamed: [{ disk: 'dev1', file: on.newFile(1) }],
    });
    expect(exitStatusOf(result, 'pivot')).toBe(4);
    expect(resultInWords(result).join('\n')).toContain(`under the name ${on.newFile(1)} there is now`);
    const away = join(on.directory, 'away.qcow2');
    const saved = await on.engine.copy({ ...on.copyAll(), disks: [{ disk: 'dev1', to: away }] });
    expect(await saved.result).toMatchObject({ outcome: 'committed', error: null });
    expect((await saved.result).misnamed).toBeUndefined();
    expect((await on.look()).fronts[1]?.chain[0]).toBe(away);
  });

  test('what a commit was to remove stays while the image that it was merged into is not found', async () => {
    await using on = await withChains(await stage({ disks: 2 }), 1);
    const base = on.chains[1]?.at(-1) ?? '';
    const disks = disksOf(on, () => ({}));
    const request = { disks, active: true, delete: true, maxBlackoutMs: 30_000 } as const;
    const saga = await on.engine.commit({ ...request, ...on.tapped });
    at(saga, 'closeOldNodes', () => rmSync(base));
    const result = await saga.result;
    expect(result, explain(result)).toMatchObject({
      outcome: 'committed',
      misnamed: [{ disk: 'dev1', file: base }],
      notRemoved: [on.chains[1]?.[0]],
    });
    await rm(on.chains[1]?.[0] ?? '');
  });
});
