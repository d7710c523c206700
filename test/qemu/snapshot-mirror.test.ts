/** Snapshots whose overlays are mirrored, on a real QEMU with a guest that writes in order: taken, switched, kept, taken back. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fetchedQemus, type QemuVersion } from '../../scripts/qemu-versions.ts';
import type { SagaResult } from '../../src/index.ts';
import { byOne, turns } from '../tiers/tier.ts';
import { onEachVersion } from './each-version.ts';
import { filtersOf, LAYOUTS } from './filtered.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectSets, expectTakenBack, explain, imagesOf, oldImages, type Stage, stage } from './witnessed.ts';

const STRATEGIES = ['reopen', 'finalize', 'complete'] as const;

const mirrorFile = (on: Stage, index: number) => join(on.directory, `mirror${index}.qcow2`);
const copyFile = (on: Stage, index: number) => join(on.directory, `copy${index}.qcow2`);
const overlays = (on: Stage) => on.vm.disks.map((_, index) => on.newFile(index));
const mirrors = (on: Stage) => on.vm.disks.map((_, index) => mirrorFile(on, index));
const mirrorAll = (on: Stage, mirrorReuse = false) =>
  on.snapshotAll(index => ({ mirror: mirrorFile(on, index), ...(mirrorReuse ? { mirrorReuse } : {}) }));

/** Empty images on copies of the bases that are not made yet. */
function makeTargets(on: Stage): void {
  on.vm.disks.forEach((_, index) => {
    const size = String(16 * 1024 * 1024);
    const backing = ['-u', '-b', copyFile(on, index), '-F', on.vm.disks[index]?.format ?? ''];
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...backing, mirrorFile(on, index), size]);
  });
}

/** The disks are on these images, all of the saga but those files is gone, and the guest lost nothing. */
async function expectOn(on: Stage, result: SagaResult, fronts: readonly string[], made: readonly string[]) {
  expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
  const now = await on.look();
  expect(now.fronts.map(front => front.chain[0])).toEqual(fronts);
  expect([now.jobs, now.objects]).toEqual([on.before.jobs, on.before.objects]);
  const reached = new Set(now.fronts.flatMap(front => front.chain));
  expect(now.nodes.filter(node => !reached.has(node.file))).toEqual([]);
  expect(now.files).toEqual([...on.before.files, ...made].sort());
  expect(now.status).toBe('running');
  await on.vm.awaitWrites(6);
  await on.vm.kill();
  await expectSets(on, { front: imagesOf(fronts) });
}

const inTurn = turns();

describeOnQemu('a snapshot with mirrors', () => {
  test.each(inTurn(STRATEGIES))('is switched onto them: %s', async strategy => {
    await using on = await stage({ disks: 2 });
    const saga = await on.engine.snapshot({ ...mirrorAll(on), strategy });
    expect(await saga.result).toMatchObject({ outcome: 'ready' });
    expect((await on.look()).fronts.map(front => front.chain[0])).toEqual(overlays(on));
    await on.vm.awaitWrites(20);
    const result = await saga.pivot();
    expect((await on.look()).fronts.map(front => front.chain)).toEqual(
      on.vm.disks.map(({ file }, index) => [mirrorFile(on, index), file]),
    );
    expect(result.leftovers).toEqual(overlays(on));
    await expectOn(on, result, mirrors(on), [...overlays(on), ...mirrors(on)]);
    await expectSets(on, { front: imagesOf(mirrors(on)), behind: imagesOf(overlays(on)) });
    await expectSets(on, { front: imagesOf(mirrors(on)), behind: oldImages(on) });
  });

  test('stays without them when that is asked', async () => {
    await using on = await stage({ disks: 2 });
    const saga = await on.engine.snapshot(mirrorAll(on));
    expect(await saga.result).toMatchObject({ outcome: 'ready' });
    await on.vm.awaitWrites(20);
    await expectOn(on, await saga.keepSnapshot(), overlays(on), overlays(on));
  });

  test.each(inTurn(STRATEGIES))('is taken back with them: %s', async strategy => {
    await using on = await stage({ disks: 2 });
    const saga = await on.engine.snapshot({ ...mirrorAll(on), strategy });
    expect(await saga.result).toMatchObject({ outcome: 'ready' });
    await on.vm.awaitWrites(20);
    await expectTakenBack(on, await saga.abort());
  });

  test.each(inTurn(STRATEGIES))('is switched onto chains that were copied meanwhile: %s', async strategy => {
    await using on = await stage({ disks: 2 });
    makeTargets(on);
    const saga = await on.engine.snapshot({ ...mirrorAll(on, true), strategy });
    expect(await saga.result).toMatchObject({ outcome: 'ready' });
    await on.vm.awaitWrites(10);
    for (const [index, { file }] of on.vm.disks.entries()) cpSync(file, copyFile(on, index));
    await on.vm.awaitWrites(10);
    const made = on.vm.disks.map((_, index) => copyFile(on, index));
    const result = await saga.pivot();
    expect((await on.look()).fronts.map(front => front.chain)).toEqual(
      on.vm.disks.map((_, index) => [mirrorFile(on, index), copyFile(on, index)]),
    );
    await expectOn(on, result, mirrors(on), [...overlays(on), ...mirrors(on), ...made]);
  });
});

describeOnQemu('a snapshot with mirrors below filters of the administrator', () => {
  test.each(inTurn(LAYOUTS))('is switched onto them below $what', async ({ what: _, ...guest }) => {
    await using on = await stage({ disks: 2, ...guest });
    const before = await filtersOf(on);
    const saga = await on.engine.snapshot(mirrorAll(on));
    const ready = await saga.result;
    expect(ready, explain(ready)).toMatchObject({ outcome: 'ready' });
    expect((await on.look()).fronts.map(front => front.chain[0])).toEqual(overlays(on));
    await on.vm.awaitWrites(10);
    const result = await saga.pivot();
    expect(await filtersOf(on), explain(result)).toEqual(before);
    await expectOn(on, result, mirrors(on), [...overlays(on), ...mirrors(on)]);
    await expectSets(on, { front: imagesOf(mirrors(on)), behind: oldImages(on) });
  });

  test.each(inTurn(LAYOUTS))('is taken back with them below $what', async ({ what: _, ...guest }) => {
    await using on = await stage({ disks: 2, ...guest });
    const before = await filtersOf(on);
    const saga = await on.engine.snapshot(mirrorAll(on));
    expect(await saga.result).toMatchObject({ outcome: 'ready' });
    await on.vm.awaitWrites(10);
    const result = await saga.abort();
    expect(await filtersOf(on), explain(result)).toEqual(before);
    await expectTakenBack(on, result);
  });

  test.each(inTurn(LAYOUTS))(
    'is switched onto chains that were copied meanwhile, below $what',
    async ({ what: _, ...guest }) => {
      await using on = await stage({ disks: 2, ...guest });
      const before = await filtersOf(on);
      makeTargets(on);
      const saga = await on.engine.snapshot(mirrorAll(on, true));
      const ready = await saga.result;
      expect(ready, explain(ready)).toMatchObject({ outcome: 'ready' });
      for (const [index, { file }] of on.vm.disks.entries()) cpSync(file, copyFile(on, index));
      await on.vm.awaitWrites(10);
      const made = on.vm.disks.map((_, index) => copyFile(on, index));
      const result = await saga.pivot();
      expect(await filtersOf(on), explain(result)).toEqual(before);
      await expectOn(on, result, mirrors(on), [...overlays(on), ...mirrors(on), ...made]);
    },
  );
});

const TOO_EARLY =
  'is taken back without a write lost where a third party switches a disk before its chain is copied';
const SWITCHED = 'is switched onto chains that were copied meanwhile, with disks in iothreads';
const ENDED = 'stays without them, or is taken back with them';

const versions = fetchedQemus().map(({ version }) => version);
const onOne = byOne(versions);

describe('a snapshot with mirrors, by version', () => {
  onEachVersion((qemu, version) => onVersion(version, qemu));
});

function onVersion(version: QemuVersion, qemu: string): void {
  const suite = `on QEMU ${version}`;
  const played = [SWITCHED, ENDED, TOO_EARLY].filter(what => onOne(version, what));
  test.each(played.filter(what => what === SWITCHED))(`${suite} %s`, async () => {
    await using on = await stage({ disks: 2, qemu, iothreads: true });
    makeTargets(on);
    const saga = await on.engine.snapshot(mirrorAll(on, true));
    const first = await saga.result;
    expect(first, explain(first)).toMatchObject({ outcome: 'ready' });
    for (const [index, { file }] of on.vm.disks.entries()) cpSync(file, copyFile(on, index));
    await on.vm.awaitWrites(10);
    const made = on.vm.disks.map((_, index) => copyFile(on, index));
    await expectOn(on, await saga.pivot(), mirrors(on), [...overlays(on), ...mirrors(on), ...made]);
  });

  test.each(played.filter(what => what === TOO_EARLY))(`${suite} %s`, async () => {
    await using on = await stage({ disks: 2, qemu });
    makeTargets(on);
    const saga = await on.engine.snapshot({ ...mirrorAll(on, true), strategy: 'complete' });
    expect(await saga.result).toMatchObject({ outcome: 'ready' });
    await on.vm.awaitWrites(10);
    const jobs = (await on.vm.witness.execute('query-jobs')) as readonly { readonly id: string }[];
    await on.vm.witness.execute('job-complete', { id: jobs[0]?.id });
    const result = await saga.ended;
    if (version !== '5.2') {
      await expectTakenBack(on, result, { files: mirrors(on) });
      return;
    }
    // It exchanges no image below a node: what the guest has written is on the target alone.
    expect(result, explain(result)).toMatchObject({ outcome: 'needsRecovery' });
    expect(result.error?.message).toContain('keep both files');
    for (const file of [...overlays(on), ...mirrors(on)]) expect(existsSync(file), file).toBe(true);
  });

  test.each(played.filter(what => what === ENDED))(`${suite} %s`, async () => {
    await using on = await stage({ disks: 2, qemu });
    const taken = await on.engine.snapshot(mirrorAll(on));
    expect(await taken.result).toMatchObject({ outcome: 'ready' });
    const back = await taken.abort();
    expect(back, explain(back)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    const saga = await on.engine.snapshot(mirrorAll(on));
    expect(await saga.result).toMatchObject({ outcome: 'ready' });
    await on.vm.awaitWrites(10);
    await expectOn(on, await saga.keepSnapshot(), overlays(on), overlays(on));
  });
}
