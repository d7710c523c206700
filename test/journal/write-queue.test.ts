import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemProcesses } from '../../src/journal/holder.ts';
import { openFile } from '../../src/journal/sqlite-file.ts';
import { type Entry, SqliteStore } from '../../src/journal/sqlite-store.ts';
import { WriteQueue } from '../../src/journal/write-queue.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { newSaga, refused, thrownBy } from './contract.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'blocksaga-journal-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** The real store on a file that may be made full or read-only, and a count of its commits. */
function start() {
  const file = join(directory, 'journal.db');
  const db = openFile(file, systemClock);
  const store = new SqliteStore(db, file, systemProcesses());
  let commits = 0;
  let checkpoints = 0;
  const queue = new WriteQueue(
    {
      write: entries => {
        commits += 1;
        return store.write(entries);
      },
      checkpoint: () => {
        checkpoints += 1;
        store.checkpoint();
      },
      close: () => store.close(),
    },
    systemClock,
  );
  const lease = store.begin(newSaga('s1'), 0);
  const entry = (step: string, body = '{}'): Entry => ({
    lease,
    records: [{ kind: 'intent', step, body, atMs: 0 }],
  });
  const steps = () => store.records('s1').map(({ step }) => step);
  const counts = () => ({ commits, checkpoints });
  return { db, store, queue, entry, steps, counts };
}

describe('the queue before the store', () => {
  it('takes all that waits in one commit, also what came in another callback of the same turn', async () => {
    const { queue, entry, steps, counts } = start();
    const first = queue.written(entry('a'));
    await Promise.resolve();
    queue.add(entry('b'));
    await Promise.all([first, ...['c', 'd'].map(step => queue.written(entry(step)))]);
    expect(steps()).toEqual(['a', 'b', 'c', 'd']);
    expect(counts().commits).toBe(1);
    queue.close();
  });

  it('writes what no caller waits for once it is a mebibyte', async () => {
    const { queue, entry, steps } = start();
    const body = JSON.stringify('x'.repeat(300_000));
    for (const step of ['a', 'b', 'c']) queue.add(entry(step, body));
    await new Promise(setImmediate);
    expect(steps()).toEqual([]);
    queue.add(entry('d', body));
    await new Promise(setImmediate);
    expect(steps()).toEqual(['a', 'b', 'c', 'd']);
    queue.close();
  });

  it('tells everybody who waits when the disk is full, writes nothing of it, and goes on when there is space', async () => {
    const { db, queue, entry, steps } = start();
    await queue.written(entry('before'));
    const pages = Number(db.prepare('PRAGMA page_count').get()?.['page_count']);
    db.exec(`PRAGMA max_page_count = ${pages}`);
    const big = JSON.stringify('x'.repeat(100_000));
    const full = refused('JOURNAL', /the disk is full: free some space/);
    queue.add(entry('queued', big));
    const both = await Promise.allSettled([queue.written(entry('a', big)), queue.written(entry('b'))]);
    expect(both).toEqual([
      { status: 'rejected', reason: full },
      { status: 'rejected', reason: full },
    ]);
    expect(thrownBy(() => queue.writeNow(entry('decision', big)))).toMatchObject({ effect: 'notApplied' });
    expect(steps()).toEqual(['before']);
    db.exec('PRAGMA max_page_count = 100000');
    await queue.written(entry('after'));
    expect(steps()).toEqual(['before', 'queued', 'after']);
    queue.close();
  });

  it('says at closing when records that no caller waited for could not be written', () => {
    const { db, queue, entry } = start();
    db.exec('PRAGMA query_only = ON');
    queue.add(entry('queued'));
    expect(thrownBy(() => queue.close())).toEqual(refused('JOURNAL', /read-only: make the file/));
    expect(queue.isClosed).toBe(true);
  });

  it('refuses more than it may keep, at once', async () => {
    const { db, queue, entry, steps } = start();
    db.exec('PRAGMA query_only = ON');
    const body = JSON.stringify('x'.repeat(1_000_000));
    const refusal = thrownBy(() => {
      for (let index = 0; index < 100; index += 1) queue.add(entry('queued', body));
    });
    expect(refusal).toEqual(refused('JOURNAL', /too much waits/));
    expect(thrownBy(() => queue.written(entry('one more', body)))).toEqual(
      refused('JOURNAL', /too much waits/),
    );
    db.exec('PRAGMA query_only = OFF');
    queue.writeNow(entry('again'));
    expect(steps()).toHaveLength(68);
    queue.close();
  });

  it('waits for another process that writes, without holding up this one, and keeps the order', async () => {
    const { queue, entry, steps } = start();
    const other = openFile(join(directory, 'journal.db'), systemClock);
    other.exec('BEGIN IMMEDIATE');
    const beganMs = systemClock.now();
    let turns = 0;
    const first = queue.written(entry('a'));
    queue.add(entry('b'));
    for (; turns < 20; turns += 1) await sleep(systemClock, 5);
    const second = queue.written(entry('c'));
    expect(steps()).toEqual([]);
    other.exec('ROLLBACK');
    await Promise.all([first, second]);
    expect(steps()).toEqual(['a', 'b', 'c']);
    expect(systemClock.now() - beganMs).toBeGreaterThan(100);
    other.close();
    queue.close();
  });

  it('tells those whose time is over that it is locked, and goes on waiting for the others', async () => {
    const { queue, entry, steps } = start();
    const other = openFile(join(directory, 'journal.db'), systemClock);
    other.exec('BEGIN IMMEDIATE');
    const locked = { code: 'JOURNAL', retryable: true, effect: 'notApplied' };
    const patient = queue.written(entry('patient'));
    await expect(queue.written(entry('in the pause'), 30)).rejects.toMatchObject(locked);
    expect(thrownBy(() => queue.writeNow(entry('the decision'), 30))).toMatchObject(locked);
    other.exec('ROLLBACK');
    await patient;
    expect(steps()).toEqual(['patient']);
    other.close();
    queue.close();
  });

  it('closes while another process has it locked, and tells those who waited', async () => {
    const { queue, entry } = start();
    const other = openFile(join(directory, 'journal.db'), systemClock);
    other.exec('BEGIN IMMEDIATE');
    const waiting = expect(queue.written(entry('a'))).rejects.toMatchObject({ code: 'JOURNAL' });
    expect(thrownBy(() => queue.close())).toEqual(refused('JOURNAL', /keeps it locked/));
    expect(queue.isClosed).toBe(true);
    await waiting;
    other.exec('ROLLBACK');
    other.close();
  });

  it('checkpoints after some hundred commits, and never within a synchronous write', async () => {
    const { queue, entry, counts } = start();
    for (let index = 0; index < 300; index += 1) queue.writeNow(entry('a'));
    expect(counts()).toEqual({ commits: 300, checkpoints: 0 });
    await queue.written(entry('b'));
    await new Promise(setImmediate);
    expect(counts().checkpoints).toBe(1);
    queue.close();
  });
});
