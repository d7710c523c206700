/**
 * A journal knows itself to be an older copy of what was written last: by what it has counted, and what is counted beside it.
 * The copies are made and put back as an administrator does it, with the file that is beside the journal and without.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { expectNewest } from '../../src/engine/durable/newest-journal.ts';
import { GenerationFile } from '../../src/journal/generation-file.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/sqlite.ts';
import { intent, newSaga, processNumber, refused, thrownBy } from './contract.ts';

const PARTS = ['', '-wal', '-shm', '.generation'] as const;

let directory = '';
let file = '';
let alive = 1;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'blocksaga-generation-'));
  file = join(directory, 'journal.db');
  alive = 1;
});
afterEach(() => rmSync(directory, { recursive: true }));

/** The journal of the next process; those before it are dead. */
function open(path = file): Journal {
  alive += 1;
  const pid = alive;
  return openJournal(path, { processes: processNumber(pid, () => alive) });
}

/** Copies what there is of a journal, from one name to another. */
function copy(from: string, to: string, parts: readonly string[] = PARTS): void {
  for (const part of PARTS) if (parts.includes(part)) rmSync(`${to}${part}`, { force: true });
  for (const part of parts) if (existsSync(`${from}${part}`)) copyFileSync(`${from}${part}`, `${to}${part}`);
}

const JOURNAL_ALONE = ['', '-wal', '-shm'];
const back = () => join(directory, 'backup.db');

it('is no older copy where another process writes between the look at it and the look beside it', async () => {
  const [one, other] = [open(), open()];
  one.begin(newSaga('s1'));
  expect(one.standing?.('s1').is).toBe('newest');
  const { read } = GenerationFile.prototype;
  const looks = vi.spyOn(GenerationFile.prototype, 'read').mockImplementationOnce(function (
    this: GenerationFile,
  ) {
    other.begin(newSaga('s2', { vm: 'another' }));
    return read.call(this);
  });
  expect(one.standing?.('s1').is).toBe('newest');
  looks.mockRestore();
  await Promise.all([one.close(), other.close()]);
});

/** A saga of which one record was written before the copy was made, and another one after that. */
async function restored({ isOpen = true, parts = JOURNAL_ALONE } = {}): Promise<void> {
  const journal = open();
  const lease = journal.begin(newSaga('s1'));
  await journal.append(lease, [intent('mirrorDisks')], { durable: true });
  if (isOpen) copy(file, back());
  await journal.close();
  if (!isOpen) copy(file, back());
  const next = open();
  const again = next.takeOver('s1', { force: true });
  next.appendSync(again, [{ kind: 'decision', step: 'reopenFilters', body: {} }]);
  await next.end(again, 'committed', {});
  await next.close();
  copy(back(), file, parts);
}

describe('a journal that is put back from a copy', () => {
  it.each([
    ['made while it was open', true],
    ['made while it was closed', false],
  ])('knows that it is older (%s), and refuses with both stories', async (_, isOpen) => {
    await restored({ isOpen });
    const journal = open();
    const row = journal.saga('s1');
    expect(row?.state).toBe('open');
    expect(journal.standing?.()).toMatchObject({ is: 'older' });
    expect(row && thrownBy(() => expectNewest(journal, row, 'resume'))).toEqual(
      refused(
        'JOURNAL_BEHIND',
        /the intent of mirrorDisks, of .*but it has counted 2 writes, and 5 .*newer.*--accept/,
      ),
    );
    expect(row && thrownBy(() => expectNewest(journal, row, 'offline'))).toEqual(
      refused('JOURNAL_BEHIND', /--front old.*--front new/),
    );
    await journal.close();
  });

  it('is still known when others have looked at it, and is the newest again once that is put back', async () => {
    await restored();
    for (let look = 0; look < 2; look += 1) {
      const journal = open();
      expect(journal.standing?.('s1').is).toBe('older');
      await journal.close();
    }
    const newest = open(back());
    expect(newest.standing?.().is).toBe('newest');
    await newest.close();
  });

  it('lets a new saga begin, and goes on doubting those that it had, also after that', async () => {
    await restored();
    const journal = open();
    const lease = journal.begin(newSaga('s2', { vm: 'db' }));
    await journal.end(lease, 'committed', {});
    await journal.close();
    const next = open();
    expect(next.standing?.().is).toBe('newest');
    expect(next.standing?.('s1')).toEqual({ is: 'older', generation: 2, written: 5 });
    expect(next.standing?.('s2').is).toBe('newest');
    next.accept?.('s1');
    expect(next.standing?.('s1').is).toBe('newest');
    await next.close();
    expect(open().standing?.('s1').is).toBe('newest');
  });

  it('refuses the newer one as older when it is put back behind what was written to the copy', async () => {
    await restored();
    copy(file, join(directory, 'copy.db'), JOURNAL_ALONE);
    const journal = open();
    for (const id of ['a', 'b', 'c']) journal.begin(newSaga(id, { vm: id }));
    await journal.close();
    copy(join(directory, 'copy.db'), file, JOURNAL_ALONE);
    expect(open().standing?.().is).toBe('older');
  });

  it('is known by a write-ahead log that was lost', async () => {
    await open().close();
    const journal = open();
    journal.begin(newSaga('s1'));
    copy(file, back(), ['']);
    await journal.close();
    copy(back(), file, JOURNAL_ALONE);
    const older = open();
    expect(older.saga('s1')).toBeUndefined();
    expect(older.standing?.().is).toBe('older');
    await older.close();
  });
});

describe('a journal of which nothing tells', () => {
  it.each([
    ['is not there', () => rmSync(`${file}.generation`)],
    ['is no generation', () => writeFileSync(`${file}.generation`, 'anything\n')],
    ['is empty', () => writeFileSync(`${file}.generation`, '')],
    [
      'is a link',
      () => {
        rmSync(`${file}.generation`);
        symlinkSync(join(directory, 'elsewhere'), `${file}.generation`);
      },
    ],
  ])('is unknown where what is beside it %s', async (_, spoil) => {
    await restored();
    spoil();
    const journal = open();
    expect(journal.standing?.('s1')).toMatchObject({ is: 'unknown', why: expect.stringMatching(/./) });
    const row = journal.saga('s1');
    if (row !== undefined) expectNewest(journal, row, 'resume');
    await journal.close();
    expect(existsSync(join(directory, 'elsewhere'))).toBe(false);
  });

  it('is unknown where it was copied elsewhere without it, and current there once it is written', async () => {
    await restored();
    const moved = join(directory, 'moved.db');
    copy(back(), moved, JOURNAL_ALONE);
    const journal = open(moved);
    expect(journal.standing?.().is).toBe('unknown');
    journal.begin(newSaga('s2', { vm: 'db' }));
    expect(journal.standing?.().is).toBe('newest');
    await journal.close();
  });

  it('stays unknown in what it says of a saga that had not ended, however often it is written to since', async () => {
    await restored();
    rmSync(`${file}.generation`);
    const journal = open();
    const lease = journal.takeOver('s1', { force: true });
    await journal.append(lease, [intent('markQemu')], { durable: true });
    await journal.close();
    const next = open();
    next.begin(newSaga('s2', { vm: 'db' }));
    expect([next.standing?.(), next.standing?.('s2')]).toEqual([{ is: 'newest' }, { is: 'newest' }]);
    expect(next.standing?.('s1')).toMatchObject({ is: 'unknown', why: expect.stringMatching(/./) });
    await next.close();
    // What was beside it is found again.
    const counted = readFileSync(`${file}.generation`, 'utf8');
    writeFileSync(`${file}.generation`, counted.replace(/\d{16}\n$/, `${'99'.padStart(16, '0')}\n`));
    const older = open();
    older.takeOver('s1', { force: true });
    expect(older.standing?.('s1')).toMatchObject({ is: 'older', written: 99 });
    await older.close();
  });

  it('is unknown beside the generation of another journal', async () => {
    await restored();
    const other = join(directory, 'other.db');
    const made = open(other);
    made.begin(newSaga('s9'));
    await made.close();
    copyFileSync(`${other}.generation`, `${file}.generation`);
    expect(open().standing?.()).toMatchObject({ is: 'unknown', why: expect.stringContaining('another') });
  });

  it('takes a directory that was put back as a whole for the newest: QEMU and the images tell then', async () => {
    await restored({ parts: [...PARTS] });
    expect(open().standing?.('s1').is).toBe('newest');
  });
});

describe('a journal that was not put back', () => {
  it('is the newest after processes that died without closing it, whatever they wrote at the same time', async () => {
    const first = open();
    const lease = first.begin(newSaga('s1'));
    const second = openJournal(file, { processes: processNumber(alive, () => alive) });
    second.begin(newSaga('s2', { vm: 'db' }));
    for (let n = 0; n < 5; n += 1) {
      await first.append(lease, [intent(`step${n}`)], { durable: true });
      second.ask('s2', 'abort', null);
      expect([first.standing?.().is, second.standing?.().is]).toEqual(['newest', 'newest']);
    }
    const next = open();
    expect(next.standing?.('s1').is).toBe('newest');
    await Promise.all([first.close(), second.close(), next.close()]);
  });

  it('keeps the file beside it for its owner only, and of one length', async () => {
    const journal = open();
    journal.begin(newSaga('s1'));
    expect((statSync(`${file}.generation`).mode & 0o777).toString(8)).toBe('600');
    expect(readFileSync(`${file}.generation`, 'utf8')).toMatch(/^blocksaga-journal [0-9a-f]{16} 0{15}1\n$/);
    await journal.close();
  });

  it('is one journal by whichever link it is opened', async () => {
    const journal = open();
    journal.begin(newSaga('s1'));
    await journal.close();
    const link = join(directory, 'link.db');
    symlinkSync(file, link);
    const linked = open(link);
    expect(linked.standing?.().is).toBe('newest');
    await linked.close();
    expect(existsSync(`${link}.generation`)).toBe(false);
  });

  it.skipIf(process.getuid?.() === 0)(
    'goes on where the file beside it cannot be written, and says so',
    async () => {
      const journal = open();
      const lease = journal.begin(newSaga('s1'));
      chmodSync(`${file}.generation`, 0o400);
      await journal.append(lease, [intent('markQemu')], { durable: true });
      expect(journal.standing?.()).toMatchObject({
        is: 'unknown',
        why: expect.stringContaining('cannot be'),
      });
      await journal.close();
    },
  );

  it('goes on where a directory is in the place of the file beside it, and says so', async () => {
    const journal = open();
    const lease = journal.begin(newSaga('s1'));
    rmSync(`${file}.generation`);
    mkdirSync(`${file}.generation`);
    await journal.append(lease, [intent('markQemu')], { durable: true });
    expect(journal.standing?.().is).toBe('unknown');
    expect(journal.records('s1')).toHaveLength(1);
    await journal.close();
  });
});
