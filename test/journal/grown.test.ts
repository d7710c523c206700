/**
 * A journal that has grown for years: what is looked at often reads as many rows of it as of a young one, counted, and a policy
 * forgets what is old without being asked.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { makerOf } from '../../src/cli/saga/read-journal.ts';
import { examine } from '../../src/engine/doctor/doctor.ts';
import { definedOnly } from '../../src/errors.ts';
import { createEngine, type Journal, type Keep, memoryJournal, openJournal } from '../../src/index.ts';
import { journalView } from '../../src/inspect/journal-view.ts';
import { expectWhole } from '../../src/journal/sqlite-file.ts';
import { diskNames, sagaToken } from '../../src/plan/names.ts';
import { type Clock, systemClock } from '../../src/qmp/clock.ts';
import { createSim } from '../../src/sim/index.ts';
import { fakeContext } from '../cli/fake-context.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { intent, newSaga, refused } from './contract.ts';

const DAY_MS = 86_400_000;

/** A committed snapshot of the simulator, and as many copies of it as ended sagas, straight into the file. */
async function journalOf(endedSagas: number): Promise<string> {
  const file = join(temporaryFolder(), 'journal.db');
  const journal = openJournal(file);
  const sim = createSim({ profile: '7.2', disks: 1, seed: 1 });
  const [disk] = sim.world.fronts();
  const saga = await sim.run(
    createEngine({ journal, clock: sim.clock }).snapshot({
      ...{ id: 'first', vm: 'first', qmp: sim.connect, files: sim.files },
      disks: [{ disk: disk?.node ?? '', overlay: '/images/snap.qcow2' }],
    }),
  );
  await sim.run(saga.result);
  const lease = journal.begin(
    newSaga('open', { vm: 'open', operation: 'snapshot', planVersion: 1, plan: { disks: [{ disk: 'd' }] } }),
  );
  await journal.release?.(lease);
  const db = new DatabaseSync(file);
  db.function('saga_token', id => sagaToken(String(id)));
  db.exec(`
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${endedSagas})
    INSERT INTO saga SELECT NULL, 'old-' || i, 'vm-' || i % 50, operation, plan_version, address, request, plan,
      CASE WHEN i % 4 = 0 THEN 'rolledBack' ELSE 'committed' END, result, created_at_ms, ended_at_ms, holder_pid,
      holder_boot_id, holder_started_at, holder_namespace, renewed_at_ms, progress, saga_token('old-' || i)
    FROM saga, n WHERE id = 'first'`);
  db.close();
  await journal.close();
  return file;
}

test('blocksaga sagas lists the newest, says how to see the others, and all as JSON or as many as asked for', async () => {
  const file = await journalOf(150);
  const run = async (...args: readonly string[]) => {
    const context = fakeContext();
    expect(await runProgram(['sagas', '--journal', file, ...args], context)).toBe(0);
    return context.out;
  };
  const listed = await run();
  expect(listed).toHaveLength(101);
  expect(listed.at(-1)).toBe('older ones are not listed: --limit N lists more than 100');
  expect(await run('--json')).toHaveLength(152);
  expect(await run('--limit', '1000')).toHaveLength(152);
  expect(await run('--limit', '2', '--json')).toHaveLength(2);
  expect(await run('--state', 'open')).toHaveLength(1);
  const db = new DatabaseSync(file);
  db.exec("UPDATE saga SET state = 'needsRecovery' WHERE id = 'first'");
  db.close();
  expect((await run()).slice(-2)).toEqual([
    'older ones are not listed: --limit N lists more than 100',
    'some need recovery: "blocksaga sagas --state needsRecovery" lists all of these',
  ]);
});

/** The journal, and how many rows and records it has been asked for. */
function counted(journal: Journal): { readonly journal: Journal; readonly read: () => number } {
  let read = 0;
  const count = <T>(rows: readonly T[]): readonly T[] => {
    read += rows.length;
    return rows;
  };
  return {
    read: () => read,
    journal: {
      ...journal,
      saga: id => count([journal.saga(id)])[0],
      sagas: filter => count(journal.sagas(filter)),
      records: id => count(journal.records(id)),
    },
  };
}

const LOOKS: Readonly<Record<string, (journal: Journal) => unknown>> = {
  doctor: journal => examine({ journal }),
  'jobs, of a saga': journal => makerOf(diskNames(sagaToken('first'), 0).image, journal),
  'jobs, of no saga': journal => makerOf(diskNames(sagaToken('none'), 0).image, journal),
  'the page': journal => {
    const view = journalView(journal, { isAlive: () => true });
    return [view.list().length, view.hasMore()];
  },
  'a page of a list': journal => createEngine({ journal }).sagas({ limit: 20 }),
  'what is open': journal => createEngine({ journal }).sagas({ state: 'open' }),
  'what one VM has open': journal => createEngine({ journal }).sagas({ vm: 'vm-7', state: 'open' }),
  'one saga': journal => createEngine({ journal }).saga('first'),
};

describe('a journal of 100,000 ended sagas', () => {
  test('costs what one of a thousand costs: in rows, and no table is walked through', async () => {
    const prepared = vi.spyOn(DatabaseSync.prototype, 'prepare');
    onTestFinished(() => prepared.mockRestore());
    const costs = [];
    let file = '';
    for (const endedSagas of [1_000, 100_000]) {
      file = await journalOf(endedSagas);
      prepared.mockClear();
      const journal = openJournal(file);
      onTestFinished(() => journal.close());
      const cost: Record<string, number> = {};
      for (const [name, look] of Object.entries(LOOKS)) {
        const counting = counted(journal);
        await look(counting.journal);
        cost[name] = counting.read();
      }
      costs.push(cost);
    }
    expect(costs[1]).toEqual(costs[0]);
    expect(Math.max(...Object.values(costs[0] ?? {}))).toBeLessThan(350);
    const lists = prepared.mock.calls.map(([sql]) => sql).filter(sql => /^SELECT \* FROM saga/.test(sql));
    expect(lists.length).toBeGreaterThan(4);
    expect(lists.flatMap(sql => walksOf(file, sql))).toEqual([]);
  });
});

test('damage in an old saga of many is found by the doctor where the whole journal is asked for', async () => {
  const file = await journalOf(300);
  const db = new DatabaseSync(file);
  db.exec(`UPDATE saga SET plan = '{' WHERE id = 'old-1'`);
  db.close();
  const doctor = async (...args: readonly string[]) => {
    const context = fakeContext();
    const status = await runProgram(['doctor', '--journal', file, ...args], context);
    return { status, told: [...context.out, ...context.err].join('\n') };
  };
  expect((await doctor()).told).not.toContain('old-1');
  expect(await doctor('--all')).toEqual({
    status: 3,
    told: expect.stringMatching(/saga old-1, its row.*plan/),
  });
  // A page of the table itself, of which SQLite alone can say that it is damaged.
  const bytes = readFileSync(file);
  bytes.fill(0xa5, bytes.length - 4096 * 3, bytes.length - 4096 * 2);
  writeFileSync(file, bytes);
  expect(() => expectWhole(file)).toThrow(refused('JOURNAL', /damaged/));
  expect(await doctor('--all')).toEqual({ status: 2, told: expect.stringMatching(/journal.db is damaged/) });
});

/** How SQLite would find the rows, where that is not by an index. The newest are read from the end of the table. */
function walksOf(file: string, sql: string): readonly string[] {
  const db = new DatabaseSync(file, { readOnly: true });
  const plan = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
  db.close();
  const walks = plan.map(row => String(row['detail'])).filter(line => /^SCAN|TEMP B-TREE/.test(line));
  // An index of nothing but those with leftovers may be read from its end.
  if (walks.join() === 'SCAN saga USING INDEX saga_with_leftovers') return [];
  const isNewestFirst = !sql.includes('WHERE') && walks.join() === 'SCAN saga';
  return isNewestFirst ? [] : walks.map(walk => `${sql}: ${walk}`);
}

describe('what a journal keeps', () => {
  const sagaOf = (id: string) => newSaga(id, { vm: id, plan: { disks: [] } });

  /** Four that were committed on days 1 to 4, one that needs recovery of day 1, and one that is open. */
  async function fourDays(openWith: (keep: Keep | undefined, clock: Clock) => Journal, keep?: Keep) {
    let nowMs = DAY_MS;
    const journal = openWith(keep, { ...systemClock, epochMs: () => nowMs });
    const endOn = async (id: string, day: number, state: 'committed' | 'needsRecovery' | 'rolledBack') => {
      nowMs = day * DAY_MS;
      const lease = journal.begin(sagaOf(id));
      await journal.append(lease, [intent('markQemu')], { durable: true });
      await journal.end(lease, state, null);
    };
    await endOn('needs', 1, 'needsRecovery');
    for (const day of [1, 2, 3, 4]) await endOn(`day${day}`, day, day % 2 === 0 ? 'rolledBack' : 'committed');
    return { journal, lease: journal.begin(sagaOf('open')) };
  }

  const ADAPTERS: readonly (readonly [string, (keep: Keep | undefined, clock: Clock) => Journal])[] = [
    ['memory', (keep, clock) => memoryJournal(undefined, { clock, ...definedOnly({ keep }) })],
    [
      'SQLite',
      (keep, clock) => openJournal(join(temporaryFolder(), 'j.db'), { clock, ...definedOnly({ keep }) }),
    ],
  ];

  test.each(
    ADAPTERS.flatMap(([name, openWith]) => [
      { name, openWith, keep: { days: 1.5 }, stays: ['open', 'day4', 'day3', 'needs'] },
      { name, openWith, keep: { count: 1 }, stays: ['open', 'day4', 'needs'] },
      { name, openWith, keep: { days: 1.5, count: 3 }, stays: ['open', 'day4', 'day3', 'needs'] },
      { name, openWith, keep: { days: 30, count: 3 }, stays: ['open', 'day4', 'day3', 'day2', 'needs'] },
      { name, openWith, keep: { days: 0, count: 0 }, stays: ['open', 'needs'] },
      { name, openWith, keep: {}, stays: ['open', 'day4', 'day3', 'day2', 'day1', 'needs'] },
    ]),
  )('$keep, in $name', async ({ openWith, keep, stays }) => {
    const { journal, lease } = await fourDays(openWith, keep);
    while (((await journal.forget?.()) ?? 0) > 0);
    expect(journal.sagas().map(({ id }) => id)).toEqual(stays);
    expect(journal.records('day1')).toHaveLength(stays.includes('day1') ? 1 : 0);
    await journal.end(lease, 'committed', null);
    await journal.close();
  });

  test.each(ADAPTERS)(
    "is a group's decision too, until all of its members have ended, in %s",
    async (_, openWith) => {
      const journal = openWith({ count: 0 }, systemClock);
      const plan = { disks: [], members: ['g.0', 'g.1'] };
      const member = journal.begin(sagaOf('g.0'));
      await journal.end(
        journal.begin(newSaga('g', { vm: 'group:g', operation: 'group', plan })),
        'committed',
        null,
      );
      await journal.end(journal.begin(sagaOf('g.1')), 'committed', null);
      while (((await journal.forget?.()) ?? 0) > 0);
      expect(journal.sagas().map(({ id }) => id)).toEqual(['g', 'g.0']);
      await journal.end(member, 'committed', null);
      while (((await journal.forget?.()) ?? 0) > 0);
      expect(journal.sagas()).toEqual([]);
      await journal.close();
    },
  );

  test('is said in days and a count, or refused', () => {
    for (const keep of [{ days: -1 }, { days: Number.NaN }, { count: 1.5 }, { count: -1 }]) {
      expect(() => memoryJournal(undefined, { keep })).toThrow(refused('REQUEST_INVALID', /keep: /));
      expect(() => openJournal(join(temporaryFolder(), 'j.db'), { keep })).toThrow(
        refused('REQUEST_INVALID'),
      );
    }
  });

  test('is forgotten by an engine at work, a few in each commit and none while a guest is paused', async () => {
    const sim = createSim({ profile: '7.2', disks: 1, seed: 1 });
    const inner = memoryJournal(undefined, { clock: sim.clock, keep: { count: 2 } });
    for (let index = 0; index < 60; index += 1) {
      await inner.end(inner.begin(sagaOf(`old${index}`)), 'committed', null);
    }
    const whilePaused: boolean[] = [];
    const forget = () => {
      whilePaused.push(!sim.world.running);
      return inner.forget?.() ?? Promise.resolve(0);
    };
    const engine = createEngine({ journal: { ...inner, forget }, clock: sim.clock });
    const [disk] = sim.world.fronts();
    const saga = await sim.run(
      engine.copy({
        ...{ id: 'new', vm: 'new', qmp: sim.connect, files: sim.files },
        disks: [{ disk: disk?.node ?? '', to: '/images/new.qcow2' }],
      }),
    );
    expect((await sim.run(saga.result)).outcome).toBe('committed');
    await sim.advance(5_000);
    expect(inner.sagas().map(({ id }) => id)).toEqual(['new', 'old59']);
    expect(whilePaused.length).toBeGreaterThan(2);
    expect(whilePaused).not.toContain(true);
  });
});
