/**
 * Servers of targets that hang (SIGSTOP) or die (SIGKILL) while a copy mirrors, waits at READY, or has paused the guest: the
 * guest is not paused for a server that does not answer, and not switched to one that has died.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { localFiles } from '../../src/index.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import type { BlockInfo } from '../../src/qmp/schema.generated.ts';
import { eachValue, turns } from '../tiers/tier.ts';
import { describeOnQemu } from './real-qemu.ts';
import { explain, type Stage, stage } from './witnessed.ts';

const run = promisify(execFile);
const STEPS_MAX = 400;
const STEP_MS = 50;
const HANGS_MS = 3_000;
const MAX_BLACKOUT_MS = 2_000;

interface Served {
  readonly address: string;
  readonly server: ChildProcess;
}

async function serve(on: Stage, index: number, clients = 4): Promise<Served> {
  const file = join(on.directory, `export${index}.raw`);
  const socket = join(on.directory, `nbd${index}`);
  await run('qemu-img', ['create', '-q', '-f', 'raw', file, String(on.vm.disks[0]?.sizeBytes ?? 0)]);
  const server = spawn(
    'qemu-nbd',
    ['-f', 'raw', '-x', 'disk', '-t', '-e', String(clients), '-k', socket, file],
    { stdio: 'ignore' },
  );
  onTestFinished(() => void server.kill('SIGKILL'));
  for (let step = 0; step < STEPS_MAX; step += 1) {
    if ((await stat(socket).catch(() => undefined)) !== undefined) break;
    await sleep(systemClock, STEP_MS);
  }
  return { address: `nbd+unix:///disk?socket=${socket}`, server };
}

async function frontsOf(on: Stage): Promise<readonly string[]> {
  const blocks = (await on.vm.witness.execute('query-block')) as readonly BlockInfo[];
  return blocks.flatMap(({ inserted }) => (inserted === undefined ? [] : [inserted.file]));
}

async function expectRuns(on: Stage): Promise<void> {
  expect(await on.vm.witness.execute('query-status')).toMatchObject({ running: true });
}

async function kill(server: ChildProcess | undefined): Promise<void> {
  if (server === undefined) return;
  const gone = once(server, 'exit');
  server.kill('SIGKILL');
  await gone;
}

/** A copy to two exports; the second is the one that something happens to. */
async function staged(strategy: 'reopen' | 'finalize' | 'complete', clients = 4) {
  const on = await stage({ disks: 2 });
  const exports = [await serve(on, 0), await serve(on, 1, clients)] as const;
  const request = {
    ...on.copyAll(index => ({ to: exports[index]?.address ?? '' })),
    ...on.tapped,
    files: localFiles,
    strategy,
    maxBlackoutMs: MAX_BLACKOUT_MS,
  };
  return { on, exports, request, server: exports[1].server };
}

const inTurn = turns();

describeOnQemu('a server of a target that hangs', () => {
  test.each(inTurn(['reopen', 'finalize'] as const))(
    'at READY is waited for with the guest running: %s',
    async strategy => {
      const { on, exports, request, server } = await staged(strategy);
      await using _ = on;
      const saga = await on.engine.copy({ ...request, finish: 'leave' });
      expect((await saga.result).outcome).toBe('ready');
      server.kill('SIGSTOP');
      const end = saga.pivot();
      const acknowledged = on.vm.acknowledged();
      await sleep(systemClock, HANGS_MS);
      await expectRuns(on);
      expect(on.vm.acknowledged()).toBeGreaterThan(acknowledged);
      server.kill('SIGCONT');
      const result = await end;
      expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
      expect(result.blackoutMs).toBeLessThan(MAX_BLACKOUT_MS);
      expect(await frontsOf(on)).toEqual(exports.map(({ address }) => address));
      await expectRuns(on);
    },
  );

  test('while it mirrors is waited for too', async () => {
    const { on, request, server } = await staged('reopen');
    await using _ = on;
    on.tap.after('blockdev-mirror', async () => void server.kill('SIGSTOP'), 1);
    const saga = await on.engine.copy(request);
    setTimeout(() => server.kill('SIGCONT'), HANGS_MS);
    const result = await saga.result;
    expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
    expect(result.blackoutMs).toBeLessThan(MAX_BLACKOUT_MS);
  });

  test('in the pause holds QEMU up, and the saga ends when it answers again', async () => {
    const { on, request, server } = await staged('reopen');
    await using _ = on;
    on.tap.after('stop', async () => {
      server.kill('SIGSTOP');
      setTimeout(() => server.kill('SIGCONT'), HANGS_MS);
    });
    const result = await (await on.engine.copy(request)).result;
    expect(result.outcome, explain(result)).toBeOneOf(['committed', 'rolledBack']);
    await expectRuns(on);
  });

  test('is not asked where it never serves a second client, and the copy goes through', async () => {
    const { on, exports, request } = await staged('reopen', 1);
    await using _ = on;
    const result = await (await on.engine.copy(request)).result;
    expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
    expect(await frontsOf(on)).toEqual(exports.map(({ address }) => address));
  });
});

describeOnQemu('a server of a target that dies', () => {
  test.each(
    eachValue([
      ['reopen', 'before', 'block-job-cancel'],
      ['reopen', 'after', 'stop'],
      ['reopen', 'after', 'qom-set'],
      ['reopen', 'before', 'qom-set'],
      ['complete', 'after', 'stop'],
      ['finalize', 'before', 'job-complete'],
      ['finalize', 'after', 'stop'],
    ] as const),
  )('in the pause is not switched to: %s, %s %s', async (strategy, when, command) => {
    const { on, request, server } = await staged(strategy);
    await using _ = on;
    on.tap[when](command, () => kill(server));
    const result = await (await on.engine.copy(request)).result;
    expect(on.tap.pending).toEqual([]);
    expect(result.outcome, explain(result)).toBe('rolledBack');
    expect(await frontsOf(on)).toEqual(on.before.fronts.map(({ chain }) => chain[0]));
    await expectRuns(on);
    await on.vm.awaitWrites(8);
  });

  test('at READY ends the copy before the guest is paused', async () => {
    const { on, request, server } = await staged('reopen');
    await using _ = on;
    const saga = await on.engine.copy({ ...request, finish: 'leave' });
    expect((await saga.result).outcome).toBe('ready');
    await kill(server);
    const result = await saga.pivot();
    expect(result.outcome, explain(result)).toBe('rolledBack');
    expect(on.tap.commands).not.toContain('stop');
    await expectRuns(on);
  });
});
