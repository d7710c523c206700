import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openJournal } from '../../src/journal/sqlite.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { asOneFile } from '../one-file.ts';
import { often } from '../tiers/tier.ts';
import { intent } from './contract.ts';

const PROGRAM = fileURLToPath(new URL('./journal-process.ts', import.meta.url));

/** Enough to starve some of them with SQLite's own waiting; more, such as 64, only need a machine that has room for them. */
const PROCESSES = Number(process.env['BLOCKSAGA_PROCESSES'] ?? often(6, 12));

interface Running {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  readonly lines: AsyncIterator<string>;
  readonly reader: Interface;
}

let directory = '';
let file = '';
let running: Running[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'blocksaga-journal-'));
  file = join(directory, 'journal.db');
});
afterEach(async () => {
  await Promise.all(running.map(kill));
  running = [];
  rmSync(directory, { recursive: true });
});

async function start(verb: string, name: string): Promise<Running> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', await asOneFile(PROGRAM), file, verb, name],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const reader = createInterface({ input: child.stdout });
  const one = { child, reader, lines: reader[Symbol.asyncIterator]() };
  running.push(one);
  return one;
}

function startAll(verb: string, names: readonly string[]): Promise<readonly Running[]> {
  return Promise.all(names.map(name => start(verb, name)));
}

async function said({ lines }: Running): Promise<unknown> {
  const { done, value } = await lines.next();
  if (done) throw new Error('the process has ended');
  return JSON.parse(value);
}

async function kill({ child }: Running): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Lets all go at the same moment, once each is ready, and gives what each came to. */
async function race(processes: readonly Running[]): Promise<unknown[][]> {
  for (const one of processes) expect(await said(one)).toBe('ready');
  for (const { child } of processes) child.stdin.write('go\n');
  return (await Promise.all(processes.map(said))) as unknown[][];
}

describe('several processes with one journal', () => {
  it('make the file at the same moment and claim the same VMs: each VM goes to exactly one', async () => {
    const results = await race(await startAll('claim', ['p1', 'p2', 'p3', 'p4', 'p5']));
    const winners = results[0]?.map((_, vm) => results.filter(result => result[vm] === true).length);
    expect(winners).toEqual(Array.from({ length: 20 }, () => 1));
    const refusals = results.flat().filter(result => result !== true);
    expect(refusals).toHaveLength(80);
    for (const refusal of refusals) expect(refusal).toMatch(/^VM_BUSY .*process \d+ is running: wait/);
  });

  it('take over the saga of a killed process at the same moment: exactly one gets it', async () => {
    const victim = await start('append', 's1');
    await said(victim);
    await kill(victim);
    const results = await race(await startAll('takeOver', ['s1', 's1', 's1']));
    expect(results.flat().filter(result => result === true)).toHaveLength(1);
    expect(results.flat().filter(result => /^VM_BUSY .*is running/.test(String(result)))).toHaveLength(2);
  });

  it(`run a saga each, ${PROCESSES} of them at once, and each commits`, async () => {
    const names = Array.from({ length: PROCESSES }, (_, index) => `p${index}`);
    const processes = await startAll('saga', names);
    await race(processes); // each says that it has begun
    const ends = await Promise.all(processes.map(said));
    expect(ends).toEqual(names.map(() => expect.objectContaining({ outcome: 'committed', running: true })));
    const journal = openJournal(file);
    expect(journal.sagas({ state: 'committed' })).toHaveLength(PROCESSES);
    await journal.close();
  });

  it('wait for one that holds the file for long, and their event loops turn meanwhile', async () => {
    const HELD_MS = 6_000;
    const one = await start('saga', 'p0');
    expect(await said(one)).toBe('ready');
    const holder = new DatabaseSync(file);
    holder.exec('BEGIN IMMEDIATE');
    one.child.stdin.write('go\n');
    await sleep(systemClock, HELD_MS);
    holder.exec('ROLLBACK');
    holder.close();
    expect(await said(one)).toBe('begun');
    const end = (await said(one)) as { outcome: string; standsMs: number };
    expect(end).toMatchObject({ outcome: 'committed', running: true });
    expect(end.standsMs).toBeLessThan(HELD_MS / 2);
  });

  it.each([1, 40, 333])(
    'keep all %i and more records that were acknowledged before kill -9',
    async acknowledgedMin => {
      const victim = await start('append', 's1');
      while (Number(await said(victim)) < acknowledgedMin);
      const exited = once(victim.child, 'exit');
      victim.child.kill('SIGKILL');
      let acknowledged = acknowledgedMin;
      for await (const line of { [Symbol.asyncIterator]: () => victim.lines }) acknowledged = Number(line);
      await exited;

      const journal = openJournal(file);
      const records = journal.records('s1');
      // One more may have been written and not reported.
      expect([acknowledged, acknowledged + 1]).toContain(records.length);
      for (const [index, { seq, step, body }] of records.entries()) {
        expect({ seq, step, body }).toEqual({
          seq: index + 1,
          step: `step${index + 1}`,
          body: { number: index + 1, fill: 'x'.repeat((index + 1) % 300) },
        });
      }
      journal.appendSync(journal.takeOver('s1'), [intent('goesOn')]);
      expect(journal.records('s1')).toHaveLength(records.length + 1);
      await journal.close();
    },
  );
});
