/**
 * Files that a third party puts where a saga had its own: with the same names, and on ext4 with the same inode numbers too.
 * The saga has given those up, and nothing of blocksaga's removes them.
 */
import { mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { examine, removeFindings } from '../../src/engine/doctor/doctor.ts';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import { describeOnQemu } from './real-qemu.ts';
import { type Stage, stage } from './witnessed.ts';

const OTHERS = 'the data of a third party';

async function fixAll({ journal }: Stage): Promise<void> {
  await removeFindings(await examine({ journal }));
}

const inodeOf = async (file: string) => (await stat(file, { bigint: true })).ino;

/** Whether this file system gives the number of a removed file to the next one: ext4 and xfs do, tmpfs and btrfs do not. */
async function reusesInodes(directory: string): Promise<boolean> {
  const probe = join(directory, 'probe');
  const numbers = new Set<bigint>();
  for (let tries = 0; tries < 50; tries += 1) {
    await writeFile(probe, OTHERS);
    numbers.add(await inodeOf(probe));
    await rm(probe);
  }
  return numbers.size < 50;
}

/** Makes files under the names of the new images that have the inode numbers of those; gives the indexes where it could. */
async function remake(on: Stage, inodes: ReadonlyMap<number, bigint>): Promise<readonly number[]> {
  const made: number[] = [];
  for (let tries = 0; tries < 200 && made.length < inodes.size; tries += 1) {
    const file = join(on.directory, `other${tries}`);
    await writeFile(file, OTHERS);
    const inode = await inodeOf(file);
    const index = [...inodes].find(([, known]) => known === inode)?.[0];
    if (index === undefined) continue;
    await rename(file, on.newFile(index));
    made.push(index);
  }
  return made;
}

/**
 * Plays `scene`, which gives the indexes of the files that it made again with their inode numbers, until there is one: a
 * process beside this one may have been given the numbers first. At most ten times; only a file system that gives no number
 * twice is let off.
 */
async function untilRemade(scene: (on: Stage) => Promise<readonly number[]>): Promise<void> {
  for (let round = 0; round < 10; round += 1) {
    await using on = await stage({ disks: 2, guest: 'idle' });
    if ((await scene(on)).length > 0) return;
    if (!(await reusesInodes(on.directory))) {
      console.warn(`Only the names were made again: ${on.directory} gives no inode number twice`);
      return;
    }
  }
  expect.unreachable(
    'This file system gives inode numbers twice, and none of the files of ten rounds got one',
  );
}

describeOnQemu('files of a third party', () => {
  test('that are made under the names of a saga that was rolled back are not removed by doctor --fix', async () => {
    await untilRemade(async on => {
      const inodes = new Map<number, bigint>();
      on.tap.before('blockdev-mirror', async () => {
        for (const index of [0, 1]) inodes.set(index, await inodeOf(on.newFile(index)));
      });
      const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, finish: 'abort' });
      expect(await saga.result).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
      const remade = await remake(on, inodes);
      await fixAll(on);
      for (const index of remade) expect(await readFile(on.newFile(index), 'utf8')).toBe(OTHERS);
      return remade;
    });
  });

  test('that have the inode numbers of images which a saga left behind are not removed by doctor --fix', async () => {
    await untilRemade(async on => {
      const saga = await on.engine.copy({ ...on.copyAll(), finish: 'leave' });
      expect((await saga.result).outcome).toBe('ready');
      const inodes = new Map<number, bigint>();
      for (const index of [0, 1]) inodes.set(index, await inodeOf(on.newFile(index)));
      await on.vm.kill();
      // As an offline recovery leaves it which may not remove: the claims are held, the saga is rolled back.
      const names = [0, 1].map(index => on.newFile(index));
      for (const name of names) await rename(name, `${name}.aside`);
      const recovered = await recoverOffline(on.journal, saga.id, { force: true });
      for (const name of names)
        expect(recovered.leftovers.join('\n')).toContain(`${name} (made by this saga`);
      for (const name of names) await rm(`${name}.aside`);
      const remade = await remake(on, inodes);
      await fixAll(on);
      for (const index of remade) expect(await readFile(on.newFile(index), 'utf8')).toBe(OTHERS);
      return remade;
    });
  });

  test('that replace the images of a saga while it runs are not removed by its rollback', async () => {
    await using on = await stage({ disks: 2, guest: 'idle' });
    const saga = await on.engine.copy({ ...on.copyAll(), finish: 'leave' });
    expect((await saga.result).outcome).toBe('ready');
    await rm(on.newFile(0));
    await writeFile(on.newFile(0), OTHERS);
    const result = await saga.abort();
    expect(result).toMatchObject({ outcome: 'rolledBack' });
    expect(await readFile(on.newFile(0), 'utf8')).toBe(OTHERS);
    expect(result.leftovers.join()).toContain(on.newFile(0));
  });

  test('a directory that is renamed under a saga: its rollback says what it looked for and did not find', async () => {
    await using on = await stage({ disks: 2, guest: 'idle' });
    const there = join(on.directory, 'there');
    await mkdir(there);
    const to = (index: number) => ({ to: join(there, `new${index}.qcow2`) });
    const saga = await on.engine.copy({ ...on.copyAll(to), finish: 'leave' });
    expect((await saga.result).outcome).toBe('ready');
    await rename(there, `${there}-moved`);
    const result = await saga.abort();
    expect(result).toMatchObject({ outcome: 'rolledBack' });
    for (const index of [0, 1]) expect(result.leftovers.join('\n')).toContain(to(index).to);
  });

  test('behind a link that was put in the place of the directory are not removed', async () => {
    await using on = await stage({ disks: 1, guest: 'idle' });
    const there = join(on.directory, 'there');
    const other = join(on.directory, 'other');
    await mkdir(there);
    await mkdir(other);
    const to = join(there, 'new0.qcow2');
    const saga = await on.engine.copy({ ...on.copyAll(() => ({ to })), finish: 'leave' });
    expect((await saga.result).outcome).toBe('ready');
    await rename(there, `${there}-moved`);
    await symlink(other, there);
    await writeFile(to, OTHERS);
    const result = await saga.abort();
    expect(result.outcome).toBe('rolledBack');
    expect(await readFile(join(other, 'new0.qcow2'), 'utf8')).toBe(OTHERS);
    expect(dirname(to)).toBe(there);
    expect(result.leftovers.join()).toContain(to);
  });
});
