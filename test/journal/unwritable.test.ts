/** Disks that are full, files that may only be read, and damage that no page shows: a clear word, and nothing lost. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { openJournal } from '../../src/journal/sqlite.ts';
import { fakeContext } from '../cli/fake-context.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { intent, newSaga, refused, thrownBy } from './contract.ts';

const UNPRIVILEGED = 65_534;

/** A file system of 256 KiB; undefined where mounting is not permitted. */
function smallFileSystem(): string | undefined {
  const path = join(temporaryFolder(), 'small');
  mkdirSync(path);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', path], { stdio: 'pipe' });
  } catch (error) {
    console.warn(`NOT RUN for want of a small file system: ${(error as Error).message.trim()}`);
    return undefined;
  }
  onTestFinished(() => void execFileSync('umount', ['--lazy', path]));
  return path;
}

/** Leaves no room beside what is there; gives what makes room again. */
function fillUp(directory: string): () => void {
  const ballast = join(directory, 'ballast');
  const write = () => appendFileSync(ballast, Buffer.alloc(4096));
  expect(() => {
    for (let pages = 0; pages < 1_000; pages += 1) write();
  }).toThrow(/ENOSPC/);
  return () => rmSync(ballast);
}

describe('a journal on a disk that is really full', () => {
  it('says so at every verb, keeps what it has, and goes on when there is room again', async context => {
    const directory = smallFileSystem();
    if (directory === undefined) return context.skip();
    const file = join(directory, 'journal.db');
    const full = refused('JOURNAL', /the disk is full: free some space/);

    const first = fillUp(directory);
    expect(thrownBy(() => openJournal(file))).toEqual(full);
    first();
    const journal = openJournal(file);
    const lease = journal.begin(newSaga('s1'));
    await journal.append(lease, [intent('a')], { durable: true });

    const second = fillUp(directory);
    const big = 'x'.repeat(100_000);
    await expect(journal.append(lease, [intent('b', big)], { durable: true })).rejects.toEqual(full);
    expect(thrownBy(() => journal.appendSync(lease, [intent('c', big)]))).toEqual(full);
    expect(thrownBy(() => journal.begin(newSaga('s2', { vm: 'db', plan: big })))).toEqual(full);
    expect(journal.records('s1').map(({ step }) => step)).toEqual(['a']);
    expect(journal.sagas().map(({ id }) => id)).toEqual(['s1']);
    second();
    await journal.append(lease, [intent('d')], { durable: true });
    await journal.close();
    const again = openJournal(file);
    expect(again.records('s1').map(({ step }) => step)).toEqual(['a', 'd']);
    await again.close();
  });
});

describe('a journal that may only be read', () => {
  it('is refused with what to do, and stays as it is', async () => {
    const directory = temporaryFolder();
    const file = join(directory, 'journal.db');
    const journal = openJournal(file);
    journal.begin(newSaga('s1'));
    await journal.close();
    const before = readFileSync(file);
    chmodSync(file, 0o444);
    chmodSync(directory, 0o555);
    const isRoot = process.geteuid?.() === 0; // whom no mode stops
    if (isRoot) process.seteuid?.(UNPRIVILEGED);
    try {
      expect(thrownBy(() => openJournal(file))).toEqual(
        refused(
          'JOURNAL',
          /read-only: make the file and its directory writable, or name another with --journal/,
        ),
      );
    } finally {
      if (isRoot) process.seteuid?.(0);
      chmodSync(directory, 0o755);
    }
    expect(readFileSync(file).equals(before)).toBe(true);
  });
});

describe('a journal whose index has a saga under another VM', () => {
  it('is found damaged when it is opened, by the command too, and kept as it is', async () => {
    const file = join(temporaryFolder(), 'journal.db');
    const journal = openJournal(file);
    journal.begin(newSaga('s1'));
    await journal.close();
    const db = new DatabaseSync(file, { defensive: false });
    db.exec('PRAGMA journal_mode = DELETE; PRAGMA writable_schema = ON');
    const hidden = "FROM sqlite_schema WHERE name = 'saga_by_vm'";
    const index = db.prepare(`SELECT type, name, tbl_name, rootpage, sql ${hidden}`).get() ?? {};
    db.exec(`DELETE ${hidden}; PRAGMA writable_schema = RESET`);
    db.exec("UPDATE saga SET vm = 'db'; PRAGMA writable_schema = ON");
    db.prepare('INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)').run(...Object.values(index));
    db.close();
    const before = readFileSync(file);
    const damaged = /is damaged and is kept as it is: restore it, or set it aside and run `blocksaga doctor`/;
    expect(thrownBy(() => openJournal(file))).toEqual(refused('JOURNAL', damaged));
    for (const command of ['sagas', 'show', 'resume', 'doctor']) {
      const context = fakeContext();
      const id = command === 'show' || command === 'resume' ? ['s1'] : [];
      expect(await runProgram([command, ...id, '--journal', file], context)).toBe(2);
      expect(context.err.join('\n')).toMatch(damaged);
    }
    expect(readFileSync(file).equals(before)).toBe(true);
  });
});
