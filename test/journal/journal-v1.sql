-- A journal as blocksaga 0.1.0 has written it, with one open saga and one that was committed. Never edited.
PRAGMA application_id = 1651274599;
PRAGMA journal_mode = WAL;
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
INSERT INTO migration VALUES (1, '0.1.0', 1700000000000);
INSERT INTO saga VALUES (1, 'first', 'web', 'copy', 1, '/run/web.qmp', '{"disks":[{"disk":"vda"}]}',
  '{"operation":"copy","planVersion":1}', 'open', NULL, 1700000000000, NULL, 42, 'boot', '7');
INSERT INTO saga VALUES (2, 'second', 'db', 'copy', 1, '/run/db.qmp', '{"disks":[{"disk":"vda"}]}',
  '{"operation":"copy","planVersion":1}', 'committed', '{"outcome":"committed"}', 1700000000000, 1700000009000, 42, 'boot', '7');
INSERT INTO claim VALUES ('web', 3, 'first');
INSERT INTO claim VALUES ('db', 1, NULL);
INSERT INTO record VALUES ('first', 1, 'intent', 'markQemu', '{"observed":null}', 1700000001000);
INSERT INTO record VALUES ('first', 2, 'outcome', 'markQemu', '{"value":18446744073709551615}', 1700000001005);
PRAGMA user_version = 1;
