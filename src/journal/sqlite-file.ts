/**
 * Opens the journal's file: makes it when it is not there, looks at it before touching it, brings it to the current
 * schema. Knows nothing of sagas; a file that it refuses is left as it was.
 */

import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { DatabaseSync, DatabaseSyncOptions } from 'node:sqlite';
import { BlocksagaError } from '../errors.ts';
import { sagaToken } from '../plan/names.ts';
import type { Clock } from '../qmp/clock.ts';
import { isJournalThere } from './look-for-file.ts';
import { APPLICATION_ID, MIGRATIONS, type Migration } from './schema.ts';
import { guarded } from './sqlite-errors.ts';
import { closeAfter, inTransaction } from './transaction.ts';
import { blocking } from './waiting.ts';

/** How long SQLite itself waits for another process while the file is opened; what is open waits by waiting.ts. */
const BUSY_TIMEOUT_MS = 500;
/**
 * A file up to this size is checked whole when it is opened, a bigger one only where the claims are: what else is damaged shows
 * when it is read, or is looked for by `expectWhole`.
 */
const WHOLE_CHECK_MAX_BYTES = 64 * 1024 * 1024;
/** Opening is tried again when others open at the same moment: SQLite may answer "busy" at once then. */
const OPEN_PATIENCE_MS = 60_000;

/** Opens or makes the file, and brings it to the last of these migrations. Throws `JOURNAL`. */
export function openFile(
  file: string,
  clock: Clock,
  migrations: readonly Migration[] = MIGRATIONS,
): DatabaseSync {
  const path = resolve(file);
  if (!isJournalThere(path)) makeIfMissing(path);
  return blocking(OPEN_PATIENCE_MS, () => {
    inspect(path, migrations);
    return openChecked(path, clock, migrations);
  });
}

/** Loaded when a file is opened: an older Node has no SQLite, and is to hear what it needs (supported-node.ts), not that. */
function openDatabase(path: string, options: DatabaseSyncOptions = {}): DatabaseSync {
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
  return new DatabaseSync(path, options);
}

/** The directories with mode 0700 and an empty file with 0600; SQLite gives its side files the mode of the file. */
function makeIfMissing(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, 'ax', 0o600));
    const directory = openSync(dirname(path), 'r');
    fsyncSync(directory);
    closeSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw new BlocksagaError(
      'JOURNAL',
      `cannot make the journal ${path}: ${(error as Error).message}; make its directory writable, or name another with --journal`,
      { effect: 'notApplied', cause: error },
    );
  }
}

/** Reads without the right to write, so that a file that is not ours, or newer, or damaged, stays as it is. */
function inspect(path: string, migrations: readonly Migration[]): void {
  guarded(path, 'open', () => {
    const db = openDatabase(path, { readOnly: true });
    try {
      // One transaction, so that all looks see one moment: another process may be making the file just now.
      db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; BEGIN`);
      refuseForeign(db, path);
      refuseNewer(db, path, migrations);
      refuseDamaged(db, path);
    } finally {
      db.close();
    }
  });
}

function refuseForeign(db: DatabaseSync, path: string): void {
  if (readNumber(db, 'PRAGMA application_id') === APPLICATION_ID) return;
  if (readNumber(db, 'SELECT count(*) FROM sqlite_schema') === 0) return;
  throw new BlocksagaError(
    'JOURNAL',
    `${path} is a database of another program and is kept as it is: name another journal with --journal`,
    { effect: 'notApplied' },
  );
}

function refuseNewer(db: DatabaseSync, path: string, migrations: readonly Migration[]): void {
  const version = readNumber(db, 'PRAGMA user_version');
  if (version <= migrations.length) return;
  const row = db.prepare('SELECT program FROM migration WHERE version = ?').get(version);
  throw new BlocksagaError(
    'JOURNAL',
    `the journal ${path} has schema version ${version}, this program knows ${migrations.length}: use blocksaga ${row?.['program'] ?? ''} or newer. Nothing was touched`,
    { effect: 'notApplied' },
  );
}

function refuseDamaged(db: DatabaseSync, path: string): void {
  if (readNumber(db, 'PRAGMA user_version') === 0) return;
  const isSmall = statSync(path).size <= WHOLE_CHECK_MAX_BYTES;
  refuseUnless(db, path, isSmall ? 'PRAGMA integrity_check(1)' : 'PRAGMA integrity_check(claim)');
}

function refuseUnless(db: DatabaseSync, path: string, check: string): void {
  const verdict = Object.values(db.prepare(check).get() ?? {})[0];
  if (verdict !== 'ok') {
    throw new BlocksagaError(
      'JOURNAL',
      `the journal ${path} is damaged and is kept as it is: restore it, or set it aside and run \`blocksaga doctor\` (${verdict})`,
      { effect: 'notApplied' },
    );
  }
}

/** Checks every page of an existing journal, which takes as long as reading the file. Throws `JOURNAL` when it is damaged. */
export function expectWhole(file: string): void {
  const path = resolve(file);
  guarded(path, 'check', () => {
    const db = openDatabase(path, { readOnly: true });
    try {
      db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
      refuseUnless(db, path, 'PRAGMA integrity_check(1)');
    } finally {
      db.close();
    }
  });
}

function openChecked(path: string, clock: Clock, migrations: readonly Migration[]): DatabaseSync {
  return guarded(path, 'open', () => {
    const db = openDatabase(path);
    try {
      // The journal checkpoints between writes (sqlite.ts), so that no decision waits for one; the automatic one is a
      // backstop.
      db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS};
        PRAGMA foreign_keys = ON;
        PRAGMA wal_autocheckpoint = 10000;
        PRAGMA journal_size_limit = 16777216`);
      const mode = Object.values(db.prepare('PRAGMA journal_mode = WAL').get() ?? {})[0];
      if (mode !== 'wal') {
        throw new BlocksagaError(
          'JOURNAL',
          `the journal ${path} cannot keep a write-ahead log there (a network file system?): name one on a local disk with --journal`,
          { effect: 'notApplied' },
        );
      }
      db.exec('PRAGMA synchronous = FULL');
      migrate(db, path, clock, migrations);
      db.exec('PRAGMA busy_timeout = 0');
      return db;
    } catch (error) {
      closeAfter(db);
      throw error;
    }
  });
}

/** In one transaction, so that of several processes one migrates and the others find it done. */
function migrate(db: DatabaseSync, path: string, clock: Clock, migrations: readonly Migration[]): void {
  if (readNumber(db, 'PRAGMA user_version') === migrations.length) return;
  db.function('saga_token', { deterministic: true }, id => sagaToken(String(id)));
  inTransaction(db, () => {
    refuseNewer(db, path, migrations);
    const from = readNumber(db, 'PRAGMA user_version');
    for (const [index, migration] of migrations.entries()) {
      if (index < from) continue;
      db.exec(migration.sql);
      db.prepare('INSERT INTO migration VALUES (?, ?, ?)').run(index + 1, migration.program, clock.epochMs());
    }
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${migrations.length}`);
  });
}

function readNumber(db: DatabaseSync, sql: string): number {
  return Number(Object.values(db.prepare(sql).get() ?? {})[0]);
}
