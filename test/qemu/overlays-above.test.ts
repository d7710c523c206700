/**
 * A third party's overlay stands above an image of a saga when its QEMU is killed: what the guest wrote last is on it alone. Real
 * QEMU, real images: an offline recovery asks, boots from it, and leaves alone what is none of the guest's.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, linkSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { checkCut, missingWrites, readCut } from '../../src/demo/ordered-cut.ts';
import { localImages } from '../../src/images/local-images.ts';
import { BlocksagaError, localFiles, recoverOffline, type SagaResult } from '../../src/index.ts';
import { diskNames, sagaToken } from '../../src/plan/names.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { SOME_WRITES } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';
import { type Stage, stage } from './witnessed.ts';

const ID = 'covered';
const OFFLINE = { files: localFiles, qemu: 'dead' } as const;

/** `blockdev-snapshot-sync` by another client, some writes of the guest's, and QEMU's death. */
async function coverAndKill(on: Stage, node: string, file: string): Promise<void> {
  await on.vm.witness.execute('blockdev-snapshot-sync', {
    'node-name': node,
    'snapshot-file': file,
    'snapshot-node-name': 'theirs',
  });
  await on.vm.awaitWrites(SOME_WRITES);
  await on.vm.kill();
}

/** The images that are named hold one moment of the guest's life, and it is the last one. */
async function expectNothingLost({ vm }: Stage, { boot }: SagaResult): Promise<void> {
  const cut = await readCut((boot ?? []).map(({ file }) => ({ file, format: 'qcow2' as const })));
  const verdict = checkCut(cut);
  expect(verdict, verdict.why).toMatchObject({ consistent: true });
  expect(missingWrites(cut, vm.acknowledged())).toEqual([]);
}

async function refusalOf(on: Stage): Promise<BlocksagaError> {
  const refusal = await recoverOffline(on.journal, ID, OFFLINE).catch((error: unknown) => error);
  expect.assert(refusal instanceof BlocksagaError, JSON.stringify(refusal));
  return refusal;
}

describeOnQemu("a third party's overlay when QEMU is killed", () => {
  const SAGAS = [
    {
      what: 'a copy behind its decision',
      over: (on: Stage) => on.newFile(1),
      begin: (on: Stage, file: string) => {
        on.tap.after('cont', () => coverAndKill(on, diskNames(sagaToken(ID), 1).image, file));
        return on.engine.copy({ ...on.copyAll(), ...on.tapped, id: ID });
      },
      outcome: 'committed',
    },
    {
      what: 'a copy before its decision',
      over: (on: Stage) => on.vm.disks[1]?.file ?? '',
      begin: (on: Stage, file: string) => {
        on.tap.before('blockdev-mirror', () => coverAndKill(on, 'disk1', file));
        return on.engine.copy({ ...on.copyAll(), ...on.tapped, id: ID });
      },
      outcome: 'rolledBack',
    },
    {
      what: 'a snapshot behind its decision',
      over: (on: Stage) => on.newFile(1),
      begin: (on: Stage, file: string) => {
        on.tap.after('transaction', () => coverAndKill(on, diskNames(sagaToken(ID), 1).image, file));
        return on.engine.snapshot({ ...on.snapshotAll(), ...on.tapped, id: ID });
      },
      outcome: 'committed',
    },
  ];

  // At the same time: a client waits for a while for a QEMU that has died.
  test.concurrent.each(SAGAS)(
    '$what is asked about it, and booted from it',
    async ({ over, begin, outcome }) => {
      await using on = await stage({ disks: 2, journal: 'memory' });
      const theirs = join(on.directory, 'theirs.qcow2');
      const saga = await begin(on, theirs);
      expect(await saga.result).toMatchObject({ outcome: 'needsRecovery' });
      expect(on.tap.pending).toEqual([]);

      const refusal = await refusalOf(on);
      expect(refusal).toMatchObject({ code: 'JOURNAL_BEHIND', disk: on.vm.disks[1]?.device });
      expect(refusal.message).toContain(`${theirs} stands above ${over(on)}`);
      expect(existsSync(over(on))).toBe(true);

      const result = await recoverOffline(on.journal, ID, { ...OFFLINE, ranOn: [theirs] });
      expect(result).toMatchObject({ outcome, leftovers: [] });
      expect(result.boot?.[1]).toMatchObject({ file: theirs, format: 'qcow2' });
      expect(result.disks[1]?.after?.chain.slice(0, 2)).toEqual([theirs, over(on)]);
      await expectNothingLost(on, result);
      expect(await recoverOffline(on.journal, ID, OFFLINE)).toEqual(result);
    },
  );

  test.concurrent('on the old image of a snapshot that QEMU never took has the other disks boot from theirs', async () => {
    await using on = await stage({ disks: 2, journal: 'memory' });
    const theirs = join(on.directory, 'theirs.qcow2');
    on.tap.before('transaction', () => coverAndKill(on, 'disk1', theirs));
    const saga = await on.engine.snapshot({ ...on.snapshotAll(), ...on.tapped, id: ID });
    expect(await saga.result).toMatchObject({ outcome: 'needsRecovery' });
    const other = recoverOffline(on.journal, ID, { ...OFFLINE, ranOn: [theirs] });
    await expect(other).rejects.toMatchObject({
      code: 'JOURNAL_BEHIND',
      message: expect.stringContaining('"--front old"'),
    });
    const result = await recoverOffline(on.journal, ID, { ...OFFLINE, ranOn: [theirs], front: 'old' });
    expect(result).toMatchObject({ outcome: 'rolledBack' });
    expect(result.boot?.map(({ file }) => file)).toEqual([on.vm.disks[0]?.file, theirs]);
    await expectNothingLost(on, result);
  });

  test.concurrent('is left alone, with what it stands on, where the guest did not run on it last', async () => {
    await using on = await stage({ disks: 2, journal: 'memory' });
    on.tap.after('blockdev-mirror', () => on.vm.kill(), 1);
    const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, id: ID });
    expect(await saga.result).toMatchObject({ outcome: 'needsRecovery' });
    const olds = on.vm.disks.map(({ file }) => file);
    // What a backup keeps beside a disk, one that holds nothing, and one on the unfinished copy.
    const [scratch, empty, second] = ['scratch', 'empty', 'second'].map(name => join(on.directory, name));
    expect.assert(scratch !== undefined && empty !== undefined && second !== undefined);
    for (const [file, base = ''] of [
      [scratch, olds[0]],
      [empty, olds[0]],
      [second, on.newFile(1)],
    ] as const)
      execFileSync('qemu-img', ['create', '-q', '-u', '-f', 'qcow2', '-b', base, '-F', 'qcow2', file, '16M']);
    for (const file of [scratch, second])
      execFileSync('qemu-io', ['-f', 'qcow2', '-c', 'write -P 7 8M 64k', file], { stdio: 'ignore' });
    const refusal = await refusalOf(on);
    expect(refusal.message).toContain(`${scratch} stands above ${olds[0]}`);
    expect(refusal.message).toContain(`${second} stands above ${on.newFile(1)}`);
    expect(refusal.message).not.toContain(empty);

    const before = [scratch, second, on.newFile(1)].map(file => readFileSync(file));
    const result = await recoverOffline(on.journal, ID, { ...OFFLINE, notOn: [scratch, second] });
    expect(result).toMatchObject({ outcome: 'rolledBack' });
    expect(result.boot?.map(({ file }) => file)).toEqual(olds);
    const told = result.leftovers.map(words => words.split(' (')[0]);
    expect(told.toSorted()).toEqual([scratch, empty, second, on.newFile(1)].toSorted());
    expect([scratch, second, on.newFile(1)].map(file => readFileSync(file))).toEqual(before);
    expect(existsSync(on.newFile(0))).toBe(false);
    await expectNothingLost(on, result);
  });

  test.concurrent('goes along where a snapshot is moved back, and is found in another directory where it is named', async () => {
    await using on = await stage({ disks: 2, journal: 'memory' });
    const elsewhere = join(on.directory, 'elsewhere');
    mkdirSync(elsewhere);
    const theirs = join(elsewhere, 'theirs.qcow2');
    on.tap.after('transaction', () => coverAndKill(on, diskNames(sagaToken(ID), 1).image, theirs));
    const saga = await on.engine.snapshot({ ...on.snapshotAll(), ...on.tapped, id: ID });
    expect(await saga.result).toMatchObject({ outcome: 'needsRecovery' });
    const none = recoverOffline(on.journal, ID, { ...OFFLINE, back: true, ranOn: [`${theirs}x`] });
    await expect(none).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    const result = await recoverOffline(on.journal, ID, { ...OFFLINE, back: true, ranOn: [theirs] });
    expect(result.boot?.map(({ file }) => file)).toEqual(on.vm.disks.map(({ file }) => file));
    await expectNothingLost(on, result);
    expect(result.leftovers.map(words => words.split(' (')[0])).toEqual([on.newFile(1), theirs]);
  });
});

describeOnQemu('overlays in a directory', () => {
  const create = (...args: readonly string[]) => execFileSync('qemu-img', ['create', '-q', ...args]);

  test('are found by their headers alone, relative names and descriptions of nodes too, and never through a link', async () => {
    const directory = temporaryFolder();
    const at = (name: string) => join(directory, name);
    create('-f', 'qcow2', at('base'), '1M');
    create('-f', 'raw', at('raw'), '1M');
    create('-f', 'qcow2', '-b', at('base'), '-F', 'qcow2', at('absolute'));
    create('-f', 'qcow2', '-o', 'compat=0.10', '-b', 'base', '-F', 'qcow2', at('relative'));
    const nodes = { driver: 'qcow2', file: { driver: 'file', filename: at('base') } };
    create('-f', 'qcow2', '-u', '-b', `json:${JSON.stringify(nodes)}`, '-F', 'qcow2', at('nodes'), '1M');
    create('-f', 'qcow2', '-o', `data_file=${at('data')}`, '-b', at('base'), '-F', 'qcow2', at('apart'));
    const elsewhere = join(temporaryFolder(), 'elsewhere');
    copyFileSync(at('absolute'), elsewhere);
    symlinkSync(elsewhere, at('link'));
    linkSync(at('absolute'), at('second name'));
    mkdirSync(at('sub'));
    copyFileSync(at('absolute'), at('sub/below'));
    const { overlays = [], unseen } = (await localImages.overlaysIn?.(directory, 0)) ?? {};
    expect(unseen).toBe(null);
    expect(overlays.map(({ file }) => basename(file))).toEqual([
      ...['absolute', 'apart', 'nodes', 'relative', 'second name'],
    ]);
    expect(overlays.map(({ backing }) => backing)).toEqual(overlays.map(() => [at('base')]));
    expect(overlays.flatMap(({ file, hasDataFile }) => (hasDataFile ? [file] : []))).toEqual([at('apart')]);
    const later = await localImages.overlaysIn?.(directory, Date.now() + 60_000);
    expect(later).toEqual({ overlays: [], unseen: null });
    expect(await localImages.overlaysIn?.(at('gone'), 0)).toEqual({ overlays: [], unseen: null });
  });
});
