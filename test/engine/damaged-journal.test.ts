/** A journal with rows that are no JSON, or of another shape: typed errors that name saga and row, and the other sagas go on. */

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { createEngine, openJournal, recoverOffline } from '../../src/index.ts';
import { createSim, type Sim } from '../../src/sim/index.ts';
import { fakeContext } from '../cli/fake-context.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';

async function twoSagas(): Promise<{ readonly file: string; readonly state: string }> {
  const state = temporaryFolder();
  const file = join(state, 'blocksaga', 'journal.db');
  for (const id of ['bad', 'good']) {
    const journal = openJournal(file);
    const sim = createSim({ profile: '7.2', disks: 1, seed: 1 });
    const saga = await sim.run(
      createEngine({ journal, clock: sim.clock }).snapshot({ id, vm: id, ...guest(sim), ...request(sim) }),
    );
    await sim.run(saga.result);
    await journal.close();
  }
  return { file, state };
}

const guest = (sim: Sim) => ({ qmp: sim.connect, files: sim.files });
const request = (sim: Sim) => ({
  disks: sim.world.fronts().map(({ node }) => ({ disk: node, overlay: '/images/snap.qcow2' })),
});

function damage(file: string, sql: string): void {
  const db = new DatabaseSync(file);
  db.exec('PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF');
  db.exec(sql);
  db.close();
}

const DAMAGES: readonly (readonly [what: string, sql: string, named: RegExp])[] = [
  [
    'a plan that is no JSON',
    `UPDATE saga SET plan = '{"disks": [' WHERE id = 'bad'`,
    /saga bad, its row.*plan/,
  ],
  [
    'a plan of another shape',
    `UPDATE saga SET plan = '{"disks": 7}' WHERE id = 'bad'`,
    /saga bad, its row.*disks/,
  ],
  ['a plan without a disk', `UPDATE saga SET plan = '{"disks": []}' WHERE id = 'bad'`, /saga bad, its row/],
  ['a plan that is null', `UPDATE saga SET plan = 'null' WHERE id = 'bad'`, /saga bad, its row/],
  [
    'a deep plan',
    `UPDATE saga SET plan = '${'['.repeat(20_000)}${']'.repeat(20_000)}' WHERE id = 'bad'`,
    /saga bad, its row/,
  ],
  ['a result that is no JSON', `UPDATE saga SET result = 'x' WHERE id = 'bad'`, /saga bad, its row.*result/],
  [
    'a result of another shape',
    `UPDATE saga SET result = '[]' WHERE id = 'bad'`,
    /saga bad, its row.*result/,
  ],
  ['a result without one', `UPDATE saga SET result = NULL WHERE id = 'bad'`, /saga bad, its row.*result/],
];

const RECORD_DAMAGES: readonly (readonly [what: string, sql: string])[] = [
  ['a record that is no JSON', `UPDATE record SET body = 'x' WHERE saga = 'bad' AND seq = 2`],
  ['an outcome of another shape', `UPDATE record SET body = '{"error": 5}' WHERE saga = 'bad' AND seq = 2`],
  [
    'an error of an unknown code',
    `UPDATE record SET body = '{"error": {"code": "__proto__", "message": "", "retryable": true, "outcome": "applied"}}' WHERE saga = 'bad' AND seq = 2`,
  ],
  ['an intent that is a list', `UPDATE record SET body = '[]' WHERE saga = 'bad' AND seq = 1`],
];

describe('a damaged saga', () => {
  test.each(DAMAGES)('%s: the others are listed, shown and resumed', async (_what, sql, named) => {
    const { file, state } = await twoSagas();
    damage(file, sql);
    const run = async (...args: readonly string[]) => {
      const context = fakeContext({ env: { XDG_STATE_HOME: state } });
      return {
        status: await runProgram(args, context),
        out: context.out.join('\n'),
        err: context.err.join('\n'),
      };
    };
    expect(await run('sagas')).toMatchObject({ status: 0, out: expect.stringMatching(named), err: '' });
    expect((await run('sagas')).out).toContain('good: committed');
    expect((await run('sagas', '--json')).out.split('\n').map(line => JSON.parse(line).id)).toEqual([
      'good',
      'bad',
    ]);
    expect(await run('show', 'bad')).toMatchObject({ status: 2, err: expect.stringMatching(named) });
    expect(await run('show', 'good')).toMatchObject({ status: 0, err: '' });
    expect(await run('resume', 'bad')).toMatchObject({ status: 2, err: expect.stringMatching(named) });
    expect(await run('resume', '--offline', 'bad')).toMatchObject({
      status: 2,
      err: expect.stringMatching(named),
    });
    expect(await run('resume', 'good')).toMatchObject({ status: 0 });
    expect(await run('abort', 'bad')).toMatchObject({ status: 2 });
    expect(await run('set-speed', 'bad', '5M')).toMatchObject({ status: 2 });
    expect(await run('doctor')).toMatchObject({ status: 3, out: expect.stringMatching(named), err: '' });
    damage(
      file,
      `UPDATE saga SET state = 'open', holder_pid = 1, holder_boot_id = 'x', renewed_at_ms = 0 WHERE id = 'bad'`,
    );
    expect(await run('resume', '--all')).toMatchObject({
      status: 2,
      err: expect.stringContaining('saga bad'),
    });
  });

  test.each(RECORD_DAMAGES)('%s: the record is named, and the others go on', async (_what, sql) => {
    const { file, state } = await twoSagas();
    damage(
      file,
      `${sql}; UPDATE saga SET state = 'open', result = NULL, holder_pid = 1, holder_boot_id = 'x', renewed_at_ms = 0 WHERE id = 'bad'; UPDATE claim SET saga = 'bad' WHERE vm = 'bad'`,
    );
    const named = /saga bad, record [12]/;
    const run = async (...args: readonly string[]) => {
      const context = fakeContext({ env: { XDG_STATE_HOME: state } });
      return {
        status: await runProgram(args, context),
        out: context.out.join('\n'),
        err: context.err.join('\n'),
      };
    };
    expect(await run('sagas')).toMatchObject({ status: 0, out: expect.stringMatching(named), err: '' });
    expect(await run('show', 'bad')).toMatchObject({ status: 2, err: expect.stringMatching(named) });
    expect(await run('doctor')).toMatchObject({ status: 3, out: expect.stringMatching(named), err: '' });
    const journal = openJournal(file);
    await expect(recoverOffline(journal, 'bad')).rejects.toMatchObject({ code: 'JOURNAL', saga: 'bad' });
    const sim = createSim({ profile: '7.2', disks: 1, seed: 1 });
    const engine = createEngine({ journal, clock: sim.clock });
    await expect(engine.resume('bad', guest(sim))).rejects.toMatchObject({ code: 'JOURNAL', saga: 'bad' });
    const saga = await sim.run(engine.snapshot({ id: 'next', vm: 'next', ...guest(sim), ...request(sim) }));
    expect((await sim.run(saga.result)).outcome).toBe('committed');
    await journal.close();
  });
});
