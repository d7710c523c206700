/**
 * Overlays of third parties that no QEMU has open, or that have left the guest with their disk: a saga that ends while QEMU lives removes
 * no image below one, and names it where its disk may have been on it. Real QEMU, real images.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { diskNames, sagaToken } from '../../src/plan/names.ts';
import { describeOnQemu } from './real-qemu.ts';
import { unplug } from './unplug-table.ts';
import { type Stage, stage } from './witnessed.ts';

function putOverlayOn(file: string, on: Stage, spell: Spelling): string {
  const overlay = join(on.directory, 'theirs.qcow2');
  const names = ['-b', spell(file), '-F', 'qcow2', overlay, '16M'];
  execFileSync('qemu-img', ['create', '-q', '-u', '-f', 'qcow2', ...names]);
  return overlay;
}

type Spelling = (file: string) => string;

const BY_NAME: Spelling = file => file;
/** As QEMU itself names a node that was opened with options. */
const BY_OPTIONS: Spelling = file => `json:{"driver":"qcow2","file":{"driver":"file","filename":"${file}"}}`;
const BY_DOTTED_OPTIONS: Spelling = file => `json:{"driver":"qcow2","file.filename":"${file}"}`;

const fileOf = (words: string) => words.split(' (')[0];

describeOnQemu("a third party's overlay", () => {
  test.each([
    ['its name', BY_NAME],
    ['options', BY_OPTIONS],
  ])(
    'on the new image of a copy, by %s, keeps that when it is rolled back, and the others go',
    async (_how, spell) => {
      await using on = await stage({ disks: 2, journal: 'memory' });
      const saga = await on.engine.copy({ ...on.copyAll(), finish: 'leave' });
      await saga.result;
      const overlay = putOverlayOn(on.newFile(0), on, spell);
      const result = await saga.abort();
      expect(result).toMatchObject({ outcome: 'rolledBack' });
      expect(result.leftovers).toEqual([
        `${on.newFile(0)} (${overlay}, which is no image of this saga, stands on it and cannot be read without it)`,
      ]);
      expect([existsSync(on.newFile(0)), existsSync(on.newFile(1))]).toEqual([true, false]);
    },
  );

  test('on an image that --delete was to remove keeps that, and the result names it', async () => {
    await using on = await stage({ disks: 2, journal: 'memory' });
    await (await on.engine.snapshot(on.snapshotAll())).result;
    const overlay = putOverlayOn(on.newFile(1), on, BY_DOTTED_OPTIONS);
    const disks = on.vm.disks.map(({ device }) => ({ disk: device }));
    const { vm } = on;
    const saga = await on.engine.commit({
      ...{ qmp: vm.monitor, maxBlackoutMs: 30_000, disks, active: true, shallow: true, delete: true },
    });
    const result = await saga.result;
    expect(result).toMatchObject({ outcome: 'committed', notRemoved: [on.newFile(1)] });
    expect(result.leftovers.find(words => fileOf(words) === on.newFile(1))).toContain(overlay);
    expect([existsSync(on.newFile(0)), existsSync(on.newFile(1))]).toEqual([false, true]);
  });

  test('that leaves the guest with its disk is named beside the image below it', async () => {
    await using on = await stage({ disks: 2, journal: 'memory', bus: 'scsi-hd' });
    const theirs = join(on.directory, 'theirs.qcow2');
    on.tap.after('transaction', async () => {
      await on.vm.witness.execute('blockdev-snapshot-sync', {
        'node-name': diskNames(sagaToken('left'), 1).image,
        ...{ 'snapshot-file': theirs, 'snapshot-node-name': 'theirs' },
      });
      await on.vm.awaitWrites(4);
      await unplug(on, on.vm.disks[1]?.device ?? '');
    });
    const saga = await on.engine.snapshot({ ...on.snapshotAll(), ...on.tapped, id: 'left' });
    const result = await saga.result;
    expect(result).toMatchObject({ outcome: 'committed' });
    expect(result.disks[1]).toMatchObject({ after: null, unplugged: { file: on.newFile(1) } });
    expect(result.leftovers.find(words => fileOf(words) === theirs)).toContain(
      `may have been on this image instead of ${on.newFile(1)}: compare the two`,
    );
  });
});
