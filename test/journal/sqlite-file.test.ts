import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openJournal } from '../../src/journal/sqlite.ts';
import { openFile } from '../../src/journal/sqlite-file.ts';
import { systemClock } from '../../src/qmp/clock.ts';
import { intent, newSaga, refused, thrownBy } from './contract.ts';

let directory = '';
let file = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'blocksaga-journal-'));
  file = join(directory, 'journal.db');
});
afterEach(() => rmSync(directory, { recursive: true }));

async function fill(records: number): Promise<void> {
  const journal = openJournal(file);
  const lease = journal.begin(newSaga('s1'));
  const some = Array.from({ length: records }, (_, index) => intent(`step${index}`, 'x'.repeat(200)));
  await journal.append(lease, some, { durable: true });
  await journal.close();
}

describe('opening the journal', () => {
  it('makes the file and its directories for the owner only', async () => {
    const deep = join(directory, 'a', 'b', 'journal.db');
    const journal = openJournal(deep);
    journal.begin(newSaga('s1'));
    const modes = [join(directory, 'a'), join(directory, 'a', 'b'), deep, `${deep}-wal`].map(path =>
      (statSync(path).mode & 0o777).toString(8),
    );
    expect(modes).toEqual(['700', '700', '600', '600']);
    await journal.close();
  });

  it('writes ahead, syncs every commit and leaves checkpoints to the journal', () => {
    const db = openFile(file, systemClock);
    const read = (name: string) => Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0];
    expect(['journal_mode', 'synchronous', 'foreign_keys', 'wal_autocheckpoint'].map(read)).toEqual([
      'wal',
      2,
      1,
      10_000,
    ]);
    db.close();
  });

  it('refuses a directory in place of the file', () => {
    mkdirSync(file);
    expect(thrownBy(() => openJournal(file))).toEqual(
      refused('JOURNAL', /journal.db is a directory.*name a file/),
    );
  });

  it('refuses a path below something that is no directory', () => {
    writeFileSync(file, '');
    expect(thrownBy(() => openJournal(join(file, 'journal.db')))).toEqual(
      refused('JOURNAL', /cannot look at the journal .*ENOTDIR.*name another/),
    );
  });

  it.each([
    ['text', Buffer.from('not a database, but longer than the header of one'.repeat(10)), /is not a journal/],
    [
      'noise after the header',
      Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(4096, 0xa5)]),
      /is not a journal|is damaged/,
    ],
  ])('refuses a file of %s and leaves it as it is', (_what, bytes, message) => {
    writeFileSync(file, bytes);
    expect(thrownBy(() => openJournal(file))).toEqual(refused('JOURNAL', message));
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  it("refuses another program's database and leaves it as it is", () => {
    const db = new DatabaseSync(file);
    db.exec('CREATE TABLE theirs (x)');
    db.close();
    const before = readFileSync(file);
    expect(thrownBy(() => openJournal(file))).toEqual(refused('JOURNAL', /of another program/));
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('refuses a journal of a newer program, names the version that it needs, and touches nothing', async () => {
    await fill(3);
    const db = new DatabaseSync(file);
    db.exec("INSERT INTO migration VALUES (9, '0.9.1', 0); PRAGMA user_version = 9");
    // Opening it for writing would already turn this back to the write-ahead log.
    db.exec('PRAGMA journal_mode = DELETE');
    db.close();
    const before = readFileSync(file);
    const refusal = refused(
      'JOURNAL',
      /schema version 9, this program knows 4: use blocksaga 0\.9\.1 or newer/,
    );
    expect(thrownBy(() => openJournal(file))).toEqual(refusal);
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('finds a damaged page, says so, and keeps the file as it is', async () => {
    await fill(400);
    const descriptor = openSync(file, 'r+');
    // In the middle of the file, where the records are.
    writeSync(descriptor, Buffer.alloc(4096, 0x5a), 0, 4096, 4096 * 12);
    closeSync(descriptor);
    const before = readFileSync(file);
    expect(thrownBy(() => openJournal(file))).toEqual(refused('JOURNAL', /is damaged and is kept as it is/));
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('finds that the end of the file is missing', async () => {
    await fill(400);
    const descriptor = openSync(file, 'r+');
    ftruncateSync(descriptor, 4096 * 10);
    closeSync(descriptor);
    expect(thrownBy(() => openJournal(file))).toEqual(refused('JOURNAL', /damaged/));
  });

  it('goes on with what an earlier run has written', async () => {
    await fill(3);
    const journal = openJournal(file);
    expect(journal.records('s1').map(({ step }) => step)).toEqual(['step0', 'step1', 'step2']);
    await journal.close();
  });
});
