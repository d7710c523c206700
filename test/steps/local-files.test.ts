/** Files on this machine: what identifies one, who may read a new one, and that nothing but the very file is removed. */
import {
  chmod,
  chown,
  link,
  mkdtemp,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createLocalFiles, localFiles } from '../../src/images/local-files.ts';

const asRoot = test.skipIf(process.getuid?.() !== 0);

async function folder(stack: AsyncDisposableStack): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'blocksaga-files-'));
  stack.defer(() => rm(directory, { recursive: true }));
  return directory;
}

async function made(path: string, like = '/nothing'): Promise<string> {
  const identity = await localFiles.createExclusive(path, like, 'bs-token-0');
  expect.assert(identity !== undefined);
  return identity;
}

/** Another file with the same inode number; undefined where the file system does not give it again. */
async function another(directory: string, path: string, inode: bigint): Promise<string | undefined> {
  for (let tries = 0; tries < 30; tries += 1) {
    const file = join(directory, `other${tries}`);
    await writeFile(file, 'other');
    if ((await stat(file, { bigint: true })).ino !== inode) continue;
    await rename(file, path);
    return path;
  }
  return undefined;
}

describe('files on this machine', () => {
  test('that are made hold their claim, and stat gives it back until something else is in them', async () => {
    await using stack = new AsyncDisposableStack();
    const path = join(await folder(stack), 'new');
    const identity = await made(path);
    expect(await localFiles.stat(path)).toMatchObject({ identity, claim: 'bs-token-0', kind: 'file' });
    await writeFile(path, 'x'.repeat(128));
    expect(await localFiles.stat(path)).not.toHaveProperty('claim');
  });

  test('are not made where anything stands, a dangling link included', async () => {
    await using stack = new AsyncDisposableStack();
    const directory = await folder(stack);
    await symlink(join(directory, 'elsewhere'), join(directory, 'new'));
    await expect(made(join(directory, 'new'))).rejects.toMatchObject({ code: 'TARGET_EXISTS' });
    expect(await localFiles.stat(join(directory, 'elsewhere'))).toBeUndefined();
  });

  test('are removed by their identity, by whichever of their names', async () => {
    await using stack = new AsyncDisposableStack();
    const directory = await folder(stack);
    const [path, second] = [join(directory, 'new'), join(directory, 'second')];
    const identity = await made(path);
    await link(path, second);
    await localFiles.unlink(path, identity);
    expect(await localFiles.stat(path)).toBeUndefined();
    expect((await localFiles.stat(second))?.identity).toBe(identity);
  });

  test('are not removed when another one has their inode number', async () => {
    await using stack = new AsyncDisposableStack();
    const directory = await folder(stack);
    const path = join(directory, 'new');
    const identity = await made(path);
    const { ino } = await stat(path, { bigint: true });
    await rm(path);
    if ((await another(directory, path, ino)) === undefined) return; // such numbers are not given again here
    await localFiles.unlink(path, identity);
    expect(await readFile(path, 'utf8')).toBe('other');
  });

  test('are not removed through a link, nor by a name whose directory is gone', async () => {
    await using stack = new AsyncDisposableStack();
    const directory = await folder(stack);
    const [path, name] = [join(directory, 'new'), join(directory, 'name')];
    const identity = await made(path);
    await symlink(path, name);
    await localFiles.unlink(name, identity);
    await localFiles.unlink(join(directory, 'gone', 'new'), identity);
    expect((await localFiles.stat(name))?.identity).toBe(identity);
  });

  test.each([0o600, 0o640, 0o644])('are made with the mode of the image below: %o', async mode => {
    await using stack = new AsyncDisposableStack();
    const directory = await folder(stack);
    const below = join(directory, 'below');
    await writeFile(below, '');
    await chmod(below, mode);
    await made(join(directory, 'new'), below);
    expect((await stat(join(directory, 'new'))).mode & 0o777).toBe(mode);
  });

  test('are open to their owner alone where the image below is no file', async () => {
    await using stack = new AsyncDisposableStack();
    const path = join(await folder(stack), 'new');
    await made(path, 'json:{"driver":"null-co"}');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  asRoot(
    'are owned like the image below, and by the user of QEMU where that could not read them',
    async () => {
      await using stack = new AsyncDisposableStack();
      const directory = await folder(stack);
      const below = join(directory, 'below');
      await writeFile(below, '', { mode: 0o640 });
      await chown(below, 4321, 4322);
      const ofQemu = createLocalFiles({ uid: 107, gid: 36 });
      const owners: unknown[] = [];
      for (const [name, files, like] of [
        ['a', localFiles, below],
        ['b', ofQemu, below],
        ['c', ofQemu, '/dev/null'],
        ['d', createLocalFiles({ uid: 4321, gid: 1 }), below],
      ] as const) {
        await files.createExclusive(join(directory, name), like, 'c');
        const { uid, gid, mode } = await stat(join(directory, name));
        owners.push([uid, gid, mode & 0o777]);
      }
      expect(owners).toEqual([
        [4321, 4322, 0o640],
        [107, 36, 0o600],
        [107, 36, 0o600],
        [4321, 4322, 0o640],
      ]);
    },
  );
});
