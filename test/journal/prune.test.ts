import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { pruneJournal } from '../../src/journal/prune.ts';
import { openJournal } from '../../src/journal/sqlite.ts';
import { systemClock } from '../../src/qmp/clock.ts';
import { fakeContext } from '../cli/fake-context.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { intent, newSaga } from './contract.ts';

const DAY_MS = 86_400_000;
const PLAN = { disks: [] };

/** A journal with a saga in each state, all of day 10, and one that was committed on day 20. */
async function journalOfDays(): Promise<string> {
  const file = join(temporaryFolder(), 'journal.db');
  let nowMs = 10 * DAY_MS;
  const journal = openJournal(file, { clock: { ...systemClock, epochMs: () => nowMs } });
  onTestFinished(async () => journal.close());
  for (const state of ['committed', 'rolledBack', 'needsRecovery', 'open'] as const) {
    const lease = journal.begin(newSaga(state, { vm: state, plan: PLAN }));
    await journal.append(lease, [intent('markQemu')], { durable: true });
    if (state !== 'open') await journal.end(lease, state, null);
  }
  nowMs = 20 * DAY_MS;
  await journal.end(journal.begin(newSaga('later', { vm: 'later', plan: PLAN })), 'committed', null);
  return file;
}

describe('pruning a journal', () => {
  test('forgets what ended before, with its records, and neither what is open nor what needs recovery', async () => {
    const file = await journalOfDays();
    const other = openJournal(file);
    expect(pruneJournal(file, 15 * DAY_MS)).toEqual(['committed', 'rolledBack']);
    expect(other.sagas().map(saga => saga.id)).toEqual(['later', 'open', 'needsRecovery']);
    expect([other.records('committed'), other.records('open').length]).toEqual([[], 1]);
    expect(pruneJournal(file, 15 * DAY_MS)).toEqual([]);
    await other.close();
  });

  test('leaves the fencing tokens of the VMs as they were', async () => {
    const file = await journalOfDays();
    pruneJournal(file, 15 * DAY_MS);
    const journal = openJournal(file);
    expect(journal.begin(newSaga('new', { vm: 'committed' })).token).toBe(2);
    await journal.close();
  });

  test("keeps a group's decision until all of its members have ended", async () => {
    const file = join(temporaryFolder(), 'journal.db');
    const journal = openJournal(file);
    const member = journal.begin(newSaga('g.0', { vm: 'a', plan: PLAN }));
    const plan = { disks: [], members: ['g.0'] };
    await journal.end(
      journal.begin(newSaga('g', { vm: 'group:g', operation: 'group', plan })),
      'committed',
      null,
    );
    expect(pruneJournal(file, systemClock.epochMs() + 1_000)).toEqual([]);
    await journal.end(member, 'committed', null);
    expect(pruneJournal(file, systemClock.epochMs() + 1_000)).toEqual(['g.0', 'g']);
    await journal.close();
  });

  test('keeps a group that parts on other hosts may still ask for, for a month', async () => {
    const file = join(temporaryFolder(), 'journal.db');
    const journal = openJournal(file);
    const plan = { disks: [], members: [], parts: [{ host: 'h2', attempt: 'a1' }] };
    await journal.end(
      journal.begin(newSaga('g', { vm: 'group:g', operation: 'group', plan })),
      'committed',
      null,
    );
    const inDays = (days: number) => ({
      ...systemClock,
      epochMs: () => systemClock.epochMs() + days * DAY_MS,
    });
    const prunedIn = (days: number) => pruneJournal(file, inDays(days).epochMs() + 1_000, inDays(days));
    expect([prunedIn(29), prunedIn(31)]).toEqual([[], ['g']]);
    await journal.close();
  });

  test('by the command counts in days, tells what it forgot, and makes no journal', async () => {
    const file = await journalOfDays();
    const clock = { ...systemClock, epochMs: () => 40 * DAY_MS };
    const run = async (...args: readonly string[]) => {
      const context = fakeContext({ clock });
      return { status: await runProgram(['sagas', ...args], context), out: context.out, err: context.err };
    };
    expect((await run('--prune', '--journal', file)).out).toEqual(['nothing is that old']);
    expect(await run('--prune', '--older-than', '25', '--json', '--journal', file)).toMatchObject({
      status: 0,
      out: ['{"type":"pruned","id":"committed"}', '{"type":"pruned","id":"rolledBack"}'],
    });
    const none = join(temporaryFolder(), 'none.db');
    expect((await run('--prune', '--journal', none)).status).toBe(0);
    expect(existsSync(none)).toBe(false);
    expect((await run('--older-than', '25', '--journal', file)).status).toBe(2);
    expect((await run('--prune', '--vm', 'web', '--journal', file)).status).toBe(2);
  });
});
