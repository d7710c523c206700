/**
 * One journal of processes that cannot see one another: two containers, each with process ids of its own, and a host. Only the
 * lease tells there whether a saga's process lives. Containers are made by `unshare`; where that is not to be had, this is told.
 */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { createEngine } from '../../src/engine/engine.ts';
import type { Processes, SagaRow } from '../../src/journal/journal.ts';
import { isUnseen, LEASE_MS, mayRun } from '../../src/journal/lease.ts';
import { openJournal } from '../../src/journal/sqlite.ts';
import { systemClock } from '../../src/qmp/clock.ts';
import { ManualClock } from '../qmp/manual-clock.ts';
import { newSaga, refused, thrownBy } from './contract.ts';

const PROGRAM = fileURLToPath(new URL('./journal-process.ts', import.meta.url));
const UNSHARE = ['--pid', '--fork', '--kill-child', '--mount-proc', '--map-root-user'];
const canContain = spawnSync('unshare', [...UNSHARE, 'true']).status === 0;

const directory = mkdtempSync(join(tmpdir(), 'blocksaga-containers-'));
const contained: ChildProcessByStdio<null, Readable, null>[] = [];
afterEach(async () => {
  for (const child of contained.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

async function hold(file: string, socket: string): Promise<ChildProcessByStdio<null, Readable, null>> {
  const command = [process.execPath, '--disable-warning=ExperimentalWarning', PROGRAM, file, 'hold', socket];
  const child = spawn('unshare', [...UNSHARE, ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
  contained.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  return child;
}

/** The clock of a process that looks so much later. */
const laterClock = (ms: number) => ({ ...systemClock, epochMs: () => systemClock.epochMs() + ms });

describe.runIf(canContain)('a saga of a process in another container', () => {
  test('is left alone while its lease is renewed, followed from outside, and gone on with when it is not', async () => {
    const file = join(directory, 'one.db');
    const child = await hold(file, join(directory, 'one.qmp'));
    const journal = openJournal(file);
    const begun = journal.saga('held')?.renewedAtMs ?? 0;
    const busy = refused('VM_BUSY', /on another host or in another container: its lease runs out/);
    expect(thrownBy(() => journal.takeOver('held'))).toEqual(busy);
    expect(thrownBy(() => journal.begin(newSaga('other')))).toMatchObject({
      retryable: true,
      blockedBy: { saga: 'held', operation: 'copy' },
    });
    await expect.poll(() => journal.saga('held')?.renewedAtMs ?? 0).toBeGreaterThan(begun);
    const engine = createEngine({ journal });
    const saga = engine.saga('held');
    expect(saga?.metadata).toEqual({ task: '4711' });
    const heard: string[] = [];
    const stop = saga?.subscribe(notice =>
      heard.push(notice.type === 'event' ? notice.state : `${notice.disk} ${notice.phase}`),
    );
    await expect
      .poll(() => heard)
      .toEqual(expect.arrayContaining(['mirroring.mirrorDisks', 'dev0 mirroring']));
    stop?.();
    child.kill('SIGKILL');
    await once(child, 'exit');
    await journal.close();
    const later = openJournal(file, { clock: laterClock(2 * LEASE_MS) });
    expect(later.takeOver('held')).toMatchObject({ isFromUnseen: true, token: 2 });
    await later.close();
  });

  test('is not taken for dead by a process that has the same id in a container of its own', async () => {
    const file = join(directory, 'two.db');
    await hold(file, join(directory, 'two.qmp'));
    const script = `import { openJournal } from ${JSON.stringify(new URL('../../src/journal/sqlite.ts', import.meta.url).href)};
      const journal = openJournal(${JSON.stringify(file)});
      try { journal.takeOver('held'); console.log('taken'); } catch (error) { console.log(error.code); }`;
    const args = ['--disable-warning=ExperimentalWarning', '--input-type=module-typescript', '-e', script];
    const { stdout } = spawnSync('unshare', [...UNSHARE, process.execPath, ...args], { encoding: 'utf8' });
    expect(stdout.trim()).toBe('VM_BUSY');
  });
});

/** Processes of which none can be seen. */
const blind: Processes = { self: { pid: 7, bootId: 'here', startedAt: '1' }, isAlive: () => undefined };

describe('the lease of a process that cannot be seen', () => {
  const file = (name: string) => join(directory, `${name}.db`);

  test('runs out by the journal’s clock, unless it is renewed', async () => {
    const clock = new ManualClock();
    const options = { clock, processes: blind };
    const journal = openJournal(file('lease'), options);
    const lease = journal.begin(newSaga('s1'));
    await clock.advance(LEASE_MS - 1);
    expect(thrownBy(() => journal.takeOver('s1'))).toEqual(refused('VM_BUSY', /in 1 s/));
    await journal.renew?.([{ lease, progress: [] }]);
    await clock.advance(LEASE_MS - 1);
    expect(thrownBy(() => journal.takeOver('s1'))).toEqual(refused('VM_BUSY'));
    await clock.advance(1);
    expect(journal.takeOver('s1')).toEqual({ saga: 's1', vm: 'web', token: 2, isFromUnseen: true });
    expect(thrownBy(() => journal.confirm(lease))).toEqual(refused('VM_BUSY', /has lost VM/));
    await journal.renew?.([{ lease, progress: 'late' }]);
    expect(journal.saga('s1')).not.toHaveProperty('progress');
    journal.close();
  });

  test('of a clock that is far ahead has run out as well', () => {
    const row: Pick<SagaRow, 'holder' | 'renewedAtMs'> = { holder: blind.self, renewedAtMs: 1_000_000 };
    expect(isUnseen(row, blind)).toBe(true);
    expect([500_000, 990_000, 1_010_000, 1_030_000].map(now => mayRun(row, blind, now))).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });

  test('is waited for by the engine that resumes, and given up at once by an engine that is closed', async () => {
    const clock = new ManualClock();
    const journal = openJournal(file('wait'), { clock, processes: blind });
    const lease = journal.begin(newSaga('s1'));
    await journal.release?.(lease);
    const sighted = { ...blind, isAlive: ({ pid }: { pid: number }) => (pid === 0 ? false : undefined) };
    const other = openJournal(file('wait'), { clock, processes: sighted });
    expect(other.takeOver('s1').isFromUnseen).toBeUndefined();
    other.close();
    journal.close();
    rmSync(directory, { recursive: true, force: true });
  });
});
