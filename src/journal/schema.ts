/**
 * The tables of the journal file and how an older file becomes a newer one. A migration that has been released is never
 * edited: what changes is a new entry at the end.
 */

/** Marks a SQLite file as a journal of ours: "blsg". */
export const APPLICATION_ID = 0x626c7367;

/** One step from schema version i to i + 1, and the first program that knows the result. */
export interface Migration {
  readonly program: string;
  readonly sql: string;
}

/** Entry i leads to schema version i + 1. */
export const MIGRATIONS: readonly Migration[] = [
  {
    program: '0.1.0',
    sql: `
      -- Says to older programs which one they need.
      CREATE TABLE migration (
        version INTEGER PRIMARY KEY,
        program TEXT NOT NULL,
        at_ms INTEGER NOT NULL
      ) STRICT;

      CREATE TABLE saga (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        vm TEXT NOT NULL,
        operation TEXT NOT NULL,
        plan_version INTEGER NOT NULL,
        address TEXT NOT NULL,
        request TEXT NOT NULL,
        plan TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('open', 'committed', 'rolledBack', 'needsRecovery')),
        result TEXT,
        created_at_ms INTEGER NOT NULL,
        ended_at_ms INTEGER,
        holder_pid INTEGER NOT NULL,
        holder_boot_id TEXT NOT NULL,
        holder_started_at TEXT NOT NULL
      ) STRICT;
      CREATE INDEX saga_by_vm ON saga (vm);

      -- One row per VM for good, so that its token only grows; saga is null while no saga holds the VM.
      CREATE TABLE claim (
        vm TEXT PRIMARY KEY,
        token INTEGER NOT NULL,
        saga TEXT REFERENCES saga (id)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE record (
        saga TEXT NOT NULL REFERENCES saga (id),
        seq INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('intent', 'outcome', 'decision', 'signal')),
        step TEXT NOT NULL,
        body TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        PRIMARY KEY (saga, seq)
      ) STRICT, WITHOUT ROWID;
    `,
  },
  {
    program: '0.1.0',
    sql: `
      ALTER TABLE saga ADD COLUMN holder_namespace TEXT;
      ALTER TABLE saga ADD COLUMN renewed_at_ms INTEGER;
      ALTER TABLE saga ADD COLUMN progress TEXT;
      -- What is asked for reads nothing else, however much has ended.
      DROP INDEX saga_by_vm;
      CREATE INDEX saga_by_vm ON saga (vm, state);
      CREATE INDEX saga_by_state ON saga (state);
      CREATE INDEX saga_by_operation ON saga (operation);
      CREATE INDEX saga_by_begin ON saga (created_at_ms);
      CREATE INDEX saga_by_end ON saga (ended_at_ms);
      CREATE INDEX saga_by_address ON saga (address) WHERE state = 'open';
    `,
  },
  {
    program: '0.1.0',
    sql: `
      -- What stands in the saga's names in QEMU, so that its maker is found without reading the others.
      ALTER TABLE saga ADD COLUMN token TEXT;
      UPDATE saga SET token = saga_token(id);
      CREATE INDEX saga_by_token ON saga (token);
      -- What may be forgotten, oldest first.
      CREATE INDEX saga_forgettable ON saga (ended_at_ms) WHERE state IN ('committed', 'rolledBack');
      -- Rolled back, with something left behind.
      CREATE INDEX saga_with_leftovers ON saga (number) WHERE state = 'rolledBack'
        AND CASE WHEN json_valid(result) THEN json_array_length(result, '$.leftovers') ELSE 1 END > 0;
    `,
  },
  {
    program: '0.1.0',
    sql: `
      -- How often this journal has been written, as it stands beside it too; the line tells it from every other journal.
      CREATE TABLE generation (
        line TEXT NOT NULL,
        written INTEGER NOT NULL
      ) STRICT;
      INSERT INTO generation VALUES (lower(hex(randomblob(8))), 0);

      -- Sagas that had not ended in an older copy which was put back, and what that copy and the one before it had counted.
      CREATE TABLE doubted (
        saga TEXT PRIMARY KEY REFERENCES saga (id) ON DELETE CASCADE,
        generation INTEGER NOT NULL,
        written INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
    `,
  },
];
