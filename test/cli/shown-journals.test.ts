/** `--journal FILE,name=...` of the page: what is said of each journal, and what cannot be told apart. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { collect, collectSet } from '../../src/cli/options/option-values.ts';
import { readJournals } from '../../src/cli/options/shown-journals.ts';
import { fakeContext } from './fake-context.ts';

const folder = mkdtempSync(join(tmpdir(), 'shown-journals-'));
afterAll(() => rmSync(folder, { recursive: true }));
const context = fakeContext({ directory: folder });
const read = (given: readonly string[], alone = {}) => readJournals(given, true, alone, context);

test('one journal has no name, and what is said once is said of it', () => {
  expect(read(['a.db'], { qmp: '/run/vm', trace: 'w' })).toEqual([
    { file: join(folder, 'a.db'), isNamed: true, name: undefined, qmp: '/run/vm', trace: join(folder, 'w') },
  ]);
});

test('several are called as was said, or as their files where these tell them apart', () => {
  const all = read([
    '/srv/a/journal.db',
    '/srv/b/journal.db',
    '/srv/mail.db',
    '/srv/c,,1.db,name=c 1,qmp=/run/c',
  ]);
  expect(all.map(({ name }) => name)).toEqual(['/srv/a/journal.db', '/srv/b/journal.db', 'mail', 'c 1']);
  expect(all[3]).toMatchObject({ file: '/srv/c,1.db', qmp: '/run/c' });
});

test('a journal whose file has a comma is still found by its name', () => {
  writeFileSync(join(folder, 'x,y.db'), '');
  expect(read(['x,y.db'])[0].file).toBe(join(folder, 'x,y.db'));
});

describe('refuses, and says what to write', () => {
  test.each<[readonly string[], object, string]>([
    [['/a', '/a,name=b'], {}, 'it is there twice'],
    [['/a,name=x', '/b,name=x'], {}, 'two journals are called so'],
    [['/a', '/b'], { qmp: '/run/x' }, '--journal FILE,qmp=...'],
    [['/a', '/b'], { trace: '/x' }, '--journal FILE,trace=...'],
    [['/a,host=x'], {}, '"host=x" is not known here; there are name=..., qmp=..., trace=...'],
    [['/a,name='], {}, '"name" needs a value'],
    [['/a,name=x,name=y'], {}, '"name" is there twice'],
    [[',name=x'], {}, 'it begins with the file'],
    [[`/a,name=${'x'.repeat(61)}`], {}, 'more than 60 characters'],
  ])('%j', (given, alone, why) => {
    expect(() => read(given, alone)).toThrow(why);
  });
});

test('what is given on the command line takes the place of what was set', () => {
  expect(collect('/b', collect('/a', collectSet('/set')))).toEqual(['/a', '/b']);
});
