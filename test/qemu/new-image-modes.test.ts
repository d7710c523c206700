/** Who may read the images that a saga makes: no one who may not read the images below, and QEMU in every case. */
import { chmod, stat } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { describeOnQemu } from './real-qemu.ts';
import { explain, type Stage, stage } from './witnessed.ts';

const modeOf = async (file: string) => ((await stat(file)).mode & 0o777).toString(8);

async function narrowed(): Promise<Stage> {
  const on = await stage({ disks: 2, guest: 'idle' });
  for (const { file } of on.vm.disks) await chmod(file, 0o600);
  return on;
}

async function expectNarrow(on: Stage): Promise<void> {
  for (const index of [0, 1]) expect(await modeOf(on.newFile(index))).toBe('600');
}

describeOnQemu('a new image over one that only its owner may read', () => {
  test.each([
    ['transaction', []],
    ['transactionSync', ['blockdev-snapshot']],
    ['sequential', ['transaction']],
  ] as const)('is as narrow in a snapshot by %s', async (method, without) => {
    await using on = await narrowed();
    const result = await (await on.engine.snapshot({ ...on.snapshotAll(), without })).result;
    expect(result, explain(result)).toMatchObject({ outcome: 'committed', strategy: method });
    await expectNarrow(on);
  });

  test.each([
    ['blockdev-mirror', []],
    ['drive-mirror', ['blockdev-create']],
  ] as const)('is as narrow in a copy by %s', async (_, without) => {
    await using on = await narrowed();
    const result = await (await on.engine.copy({ ...on.copyAll(), without })).result;
    expect(result, explain(result)).toMatchObject({ outcome: 'committed' });
    await expectNarrow(on);
  });
});
