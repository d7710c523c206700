import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { openJournal } from '../../src/journal/sqlite.ts';
import type { Clock } from '../../src/qmp/clock.ts';
import { describeJournal, processNumber, type Subject } from './contract.ts';

let directory = '';
let files = 0;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'blocksaga-journal-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** To the journal of the next process, that of the one before is as dead as its holder says. */
function subject(file: string, clock: Clock, pid: number, world: { firstAlive: number }): Subject {
  const journal = openJournal(file, { clock, processes: processNumber(pid, () => world.firstAlive) });
  const restart = () => {
    world.firstAlive = pid + 1;
    return subject(file, clock, pid + 1, world);
  };
  return { journal, restart };
}

describeJournal('in SQLite', clock => {
  files += 1;
  return subject(join(directory, `${files}.db`), clock, 1, { firstAlive: 1 });
});
