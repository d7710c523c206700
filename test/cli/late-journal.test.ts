/** The page of a journal that is not there yet: empty, until another process has made it; it makes no file itself. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lateJournal } from '../../src/cli/saga/late-journal.ts';
import { journalView } from '../../src/inspect/journal-view.ts';
import { openJournal } from '../../src/journal/sqlite.ts';

test('a journal that comes later is shown from then on', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'late-journal-'));
  const file = join(folder, 'journal.db');
  const late = lateJournal(file);
  const view = journalView(late, { isAlive: () => true });
  expect(view.list()).toEqual([]);
  expect(existsSync(file)).toBe(false);
  const made = openJournal(file);
  made.begin({
    ...{ id: 's', vm: 'web', operation: 'copy', planVersion: 0, address: '/run/vm', request: {}, plan: {} },
  });
  expect(view.list().map(({ saga }) => saga)).toEqual(['s']);
  await made.close();
  await late.close();
  rmSync(folder, { recursive: true });
});
