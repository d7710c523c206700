import { describe, expect, test } from 'vitest';
import { createForeignFiles } from '../../src/sim/host/foreign-files.ts';
import { BLANK, createHost } from '../../src/sim/host/host.ts';

const IMAGE = { ...BLANK, sizeBytes: 4_096 };

function scene() {
  const host = createHost('/images', () => 0);
  for (const path of ['/images/a', '/images/b']) host.write(path, IMAGE);
  const birthOf = (path: string) => host.files.get(path)?.birth;
  return {
    host,
    foreign: createForeignFiles(host, () => 7),
    births: ['/images/a', '/images/b'].map(birthOf),
    birthOf,
  };
}

describe('a third party takes the name from a directory', () => {
  test.each(['renameDirectory', 'replaceDirectory'] as const)(
    '%s: all in it lose theirs, and get them back',
    how => {
      const { host, foreign, births, birthOf } = scene();
      foreign.act({ path: '/images/a', how });
      expect(foreign.moved.map(({ path, atMs }) => [path, atMs])).toEqual([
        ['/images/a', 7],
        ['/images/b', 7],
      ]);
      expect(host.directories.has('/images')).toBe(how === 'replaceDirectory');
      expect(births).not.toContain(birthOf('/images/a'));
      expect(birthOf('/images/b') === undefined).toBe(how === 'renameDirectory');
      expect(foreign.putBack('/images/b')).toBe(true);
      expect(['/images/a', '/images/b'].map(birthOf)).toEqual(births);
      expect(foreign.moved.every(({ back }) => back !== undefined)).toBe(true);
      expect(foreign.putBack('/images/a')).toBe(false);
    },
  );

  test('a file that was moved within it before is found there all the same', () => {
    const { foreign, births, birthOf } = scene();
    foreign.act({ path: '/images/a', how: 'rename' });
    foreign.act({ path: '/images/b', how: 'replaceDirectory' });
    foreign.act({ path: '/images/b', how: 'renameDirectory' });
    foreign.putBack('/images/b');
    foreign.putBack('/images/a');
    expect(birthOf('/images/b')).toBe(births[1]);
  });
});

test('a file that was removed cannot be put back', () => {
  const { foreign, births, birthOf } = scene();
  foreign.act({ path: '/images/a', how: 'remove' });
  expect(foreign.putBack('/images/a')).toBe(false);
  foreign.act({ path: '/images/b', how: 'replace' });
  expect(foreign.putBack('/images/b')).toBe(true);
  expect(birthOf('/images/b')).toBe(births[1]);
});

test('files of theirs that are put aside one after the other are all there', () => {
  const { host, foreign, birthOf } = scene();
  for (const path of ['/images/a', '/images/b']) foreign.act({ path, how: 'replace' });
  const theirs = foreign.moved.map(({ made }) => made?.birth);
  for (const path of ['/images/a', '/images/b']) expect(foreign.putBack(path)).toBe(true);
  expect(foreign.moved.map(({ back = '' }) => birthOf(back))).toEqual(theirs);
  expect(host.files.size).toBe(4);
});

test('where each file is by now is known also behind a directory that was put back', () => {
  const { host, foreign, birthOf } = scene();
  foreign.act({ path: '/images/a', how: 'replaceDirectory' });
  const theirs = birthOf('/images/a');
  foreign.act({ path: '/images/a', how: 'replace' });
  host.write('/images/c', IMAGE);
  const other = birthOf('/images/c');
  foreign.act({ path: '/images/c', how: 'rename' });
  expect(foreign.putBack('/images/b')).toBe(true);
  const [ofTheirs, ofOther] = foreign.moved.slice(-2).map(({ to = '' }) => birthOf(to));
  expect([ofTheirs, ofOther]).toEqual([theirs, other]);
});

test('a file that was made in a replaced directory and renamed there comes along, and gets its name back when that is asked for', () => {
  const { host, foreign, birthOf } = scene();
  foreign.act({ path: '/images/a', how: 'replaceDirectory' });
  host.write('/images/c', IMAGE);
  const made = birthOf('/images/c');
  foreign.act({ path: '/images/c', how: 'rename' });
  expect(foreign.putBack('/images/b')).toBe(true);
  expect(birthOf('/images/c')).toBe(undefined);
  expect(foreign.putBack('/images/c')).toBe(true);
  expect(birthOf('/images/c')).toBe(made);
});

test('a file that was removed from a replaced directory is not back with the first one', () => {
  const { host, foreign } = scene();
  foreign.act({ path: '/images/a', how: 'replaceDirectory' });
  host.write('/images/c', IMAGE);
  foreign.act({ path: '/images/c', how: 'recreate' });
  foreign.act({ path: '/images/a', how: 'remove' });
  expect(foreign.putBack('/images/b')).toBe(true);
  const isBack = (path: string) => foreign.moved.findLast(each => each.path === path)?.back !== undefined;
  expect(['/images/a', '/images/b', '/images/c'].map(isBack)).toEqual([true, true, false]);
});

test('a file of theirs that was put aside has the name again, and the first one is where it can be found', () => {
  const { foreign, births, birthOf } = scene();
  expect(foreign.putTheirsBack('/images/b')).toBe(false);
  foreign.act({ path: '/images/b', how: 'replaceDirectory' });
  const theirs = birthOf('/images/b');
  expect(foreign.putTheirsBack('/images/b')).toBe(false);
  foreign.putBack('/images/b');
  expect(foreign.putTheirsBack('/images/b')).toBe(true);
  expect(birthOf('/images/b')).toBe(theirs);
  const moved = foreign.moved.find(({ path }) => path === '/images/b');
  expect([birthOf(moved?.to ?? ''), moved?.back]).toEqual([births[1], undefined]);
  expect(foreign.putBack('/images/b')).toBe(true);
  expect(birthOf('/images/b')).toBe(births[1]);
});
