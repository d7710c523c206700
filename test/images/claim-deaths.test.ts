/**
 * A process that dies at any system call of making a claimed file: what stands under the file's name is whole or nothing, and the next
 * process removes the rest. On the real file system, through `node:fs/promises` that acts no more from one call on.
 */
import { existsSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { claimBytes, claimSizeBytes, unfinishedName } from '../../src/images/claim-text.ts';
import { localFiles } from '../../src/images/local-files.ts';

type Act = (...args: readonly unknown[]) => unknown;

const host = vi.hoisted(() => ({
  /** How many calls a process has before it dies. */
  left: Number.POSITIVE_INFINITY,
  passed: [] as string[],
  /** In place of a call: what it does, given what it would do. */
  instead: {} as Record<string, (act: () => unknown) => unknown>,
}));

vi.mock('node:fs/promises', async importOriginal => {
  const real = await importOriginal<typeof import('node:fs/promises')>();
  const counted =
    (name: string, act: Act): Act =>
    async (...args) => {
      if (host.left === 0) throw Object.assign(new Error('the process is dead'), { code: 'DEAD' });
      host.left -= 1;
      host.passed.push(name);
      const instead = host.instead[name];
      return instead === undefined ? act(...args) : instead(() => act(...args));
    };
  const handle = (file: object) =>
    new Proxy(file, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        const bound: Act = value.bind(target);
        // The system closes what a dead process had open.
        return name === 'close' ? bound : counted(`file.${String(name)}`, bound);
      },
    });
  const open = counted('open', async (...args) => handle(await real.open(...(args as [string]))));
  const plain = (['link', 'unlink', 'lstat', 'stat'] as const).map(
    name => [name, counted(name, real[name] as Act)] as const,
  );
  return { ...real, open, ...Object.fromEntries(plain) };
});

const CLAIM = 'bs-aaaaaaaa-0';
let directory = '';
let path = '';
let unfinished = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'blocksaga-claims-'));
  path = join(directory, 'new.qcow2');
  unfinished = join(directory, unfinishedName(CLAIM));
});

afterEach(async () => {
  live();
  await rm(directory, { recursive: true });
});

/** A process that has this many calls. */
function live(calls = Number.POSITIVE_INFINITY): void {
  host.left = calls;
  host.passed = [];
  host.instead = {};
}

function failing(code: string) {
  return () => Promise.reject(Object.assign(new Error(`${code}: as the test says`), { code }));
}

async function make(): Promise<string | undefined> {
  return localFiles.createExclusive(path, '/nothing', CLAIM);
}

/** What a death before each call leaves, and what is there when the next process has looked. */
async function deaths(instead: typeof host.instead = {}) {
  live();
  host.instead = instead;
  await make();
  const calls = host.passed.length;
  const found: { readonly at: number; readonly left: readonly string[]; readonly claim?: string }[] = [];
  for (let at = 0; at < calls; at += 1) {
    for (const name of readdirSync(directory)) await rm(join(directory, name));
    live(at);
    host.instead = instead;
    await expect(make()).rejects.toThrow('dead');
    live();
    const { claim } = (await localFiles.stat(path)) ?? {};
    found.push({ at, left: readdirSync(directory), ...(claim === undefined ? {} : { claim }) });
    await localFiles.removeUnfinished?.(path, CLAIM);
    expect(readdirSync(directory), `at ${at}`).toEqual(existsSync(path) ? ['new.qcow2'] : []);
  }
  return found;
}

describe('a death at each system call of a claim', () => {
  test('leaves all of it under its name, or nothing; the rest is removed', async () => {
    const found = await deaths();
    const states = new Set(
      found.map(({ left, claim }) => {
        const isNamed = left.includes('new.qcow2');
        expect(claim).toBe(isNamed ? CLAIM : undefined);
        return `${isNamed ? 'named' : 'unnamed'}, ${left.length}`;
      }),
    );
    expect([...states].sort()).toEqual(['named, 1', 'named, 2', 'unnamed, 0', 'unnamed, 1']);
  });

  test('is followed by another that makes it', async () => {
    live();
    await make();
    const calls = host.passed.length;
    for (let at = 0; at < calls; at += 1) {
      for (const name of readdirSync(directory)) await rm(join(directory, name));
      live(at);
      await expect(make()).rejects.toThrow('dead');
      live();
      if (existsSync(path)) continue;
      expect(await make()).toBe((await localFiles.stat(path))?.identity);
      expect(readdirSync(directory)).toEqual(['new.qcow2']);
    }
  });

  test('is not found as a file that was moved', async () => {
    live();
    await make();
    renameSync(path, unfinished);
    expect(await localFiles.findMoved?.(path, { claim: CLAIM })).toBeUndefined();
    renameSync(unfinished, join(directory, 'moved'));
    expect((await localFiles.findMoved?.(path, { claim: CLAIM }))?.file).toBe(join(directory, 'moved'));
  });
});

describe.each(['EPERM', 'ENOTSUP'])('a file system that says %s to a hard link', code => {
  test('has the file under its name all the same', async () => {
    live();
    host.instead = { link: failing(code) };
    const identity = await make();
    expect(await localFiles.stat(path)).toMatchObject({ identity, claim: CLAIM });
    expect(readdirSync(directory)).toEqual(['new.qcow2']);
    await expect(make()).rejects.toMatchObject({ code: 'TARGET_EXISTS' });
    expect(readdirSync(directory)).toEqual(['new.qcow2']);
  });

  test('has a beginning of it there after a death, which is not removed', async () => {
    const found = await deaths({ link: failing(code) });
    expect(found.some(({ left, claim }) => left.includes('new.qcow2') && claim === undefined)).toBe(true);
  });
});

describe('what is not of the saga stays', () => {
  test.each([
    ['a file', () => writeFileSync(unfinished, 'theirs')],
    ['the claim with more behind it', () => writeFileSync(unfinished, `${claimBytes(CLAIM)}theirs`)],
    ['a link', () => symlinkSync('/etc/passwd', unfinished)],
  ])('%s under the name that the saga makes it by', async (_what, put) => {
    put();
    live();
    await localFiles.removeUnfinished?.(path, CLAIM);
    const made = make();
    await expect(made).rejects.toMatchObject({ code: 'TARGET_EXISTS' });
    await expect(made).rejects.toThrow(unfinished);
    expect(readdirSync(directory)).toEqual([unfinishedName(CLAIM)]);
  });

  test('a file that takes the name before the link', async () => {
    live();
    host.instead = {
      link: act => {
        writeFileSync(path, 'theirs');
        return act();
      },
    };
    await expect(make()).rejects.toMatchObject({ code: 'TARGET_EXISTS' });
    expect(readdirSync(directory)).toEqual(['new.qcow2']);
    expect(readFileSync(path, 'utf8')).toBe('theirs');
  });

  test.each([
    ['with links', {}, () => unfinished],
    ['without', { link: failing('EPERM') }, () => path],
  ])('a file that has taken the name when the disk is full, %s', async (_what, more, name) => {
    live();
    let isTaken = false;
    host.instead = {
      ...more,
      'file.write': act => {
        if (!existsSync(name())) return act();
        renameSync(name(), join(directory, 'aside'));
        writeFileSync(name(), 'theirs');
        isTaken = true;
        return failing('ENOSPC')();
      },
    };
    await expect(make()).rejects.toThrow('ENOSPC');
    expect(isTaken).toBe(true);
    expect(readFileSync(name(), 'utf8')).toBe('theirs');
  });
});

test('what fails leaves nothing, and its cause is told also where it could not be removed', async () => {
  live();
  host.instead = { 'file.truncate': failing('ENOSPC') };
  await expect(make()).rejects.toMatchObject({ code: 'FILES', message: expect.stringContaining('ENOSPC') });
  expect(readdirSync(directory)).toEqual([]);
  host.instead = { 'file.truncate': failing('ENOSPC'), unlink: failing('EIO') };
  await expect(make()).rejects.toThrow(/ENOSPC.*EIO/);
});

test('a file server that has lost its answer to the link has made it', async () => {
  live();
  host.instead = {
    link: async act => {
      await act();
      return failing('EEXIST')();
    },
  };
  expect(await make()).toBe((await localFiles.stat(path))?.identity);
  expect(readdirSync(directory)).toEqual(['new.qcow2']);
});

test.each([0, 128, claimSizeBytes(CLAIM)])(
  'a power cut leaves %i bytes of nothing, which are removed',
  async size => {
    writeFileSync(unfinished, Buffer.alloc(size));
    live();
    await localFiles.removeUnfinished?.(path, CLAIM);
    expect(readdirSync(directory)).toEqual([]);
  },
);
