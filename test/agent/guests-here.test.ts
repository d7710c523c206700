/** By which names an agent knows the guests of its host: named, found in a directory, told by a program. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { guestsHere } from '../../src/agent/guests-here.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'blocksaga-guests-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function programThat(body: string): string {
  const file = join(folder, 'discover');
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
  return file;
}

describe('the guests of a host', () => {
  test('are those that are named, those in the directory, and those that the program tells, each time anew', async () => {
    writeFileSync(join(folder, 'web.qmp'), '');
    writeFileSync(join(folder, 'note.txt'), '');
    writeFileSync(join(folder, '-x.qmp'), ''); // no name of a guest
    const program = programThat(`echo '{"db": "/run/db.qmp", "named": "/run/told.qmp"}'`);
    const look = guestsHere({ named: new Map([['named', '/run/named.qmp']]), directory: folder, program });
    const first = { web: join(folder, 'web.qmp'), db: '/run/db.qmp', named: '/run/named.qmp' };
    expect(Object.fromEntries(await look())).toEqual(first);
    rmSync(join(folder, 'web.qmp'));
    writeFileSync(join(folder, 'new.qmp'), '');
    const { web: _gone, ...stayed } = first;
    expect(Object.fromEntries(await look())).toEqual({ ...stayed, new: join(folder, 'new.qmp') });
  });

  test.each([
    ['ends with a status', 'exit 3'],
    ['prints no JSON', 'echo web'],
    ['prints a list', `echo '["web"]'`],
    ['prints an address that is none', `echo '{"web": 7}'`],
    ['prints a name with a way out of its directory', `echo '{"../web": "/run/web.qmp"}'`],
  ])('are refused where the program %s, with what it should print', async (_how, body) => {
    const look = guestsHere({ named: new Map(), program: programThat(body) });
    await expect(look()).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringMatching(/discover tells no guests: .*\{"NAME": "MONITOR", \.\.\.\}/),
    });
  });

  test('are refused where the directory is not there, or a name is none', async () => {
    const look = guestsHere({ named: new Map(), directory: join(folder, 'none') });
    await expect(look()).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    expect(() => guestsHere({ named: new Map([['a b', '/x']]) })).toThrow(/cannot be called "a b"/);
  });
});
