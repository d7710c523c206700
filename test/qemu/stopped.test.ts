/**
 * Real processes that are stopped (SIGSTOP) in the middle of a saga on a real QEMU, lose it to another one that is told
 * to take it by force, and wake up (SIGCONT): they must not touch the disks any more.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startGuestVm } from '../../src/demo/guest-vm.ts';
import { createEngine, openJournal } from '../../src/index.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { endingsOf } from '../torture/endings.ts';
import { judgeLiving } from '../torture/judge.ts';
import { operationNamed } from '../torture/operations.ts';
import { startOrchestrator } from '../torture/orchestrator-process.ts';
import { lookAround } from '../torture/outside.ts';
import { tapMonitor } from './cli-process.ts';
import { SLOW_PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';

const DEADLINE_MS = 60_000;

/**
 * Where the first process is stopped: the next that it would do changes something. On the simulator it is stopped at
 * every message (test/engine/stopped.test.ts).
 */
const MOMENTS = [
  ['reopen', 'mirroring.mirrorDisks/answered/query-jobs/1'],
  ['reopen', 'mirroring.insertFiltersLive/answered/qom-set/2'],
  ['reopen', 'cleaningUp.removeFiltersLive/answered/qom-set/1'],
  ['finalize', 'switching.parkMirrors/answered/job-complete/2'],
  ['sequential', 'snapshotting.paused.takeSnapshotsOneByOne/answered/blockdev-snapshot-sync/1'],
] as const;

describeOnQemu(
  'a process that is stopped in the middle of a saga, which another one then takes by force',
  () => {
    test('can change nothing when it wakes up, wherever it was', async () => {
      const directory = temporaryFolder();
      const second = join(temporaryFolder(), 'second.qmp');
      const vm = await startGuestVm({
        disks: 2,
        sizeBytes: 16 * 1024 * 1024,
        directory,
        pacingUs: SLOW_PACING_US,
        extraArguments: ['-qmp', `unix:${second},server=on,wait=off`],
      });
      onTestFinished(() => vm[Symbol.asyncDispose]());
      const { address, commands } = await tapMonitor(vm.monitor);
      for (const [at, [operation, moment]] of MOMENTS.entries()) {
        const journalFile = join(temporaryFolder(), 'journal.db');
        const id = `stop${at}`;
        mkdirSync(join(directory, id));
        const files = vm.disks.map((_, disk) => join(directory, id, `${disk}.qcow2`));
        const before = await lookAround(vm);
        const stopped = await startOrchestrator(journalFile);
        onTestFinished(() => stopped.kill());
        stopped.tell({
          order: 'run',
          operation,
          id,
          qmp: address,
          files,
          fronts: [],
          agent: '',
          told: '',
          strike: { moment, delayMs: 0, victim: 'orchestrator', signal: 'SIGSTOP', qemuPid: vm.pid },
        });
        const heard = [await stopped.hear(DEADLINE_MS), await stopped.hear(DEADLINE_MS)];
        expect(heard, moment).toMatchObject([{ says: 'begun' }, { says: 'striking' }]);
        await sleep(systemClock, 20);

        const journal = openJournal(journalFile);
        const engine = createEngine({ journal });
        await expect(engine.resume(id, { qmp: second })).rejects.toMatchObject({ code: 'VM_BUSY' });
        const saga = await engine.resume(id, { qmp: second, force: true });
        expect(await saga.result, moment).toMatchObject({ outcome: 'committed', error: null });
        const sentBefore = commands.length;
        stopped.wake();
        expect(await stopped.hear(DEADLINE_MS), moment).toMatchObject({ says: 'refused', code: 'VM_BUSY' });
        await stopped.kill();
        await journal.close();
        const acts = commands
          .slice(sentBefore)
          .filter(name => !/^(query-.*|qom-list|qmp_capabilities|x-debug-query-.*)$/.test(name));
        expect(acts, moment).toEqual([]);
        const [expected] = endingsOf(operationNamed(operation), 'committed', before.chains, files);
        const wrong = await judgeLiving(vm, before, { ...expected, made: [] });
        expect(wrong, moment).toEqual([]);
      }
    });
  },
);
