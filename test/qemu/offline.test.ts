/**
 * Sagas whose QEMU was killed, recovered without any QEMU by the real qemu-img, and then booted from the images that the
 * recovery names: every acknowledged write must be there.
 */
import { readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { type GuestVm, type GuestVmOptions, startGuestVm } from '../../src/demo/guest-vm.ts';
import { checkCut, missingWrites, readCut } from '../../src/demo/ordered-cut.ts';
import { createEngine, memoryJournal, recoverOffline, type SagaResult } from '../../src/index.ts';
import { fakeContext } from '../cli/fake-context.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { askCommand, buildCommand, resultOf, runCommand } from './cli-process.ts';
import { Gate } from './gate.ts';
import { PACING_US, SOME_WRITES } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';

const SIZE_BYTES = 8 * 1024 * 1024;

async function guest(directory: string): Promise<GuestVm> {
  const vm = await startGuestVm({
    disks: 2,
    sizeBytes: SIZE_BYTES,
    pacingUs: PACING_US,
    directory,
  });
  onTestFinished(() => vm[Symbol.asyncDispose]());
  await vm.awaitWrites(SOME_WRITES);
  return vm;
}

const newFile = (vm: GuestVm, index: number) => join(vm.directory, `new${index}.qcow2`);

/** The images that are named hold one moment of the guest's life, and it is the last one. */
async function expectNothingLost(vm: GuestVm, { boot }: Pick<SagaResult, 'boot'>): Promise<void> {
  const cut = await readCut((boot ?? []).map(({ file, format }) => ({ file, format: format as 'qcow2' })));
  const verdict = checkCut(cut);
  expect(verdict, verdict.why).toMatchObject({ consistent: true });
  expect(missingWrites(cut, vm.acknowledged())).toEqual([]);
}

/** Boots a guest from them that goes on writing where the last one ended. */
async function expectBoots({ boot }: Pick<SagaResult, 'boot'>, firstSequence: number): Promise<void> {
  const images = (boot ?? []).map(({ file, format }) => ({ file, format: format as 'qcow2' }));
  await using vm = await startGuestVm({ disks: images.length, images, sizeBytes: SIZE_BYTES, firstSequence });
  await vm.awaitWrites(4);
}

describeOnQemu('a saga that is recovered offline', () => {
  beforeAll(buildCommand);

  test('after a kill at READY: refused while QEMU lives, then all sources, and the targets are gone', async () => {
    const state = temporaryFolder();
    const vm = await guest(temporaryFolder());
    const files = readdirSync(vm.directory);
    const disks = [0, 1].flatMap(index => ['--disk', `dev${index},to=${newFile(vm, index)}`]);
    const copy = ['copy', '--qmp', vm.monitor, ...disks, '--finish', 'leave', '--id', 'night'];
    expect((await runCommand(state, ...copy)).status).toBe(0);
    const alive = fakeContext({ env: { XDG_STATE_HOME: state } });
    expect(await runProgram(['resume', '--offline', 'night'], alive)).toBe(2);
    expect(alive.err.join('\n')).toMatch(/still runs/);
    await vm.kill();
    const { status, out } = await askCommand(state, 'resume', '--offline', 'night', '--json');
    const result = resultOf(out);
    expect([status, result.outcome, result.leftovers]).toEqual([1, 'rolledBack', []]);
    expect(result.boot?.map(image => image.file)).toEqual(vm.disks.map(disk => disk.file));
    expect(readdirSync(vm.directory)).toEqual(files);
    await expectNothingLost(vm, result);
    const again = fakeContext({ env: { XDG_STATE_HOME: state } });
    expect(await runProgram(['resume', '--offline', 'night'], again)).toBe(1);
    expect(again.out.join('\n')).toMatch(/boot dev0 from .*disk0.qcow2 \(qcow2\)/);
  });

  /** A snapshot whose transaction QEMU has executed and of which only the decision is on disk. */
  async function taken(vm: GuestVm) {
    const journal = memoryJournal();
    const engine = createEngine({ journal });
    const disks = vm.disks.map(({ device }, index) => ({ disk: device, overlay: newFile(vm, index) }));
    const saga = await engine.snapshot({ id: 's', qmp: vm.monitor, disks });
    await saga.result;
    await vm.awaitWrites(6);
    await vm.kill();
    const state = journal.snapshot();
    const sagas = state.sagas.map(({ row, records }) => {
      const decided = records.findIndex(record => record.kind === 'decision') + 1;
      return {
        row: { ...row, state: 'open' as const, result: null, endedAtMs: null },
        records: records.slice(0, decided),
      };
    });
    const claims = sagas.map(({ row }) => [row.vm, { token: 1, saga: row.id }] as const);
    return memoryJournal({ ...state, sagas, claims });
  }

  test('a snapshot in doubt goes back when asked, with all that its overlays held', async () => {
    const vm = await guest(temporaryFolder());
    const journal = await taken(vm);
    const result = await recoverOffline(journal, 's', { back: true });
    expect(result).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect(readdirSync(vm.directory).filter(file => file.startsWith('new'))).toEqual([]);
    await expectNothingLost(vm, result);
  });

  test('an overlay that is lost for good, and one that is torn, are made anew over their bases', async () => {
    const vm = await guest(temporaryFolder());
    const journal = memoryJournal();
    const disks = vm.disks.map(({ device }, index) => ({ disk: device, overlay: newFile(vm, index) }));
    // The power went right behind the decision: the guest wrote nothing more, the overlays never reached the disk.
    await vm.witness.execute('stop');
    const saga = await createEngine({ journal }).snapshot({ id: 's', qmp: vm.monitor, disks });
    await saga.result;
    await vm.kill();
    const state = journal.snapshot();
    const sagas = state.sagas.map(({ row, records }) => ({
      row: { ...row, state: 'needsRecovery' as const },
      records: records.slice(0, records.findIndex(record => record.kind === 'decision') + 1),
    }));
    const claims = sagas.map(({ row }) => [row.vm, { token: 1, saga: row.id }] as const);
    rmSync(newFile(vm, 0));
    truncateSync(newFile(vm, 1), 0);
    writeFileSync(newFile(vm, 1), 'QFI');
    const put = memoryJournal({ ...state, sagas, claims });
    await expect(recoverOffline(put, 's')).rejects.toMatchObject({
      code: 'FILES',
      message: expect.stringContaining(`--accept-image ${newFile(vm, 0)}`),
    });
    const result = await recoverOffline(put, 's', { acceptImages: [newFile(vm, 0)] });
    expect(result).toMatchObject({
      outcome: 'committed',
      leftovers: [`${newFile(vm, 1)}.unreadable1`],
    });
    await expectNothingLost(vm, result);
    await expectBoots(result, vm.acknowledged() + 1);
  });

  test('an overlay that QEMU has put on no disk is made anew, when that is in the journal', async () => {
    const vm = await guest(temporaryFolder());
    const journal = memoryJournal();
    const disks = vm.disks.map(({ device }, index) => ({ disk: device, overlay: newFile(vm, index) }));
    await using gate = await new Gate(join(vm.directory, 'gate.qmp'), vm.monitor).listen();
    let isRefused = false;
    gate.judge = async ({ execute }) => {
      if (isRefused) await vm.kill();
      isRefused ||= execute === 'transaction';
      return isRefused ? 'refuse' : 'pass';
    };
    const saga = await createEngine({ journal }).snapshot({ id: 's', disks, qmp: gate.socket });
    expect(await saga.result).toMatchObject({ outcome: 'needsRecovery' });
    const taken = journal
      .records('s')
      .find(({ kind, step }) => kind === 'outcome' && step === 'takeSnapshot');
    expect(taken?.body).toMatchObject({ error: { effect: 'notApplied' } });
    rmSync(newFile(vm, 0));
    const result = await recoverOffline(journal, 's', { qmp: vm.monitor });
    expect(result).toMatchObject({ outcome: 'committed', leftovers: [] });
    await expectNothingLost(vm, result);
    await expectBoots(result, vm.acknowledged() + 1);
  });

  test('a snapshot in doubt is refused while a QEMU runs on the wrong images, and goes on with one on the right ones', async () => {
    const vm = await guest(temporaryFolder());
    const journal = await taken(vm);
    const run = (files: readonly string[], options: Partial<GuestVmOptions>) =>
      startGuestVm({
        disks: 2,
        images: files.map(file => ({ file, format: 'qcow2' as const })),
        sizeBytes: SIZE_BYTES,
        ...options,
      });
    {
      await using wrong = await run(
        vm.disks.map(disk => disk.file),
        { guest: 'idle' },
      );
      await expect(recoverOffline(journal, 's', { qmp: wrong.monitor })).rejects.toMatchObject({
        code: 'DISK_BUSY',
        message: expect.stringMatching(/new0/),
      });
    }
    const fresh = [newFile(vm, 0), newFile(vm, 1)];
    await using right = await run(fresh, { firstSequence: vm.acknowledged() + 1 });
    const result = await recoverOffline(journal, 's', { qmp: right.monitor });
    expect(result).toMatchObject({ outcome: 'committed', leftovers: [] });
    expect(result.boot?.map(image => image.file)).toEqual(fresh);
    await right.awaitWrites(4);
    await right.kill();
    await expectNothingLost(right, result);
  });
});
