import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GuestVm } from '../../src/demo/guest-vm.ts';
import type { SagaResult } from '../../src/index.ts';
import { actOnFile, changedOf, FILE_ACTS, leadsElsewhere, madeIn, putBack } from './file-acts.ts';
import { judgeNames } from './judge-names.ts';
import type { ThirdPartyCase } from './judge-third-party.ts';
import { ANY_INSTANT } from './rounds.ts';

let home = '';
let path = '';
let inode = 0;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'file-acts-'));
  path = join(home, 'images', 'new.qcow2');
  mkdirSync(dirname(path));
  writeFileSync(path, 'the right one');
  inode = statSync(path).ino;
});
afterEach(() => rmSync(home, { recursive: true }));

describe.each(FILE_ACTS.map(how => ({ how })))('a third party: $how', ({ how }) => {
  test('takes the name from the image, and the image gets it again when it is put back', () => {
    const act = { how, path };
    const made = madeIn([actOnFile(act)]);
    expect(statSync(path, { throwIfNoEntry: false })?.ino === inode).toBe(how === 'directory link');
    expect(leadsElsewhere(act, path)).toBe(how !== 'directory link');
    expect(leadsElsewhere(act, '/elsewhere/new.qcow2')).toBe(false);
    putBack(act, made);
    expect(statSync(path).ino).toBe(inode);
    expect(changedOf(act, made)).toEqual([]);
    putBack(act, made);
    expect(readFileSync(path, 'utf8')).toBe('the right one');
  });
});

test.each(['file replace', 'file recreate', 'directory replace'])(
  'what a third party made is known to have changed: %s',
  how => {
    const act = { how, path };
    const made = madeIn([actOnFile(act)]);
    expect(Object.keys(made)).toContain(path);
    writeFileSync(path, 'written to');
    expect(changedOf(act, made)).toEqual([path]);
    putBack(act, made);
    expect(changedOf(act, made)).toEqual([path]);
  },
);

test('what was made in the other directory since leads where it is, and comes along when the right one is put back', () => {
  const act = { how: 'directory replace', path };
  const made = madeIn([actOnFile(act)]);
  const since = join(dirname(path), 'since.qcow2');
  writeFileSync(since, 'made since');
  expect(leadsElsewhere(act, since)).toBe(false);
  expect(leadsElsewhere(act, path)).toBe(true);
  putBack(act, made);
  expect(readFileSync(since, 'utf8')).toBe('made since');
  expect(statSync(path).ino).toBe(inode);
});

test('a copy of what was to be gone soon stays with the third party that made it, when the right directory is put back', () => {
  const act = { how: 'directory replace', path };
  const unfinished = join(dirname(path), '.claim.unfinished');
  writeFileSync(unfinished, 'begun');
  const made = madeIn([actOnFile(act)]);
  unlinkSync(join(`${dirname(path)}-theirs-aside`, '.claim.unfinished'));
  putBack(act, made);
  expect(existsSync(unfinished)).toBe(false);
  expect(changedOf(act, made)).toEqual([]);
});

test('nothing is done to a file that is not there', () => {
  expect(actOnFile({ how: 'file rename', path: join(home, 'none') })).toMatchObject({ error: {} });
});

describe('the judge of names', () => {
  const judged = (told: Partial<SagaResult>, moment = 'switching.pauseGuest/unsent/stop/1') => {
    const act = { how: 'file replace', path };
    const answers = [actOnFile(act)];
    const image = { filename: path };
    const vm = {
      witness: { execute: async () => [{ device: 'drive0', inserted: { image } }] },
    } as object as GuestVm;
    const disks = [{ disk: 'drive0' }];
    const result = { outcome: 'committed', leftovers: [], disks, ...told } as object as SagaResult;
    const of = { answers, round: { moment } } as object as ThirdPartyCase;
    writeFileSync(path, 'written to');
    return judgeNames(vm, of, act, { says: 'result', result, commands: 0, moments: [] });
  };

  test('sees an image that a boot would not find, and a file of a third party that was written to', async () => {
    const { wrong, isReadFromTheirs } = await judged({});
    expect(wrong).toEqual([expect.stringMatching(/^I3: .*does not say so/), expect.stringMatching(/^I4: /)]);
    expect(isReadFromTheirs).toBe(true);
  });

  test('takes the word of a result', async () => {
    const misnamed = [{ disk: 'dev0', file: path, found: 'nothing' }] as const;
    expect((await judged({ misnamed })).wrong).toEqual([]);
  });

  test('does not know which came first of what was done by the clock', async () => {
    expect((await judged({}, ANY_INSTANT)).wrong).toEqual([]);
  });
});
