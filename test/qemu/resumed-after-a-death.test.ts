/**
 * On real QEMUs, a command that is killed right in front of its switch, with the guest paused, and another client that resumes the
 * guest and stops it again before the saga is resumed: what the guest wrote meanwhile is on its old images alone, and QEMU's count of
 * its writes tells. A guest that stayed paused goes on to its new ones.
 */
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { askCommand, buildCommand, resultOf, startCommand } from './cli-process.ts';
import { onEachVersion } from './each-version.ts';
import { Gate } from './gate.ts';
import { describeOnQemu } from './real-qemu.ts';
import { endGuest, expectSets, imagesOf, oldImages, type Stage, stage } from './witnessed.ts';

const SAGA = 'dies';

/** The copy's process dies in place of its switch; returns how the saga ends when it is resumed. */
async function dieInPause(on: Stage, meanwhile: () => Promise<unknown>) {
  await using gate = await new Gate(join(on.vm.directory, 'gate'), on.vm.monitor).listen();
  const state = join(on.vm.directory, 'state');
  const disks = on.vm.disks.flatMap((disk, index) => ['--disk', `${disk.device},to=${on.newFile(index)}`]);
  const killed = startCommand(
    state,
    'copy',
    '--qmp',
    gate.socket,
    '--id',
    SAGA,
    '--strategy',
    'reopen',
    ...disks,
  );
  onTestFinished(() => void killed.child.kill('SIGKILL'));
  gate.judge = async ({ execute }) => {
    if (execute !== 'blockdev-reopen') return 'pass';
    killed.child.kill('SIGKILL');
    return 'drop';
  };
  await killed.status;
  gate.judge = async () => 'pass';
  expect(await on.vm.witness.execute('query-status')).toMatchObject({ status: 'paused' });
  await meanwhile();
  return resultOf((await askCommand(state, 'resume', SAGA, '--json')).out);
}

async function runForAMoment({ vm }: Stage): Promise<void> {
  await vm.witness.execute('cont');
  await vm.awaitWrites(6);
  await vm.witness.execute('stop');
}

describeOnQemu('a guest whose saga has died in the pause', () => {
  beforeAll(buildCommand);

  onEachVersion((qemu, version) => {
    // QEMU 5.2 has no such switch.
    describe.skipIf(version === '5.2')(`of QEMU ${version}`, () => {
      test('is taken back to its old images where it was resumed meanwhile, and stopped again', async () => {
        await using on = await stage({ qemu });
        const { outcome } = await dieInPause(on, () => runForAMoment(on));
        expect(outcome).toBe('rolledBack');
        await endGuest(on);
        await expectSets(on, { front: oldImages(on) });
      });

      test('goes on to its new images where it stayed paused', async () => {
        await using on = await stage({ qemu });
        const { outcome } = await dieInPause(on, async () => undefined);
        expect(outcome).toBe('committed');
        await endGuest(on);
        await expectSets(on, { front: imagesOf(on.vm.disks.map((_, index) => on.newFile(index))) });
      });
    });
  });
});
