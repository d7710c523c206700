/** Which files have the token of an agent: its owner's alone, whole or not at all. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { tokenIn } from '../../src/agent/token-file.ts';

const TOKEN = 'e5'.repeat(24);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'blocksaga-token-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Why a file is refused; '' where it is not. */
function refusalOf(file: string): string {
  try {
    tokenIn(file);
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

describe('a token file', () => {
  let file: string;
  let count = 0;
  beforeEach(() => {
    count += 1;
    file = join(folder, `token${count}`);
  });

  test('is made for its owner alone where it is not there, and is the same ever after', () => {
    const umask = process.umask(0);
    try {
      const token = tokenIn(file);
      expect(token).toMatch(/^[0-9a-f]{48}$/);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(tokenIn(file)).toBe(token);
      expect(readFileSync(file, 'utf8')).toBe(`${token}\n`);
      expect(tokenIn(`${file}b`)).not.toBe(token);
      expect(readdirSync(folder).filter(name => name.startsWith(`token${count}`))).toEqual([
        `token${count}`,
        `token${count}b`,
      ]);
    } finally {
      process.umask(umask);
    }
  });

  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o644, 0o666]) {
    test(`is refused with mode ${mode.toString(8)}`, () => {
      writeFileSync(file, TOKEN);
      chmodSync(file, mode);
      expect(refusalOf(file)).toMatch(/can be reached by other users/);
    });
  }

  test('is refused where it is a link, and nothing is made behind one that leads nowhere', () => {
    writeFileSync(file, TOKEN, { mode: 0o600 });
    symlinkSync(file, `${file}.link`);
    expect(refusalOf(`${file}.link`)).toMatch(/symbolic link/);
    symlinkSync(`${file}.none`, `${file}.dangling`);
    expect(refusalOf(`${file}.dangling`)).toMatch(/symbolic link/);
    expect(existsSync(`${file}.none`)).toBe(false);
  });

  const isRoot = process.geteuid?.() === 0;
  test.runIf(isRoot)('is refused where it belongs to another user', () => {
    writeFileSync(file, TOKEN, { mode: 0o600 });
    chownSync(file, 65_534, 65_534);
    expect(refusalOf(file)).toMatch(/belongs to user 65534/);
  });

  test('is refused where it is no file', () => {
    expect(refusalOf(folder)).toMatch(/no regular file/);
    execFileSync('mkfifo', ['-m', '600', file]);
    expect(refusalOf(file)).toMatch(/no regular file/);
  });

  for (const [what, text, why] of [
    ['nothing', '', /too few/],
    ['a short token', 'e5'.repeat(15), /too few/],
    ['a short token and a line', `${'e5'.repeat(15)}e\n`, /too few/],
    ['spaces', ' '.repeat(40), /one line/],
    ['two lines', `${TOKEN}\n${TOKEN}\n`, /one line/],
    ['a header', `${TOKEN}\r\nx: y`, /one line/],
    ['no end', 'e'.repeat(5000), /one line/],
  ] as const) {
    test(`is refused with ${what} in it, without telling what`, () => {
      writeFileSync(file, text, { mode: 0o600 });
      const told = refusalOf(file);
      expect(told).toMatch(why);
      expect(told).not.toContain('e5e5');
    });
  }
});
