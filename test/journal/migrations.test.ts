/** Files of older and newer programs: what is in them stays, whichever program opens them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeEach, describe, expect, it } from 'vitest';
import { MIGRATIONS, type Migration } from '../../src/journal/schema.ts';
import { openJournal } from '../../src/journal/sqlite.ts';
import { openFile } from '../../src/journal/sqlite-file.ts';
import { systemClock } from '../../src/qmp/clock.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { intent, newSaga, refused, thrownBy } from './contract.ts';

let file = '';
beforeEach(() => {
  file = join(temporaryFolder(), 'journal.db');
});

/** A file as version 0.1.0 has written it. It is not made by today's program: what was released is never edited. */
function writeFirstVersion(): void {
  const db = new DatabaseSync(file);
  db.exec(readFileSync(join(import.meta.dirname, 'journal-v1.sql'), 'utf8'));
  db.close();
}

const LATER: Migration = {
  program: '9.9.9',
  sql: "ALTER TABLE saga ADD COLUMN note TEXT; UPDATE saga SET note = 'saga ' || id",
};

async function fill(): Promise<void> {
  const journal = openJournal(file);
  const lease = journal.begin(newSaga('s1'));
  await journal.append(lease, [intent('a'), intent('b', { size: 2n ** 60n })], { durable: true });
  await journal.end(journal.begin(newSaga('s2', { vm: 'db' })), 'committed', { disks: [] });
  await journal.close();
}

const rows = (db: DatabaseSync, sql: string) =>
  db
    .prepare(sql)
    .all()
    .map(row => ({ ...row }));

describe('the file of an earlier program', () => {
  it('of the first version is read and gone on with', async () => {
    writeFirstVersion();
    const journal = openJournal(file);
    expect(journal.sagas().map(({ id, vm, state }) => [id, vm, state])).toEqual([
      ['second', 'db', 'committed'],
      ['first', 'web', 'open'],
    ]);
    expect(journal.saga('second')).toMatchObject({
      request: { disks: [{ disk: 'vda' }] },
      plan: { operation: 'copy', planVersion: 1 },
      result: { outcome: 'committed' },
      createdAtMs: 1_700_000_000_000,
      holder: { pid: 42, bootId: 'boot', startedAt: '7' },
    });
    expect(journal.records('first')).toEqual([
      { seq: 1, kind: 'intent', step: 'markQemu', body: { observed: null }, atMs: 1_700_000_001_000 },
      {
        seq: 2,
        kind: 'outcome',
        step: 'markQemu',
        body: { value: 18446744073709551615n },
        atMs: 1_700_000_001_005,
      },
    ]);
    const lease = journal.takeOver('first');
    expect(lease.token).toBe(4);
    journal.appendSync(lease, [intent('claimFiles')]);
    expect(journal.records('first')).toHaveLength(3);
    await journal.close();
  });

  it('keeps every saga, record and token when it is brought to a newer version, once', async () => {
    await fill();
    const before = openFile(file, systemClock);
    const tables = [
      'SELECT * FROM claim',
      'SELECT * FROM record',
      'SELECT id, plan, state, result FROM saga',
    ];
    const kept = tables.map(sql => rows(before, sql));
    before.close();
    for (let opened = 0; opened < 2; opened += 1) {
      const db = openFile(file, systemClock, [...MIGRATIONS, LATER]);
      expect(tables.map(sql => rows(db, sql))).toEqual(kept);
      expect(rows(db, 'SELECT id, note FROM saga')).toEqual([
        { id: 's1', note: 'saga s1' },
        { id: 's2', note: 'saga s2' },
      ]);
      expect(rows(db, 'SELECT version, program FROM migration')).toEqual([
        { version: 1, program: '0.1.0' },
        { version: 2, program: '0.1.0' },
        { version: 3, program: '0.1.0' },
        { version: 4, program: '0.1.0' },
        { version: 5, program: '9.9.9' },
      ]);
      db.exec("UPDATE saga SET note = 'saga ' || id"); // the migration would fail a second time
      db.close();
    }
    expect(thrownBy(() => openJournal(file))).toEqual(refused('JOURNAL', /use blocksaga 9\.9\.9 or newer/));
  });

  it('stays as it was when it cannot be brought to the newer version, and is good for the older program', async () => {
    await fill();
    const broken = {
      program: '9.9.9',
      sql: 'ALTER TABLE saga ADD COLUMN note TEXT; INSERT INTO nowhere VALUES (1)',
    };
    expect(thrownBy(() => openFile(file, systemClock, [...MIGRATIONS, broken]))).toEqual(
      refused('JOURNAL', /cannot open the journal .*no such table: nowhere/),
    );
    const journal = openJournal(file);
    expect(journal.sagas().map(({ id }) => id)).toEqual(['s2', 's1']);
    expect(journal.records('s1').map(({ step }) => step)).toEqual(['a', 'b']);
    await journal.close();
    const db = new DatabaseSync(file);
    expect(rows(db, 'PRAGMA table_info(saga)').some(column => column['name'] === 'note')).toBe(false);
    db.close();
  });
});
