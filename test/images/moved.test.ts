/** How a file that was given another name is found again in its directory: by its identity, or by the claim in it. */
import { link, mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { localFiles } from '../../src/images/local-files.ts';

let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'blocksaga-moved-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function made(name: string, claim: string) {
  const file = join(directory, name);
  const identity = await localFiles.createExclusive(file, file, claim);
  if (identity === undefined) throw new Error(`${file} could not be made`);
  return { file, identity };
}

test('a file is found under its new name, by its identity and by its claim', async () => {
  await made('other.qcow2', 'bs-aaaaaaaa-1');
  const { file, identity } = await made('new.qcow2', 'bs-aaaaaaaa-0');
  const moved = { file: join(directory, 'elsewhere'), identity };
  await rename(file, moved.file);
  expect(await localFiles.findMoved?.(file, { identity })).toEqual(moved);
  expect(await localFiles.findMoved?.(file, { claim: 'bs-aaaaaaaa-0' })).toEqual(moved);
});

test('what stands under its first name, is gone, or holds something else is not found', async () => {
  const { file, identity } = await made('new.qcow2', 'bs-aaaaaaaa-0');
  const sought = async () => [
    await localFiles.findMoved?.(file, { identity }),
    await localFiles.findMoved?.(file, { claim: 'bs-aaaaaaaa-0' }),
  ];
  expect(await sought()).toEqual([undefined, undefined]);
  // Another name of what is there is no other file.
  await symlink(file, join(directory, 'link'));
  expect(await sought()).toEqual([undefined, undefined]);
  await unlink(file);
  await writeFile(join(directory, 'text'), 'bs-aaaaaaaa-0');
  expect(await sought()).toEqual([undefined, undefined]);
});

test('a file that has its first name and another one is found by the other one', async () => {
  const { file, identity } = await made('new.qcow2', 'bs-aaaaaaaa-0');
  await link(file, join(directory, 'second'));
  expect(await localFiles.findMoved?.(file, { identity })).toEqual({
    file: join(directory, 'second'),
    identity,
  });
});

test('in a directory that is not there, or is another one by now, nothing is found', async () => {
  const { file, identity } = await made('new.qcow2', 'bs-aaaaaaaa-0');
  const aside = `${directory}-aside`;
  await rename(directory, aside);
  try {
    expect(await localFiles.findMoved?.(file, { identity })).toBeUndefined();
    await mkdir(directory);
    expect(await localFiles.findMoved?.(file, { identity })).toBeUndefined();
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
});
