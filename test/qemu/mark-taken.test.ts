/**
 * A third party takes the saga's mark away while the guest is paused for it, and the process dies there: the next one knows this QEMU
 * by what else the saga has left, ends the saga, and the guest runs.
 */
import { expect, test } from 'vitest';
import { createEngine, localFiles, memoryJournal, type SagaResult } from '../../src/index.ts';
import { groupName, sagaToken } from '../../src/plan/names.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectSwitched, type Stage, stage } from './witnessed.ts';

const ID = 'unmarked';

/** The mark goes as this command is sent for the n-th time; it is never sent, and nothing after it. */
function diesAt(on: Stage, command: string, nth: number): Promise<void> {
  return new Promise(resolve => {
    on.tap.before(
      command,
      async () => {
        await on.vm.witness.execute('object-del', { id: groupName(sagaToken(ID)) });
        resolve();
        await new Promise(() => undefined);
      },
      nth - 1,
    );
  });
}

/** What the next process makes of snapshots one by one whose process has died at the n-th of them. */
async function snapshotsDiedAt(on: Stage, nth: number): Promise<SagaResult> {
  const journal = memoryJournal();
  const died = diesAt(on, 'blockdev-snapshot-sync', nth);
  await createEngine({ journal }).snapshot({
    ...{ ...on.snapshotAll(), ...on.tapped, id: ID },
    without: ['transaction'],
  });
  await died;
  expect((await on.look()).status).toBe('paused');
  const next = { qmp: on.secondMonitor, files: localFiles, vm: on.vm.monitor, force: true } as const;
  return (await createEngine({ journal: memoryJournal(journal.snapshot()) }).resume(ID, next)).result;
}

describeOnQemu('snapshots one by one whose mark is taken away in their pause', () => {
  test('are ended by the next process, though the guest is on the first of them', async () => {
    await using on = await stage({ disks: 2, journal: 'memory', secondMonitor: true });
    await expectSwitched(on, await snapshotsDiedAt(on, 2));
  });

  test('are ended by the next process, though none was taken', async () => {
    await using on = await stage({ disks: 2, journal: 'memory', secondMonitor: true });
    await expectSwitched(on, await snapshotsDiedAt(on, 1));
  });
});
