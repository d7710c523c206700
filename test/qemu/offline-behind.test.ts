/**
 * Journals that are behind what happened: an older copy was put back, or a third party switched a disk while no process was
 * there. Whatever `resume --offline` then does, no acknowledged write may be gone, nor missing from what it boots from.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { checkCut, missingWrites, readCut } from '../../src/demo/ordered-cut.ts';
import { examine } from '../../src/engine/doctor/doctor.ts';
import { definedOnly } from '../../src/errors.ts';
import { createEngine, localFiles, memoryJournal, recoverOffline, type SagaResult } from '../../src/index.ts';
import type { CopyRequest } from '../../src/operations/requests.ts';
import { openQmpClient } from '../../src/qmp/client.ts';
import { connectSocket } from '../../src/qmp/socket.ts';
import type { Connect, Transport } from '../../src/qmp/transport.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { PACING_US, SOME_WRITES } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';

const SIZE_BYTES = 8 * 1024 * 1024;

async function guest(): Promise<GuestVm> {
  const vm = await startGuestVm({
    disks: 2,
    sizeBytes: SIZE_BYTES,
    pacingUs: PACING_US,
    directory: temporaryFolder(),
  });
  onTestFinished(() => vm[Symbol.asyncDispose]());
  await vm.awaitWrites(SOME_WRITES);
  return vm;
}

const newFile = (vm: GuestVm, index: number) => join(vm.directory, `new${index}.qcow2`);
const news = (vm: GuestVm) => vm.disks.map((_, index) => newFile(vm, index));
const olds = (vm: GuestVm) => vm.disks.map(({ file }) => file);

async function expectNothingLost(vm: GuestVm, { boot }: Pick<SagaResult, 'boot'>): Promise<void> {
  const cut = await readCut((boot ?? []).map(({ file, format }) => ({ file, format: format as 'qcow2' })));
  const verdict = checkCut(cut);
  expect(verdict, verdict.why).toMatchObject({ consistent: true });
  expect(missingWrites(cut, vm.acknowledged())).toEqual([]);
}

const dead = { self: { pid: 1, bootId: 'b', startedAt: '1' }, isAlive: () => false };

type Kind = 'copy' | 'snapshot' | 'commit';

/** The connections of a process that dies: nothing of it reaches QEMU any more, and it hears nothing. */
function mortal(vm: GuestVm) {
  const open = new Set<Transport>();
  let isAlive = true;
  const connect: Connect = async handlers => {
    if (!isAlive) return new Promise<never>(() => undefined);
    const transport = await connectSocket(vm.monitor)({
      onMessage: message => isAlive && handlers.onMessage(message),
      onClose: reason => isAlive && handlers.onClose(reason),
    });
    open.add(transport);
    return transport;
  };
  const die = () => {
    isAlive = false;
    for (const transport of open) transport.close();
  };
  return { connect, die };
}

function begin(
  vm: GuestVm,
  journal: ReturnType<typeof memoryJournal>,
  kind: Kind,
  qmp: string | Connect = vm.monitor,
  strategy: CopyRequest['strategy'] = 'auto',
) {
  const engine = createEngine({ journal });
  const common = { id: 's', vm: 'web', qmp, files: localFiles, maxBlackoutMs: 30_000 };
  const files = news(vm);
  if (kind === 'copy')
    return engine.copy({
      ...common,
      ...definedOnly({ strategy }),
      finish: 'leave',
      disks: vm.disks.map(({ device }, index) => ({ disk: device, to: files[index] ?? '' })),
    });
  if (kind === 'snapshot')
    return engine.snapshot({
      ...common,
      disks: vm.disks.map(({ device }, index) => ({ disk: device, overlay: files[index] ?? '' })),
    });
  return engine.commit({
    ...common,
    active: true,
    finish: 'leave',
    disks: vm.disks.map(({ device }) => ({ disk: device })),
  });
}

/** The saga's row open again, with the first records only. */
function older(journal: ReturnType<typeof memoryJournal>, isLast: (step: string, kind: string) => boolean) {
  const state = journal.snapshot();
  const sagas = state.sagas.map(({ row, records }) => ({
    row: { ...row, state: 'open' as const, result: null, endedAtMs: null },
    records: records.slice(0, records.findIndex(({ step, kind }) => isLast(step, kind)) + 1),
  }));
  const claims = sagas.map(({ row }) => [row.vm, { token: 1, saga: row.id }] as const);
  return () => memoryJournal({ ...state, sagas, claims });
}

/** A copy or commit whose process has died at READY: its guest, the journal that it left, and its jobs. */
async function left(kind: 'copy' | 'commit') {
  const vm = await guest();
  const journal = memoryJournal();
  if (kind === 'commit') {
    await (await begin(vm, memoryJournal(), 'snapshot')).result;
    await vm.awaitWrites(SOME_WRITES);
  }
  const process = mortal(vm);
  await (await begin(vm, journal, kind, process.connect)).result;
  process.die();
  const jobs = (await vm.witness.execute('query-jobs')) as readonly { id: string }[];
  return { vm, state: journal.snapshot(), jobs };
}

describeOnQemu('a journal that is behind its images', () => {
  test.each([
    ['before the mirrors were ready', 'mirrorDisks', 'intent'],
    ['at READY', 'mirrorDisks', 'outcome'],
  ])('an older copy of a copy that committed, %s, is refused with both stories', async (_, last, kind) => {
    const vm = await guest();
    const journal = memoryJournal();
    const saga = await begin(vm, journal, 'copy');
    await saga.result;
    await saga.pivot();
    await vm.awaitWrites(SOME_WRITES);
    const restore = older(journal, (step, each) => step === last && each === kind);
    await vm.kill();
    await expect(recoverOffline(restore(), 's')).rejects.toMatchObject({
      code: 'JOURNAL_BEHIND',
      message: expect.stringMatching(/different stories.*new0.*--front old.*--front new/),
    });
    expect(news(vm).every(existsSync)).toBe(true);
    const result = await recoverOffline(restore(), 's', { front: 'new' });
    expect(result.outcome).toBe('committed');
    expect(result.boot?.map(({ file }) => file)).toEqual(news(vm));
    await expectNothingLost(vm, result);
    expect([...olds(vm), ...news(vm)].every(existsSync)).toBe(true);
  });

  test('the old side that was chosen leaves the new one where it is, and says why', async () => {
    const vm = await guest();
    const journal = memoryJournal();
    const saga = await begin(vm, journal, 'copy');
    await saga.result;
    await saga.pivot();
    await vm.awaitWrites(SOME_WRITES);
    const restore = older(journal, (step, each) => step === 'mirrorDisks' && each === 'outcome');
    await vm.kill();
    const restored = restore();
    const result = await recoverOffline(restored, 's', { front: 'old' });
    expect(result.outcome).toBe('rolledBack');
    expect((await examine({ journal: restored })).filter(({ removable }) => removable)).toEqual([]);
    expect(result.leftovers).toEqual(
      news(vm).map(file => expect.stringContaining(`${file} (written to after`)),
    );
    expect(news(vm).every(existsSync)).toBe(true);
  });

  test('an older copy of a snapshot that committed is refused; its overlays are taken when that is said', async () => {
    const vm = await guest();
    const journal = memoryJournal();
    await (await begin(vm, journal, 'snapshot')).result;
    await vm.awaitWrites(SOME_WRITES);
    const restore = older(journal, (step, each) => step === 'createImages' && each === 'outcome');
    await vm.kill();
    await expect(recoverOffline(restore(), 's')).rejects.toMatchObject({ code: 'JOURNAL_BEHIND' });
    const result = await recoverOffline(restore(), 's', { front: 'new' });
    expect(result.outcome).toBe('committed');
    await expectNothingLost(vm, result);
  });

  test.each(['copy', 'commit'] as const)(
    'a third party has completed one READY job of a %s: refused, then all disks are brought together',
    async kind => {
      const { vm, state, jobs } = await left(kind);
      await vm.witness.execute('job-complete', { id: jobs[0]?.id });
      await vm.awaitWrites(SOME_WRITES);
      await vm.kill();
      await expect(recoverOffline(memoryJournal(state), 's', { force: true })).rejects.toMatchObject({
        code: 'JOURNAL_BEHIND',
        message: expect.stringMatching(/third party/),
      });
      const result = await recoverOffline(memoryJournal(state), 's', { force: true, front: 'new' });
      expect(result.outcome).toBe('committed');
      await expectNothingLost(vm, result);
      if (kind === 'copy') expect(olds(vm).every(existsSync)).toBe(true);
    },
  );

  test.each([
    ['copy', 'rolledBack'],
    ['commit', 'committed'],
  ] as const)(
    'an older copy beside a %s of which a third party has completed one job: said disk by disk, nothing is lost',
    async (kind, outcome) => {
      const { vm, state, jobs } = await left(kind);
      const job = jobs.find(({ id }) => id.includes('-1-'));
      await vm.witness.execute('job-complete', { id: job?.id });
      await vm.awaitWrites(SOME_WRITES);
      await vm.kill();
      const sagas = state.sagas.map(({ row, records }) => ({ row, records: records.slice(0, 4) }));
      const beside = { written: state.generation };
      const restored = () => memoryJournal({ ...state, sagas, generation: 5 }, { beside });
      const recover = (front?: Readonly<Record<string, 'old' | 'new'>>) =>
        recoverOffline(restored(), 's', { force: true, ...(front && { front }) });
      await expect(recover()).rejects.toMatchObject({
        code: 'JOURNAL_BEHIND',
        message: expect.stringMatching(/--front DISK=old,DISK=new/),
      });
      const [first, second] = vm.disks.map(({ device }) => device);
      await expect(recover({ [`${first}`]: 'old' })).rejects.toMatchObject({
        code: 'REQUEST_INVALID',
        message: expect.stringMatching(/say of each disk/),
      });
      const result = await recover({ [`${first}`]: 'old', [`${second}`]: 'new' });
      expect(result.outcome).toBe(outcome);
      await expectNothingLost(vm, result);
      expect(olds(vm).every(existsSync)).toBe(true);
      if (kind === 'copy') expect(news(vm).every(existsSync)).toBe(true);
    },
  );

  test.each(['alone', 'with its process'])(
    'the QEMU of a copy at READY that dies under a writing guest, %s, is no such case',
    async how => {
      const vm = await guest();
      const journal = memoryJournal();
      const process = mortal(vm);
      const saga = await begin(vm, journal, 'copy', process.connect);
      await saga.result;
      saga.ended.catch(() => undefined);
      await vm.awaitWrites(SOME_WRITES);
      if (how === 'with its process') process.die();
      await vm.kill();
      if (how === 'alone') {
        await expect.poll(() => journal.records('s').some(({ step }) => step === 'watched')).toBe(true);
        process.die();
      }
      const state = journal.snapshot();
      const result = await recoverOffline(memoryJournal(state), 's', { force: true });
      expect(result).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
      expect(news(vm).some(existsSync)).toBe(false);
      await expectNothingLost(vm, result);
    },
  );

  test.each(['writes', 'is idle'])(
    'a copy that was under way when all died, of a guest that %s, is no such case',
    async how => {
      const vm = await guest();
      const journal = memoryJournal();
      if (how === 'is idle') await vm.witness.execute('stop');
      const saga = await createEngine({ journal }).copy({
        id: 's',
        qmp: vm.monitor,
        bandwidth: 64 * 1024,
        disks: vm.disks.map(({ device }, index) => ({ disk: device, to: newFile(vm, index) })),
      });
      saga.result.catch(() => undefined);
      await expect
        .poll(async () => ((await vm.witness.execute('query-jobs')) as readonly unknown[]).length, {
          timeout: 20_000,
        })
        .toBe(2);
      await new Promise(resolve => setTimeout(resolve, 1_500));
      const state = journal.snapshot();
      await vm.kill();
      const result = await recoverOffline(memoryJournal(state), 's', { force: true });
      expect(result).toMatchObject({ outcome: 'rolledBack' });
      expect(result.boot?.map(({ file }) => file)).toEqual(olds(vm));
      await expectNothingLost(vm, result);
      if (how === 'is idle') expect(result.leftovers).toEqual([]);
    },
  );

  test('of a copy that committed is no ground for anything while its QEMU lives', async () => {
    const vm = await guest();
    const journal = memoryJournal();
    const saga = await begin(vm, journal, 'copy');
    await saga.result;
    await saga.pivot();
    const restore = older(journal, (step, each) => step === 'mirrorDisks' && each === 'outcome');
    await expect(recoverOffline(restore(), 's')).rejects.toMatchObject({
      code: 'JOURNAL_BEHIND',
      message: expect.stringMatching(/has ended in this QEMU/),
    });
    const resumed = await createEngine({ journal: restore() }).resume('s', { qmp: vm.monitor });
    expect(await resumed.result).toMatchObject({
      outcome: 'needsRecovery',
      error: { code: 'JOURNAL_BEHIND' },
    });
    await vm.awaitWrites(6);
    expect([...olds(vm), ...news(vm)].every(existsSync)).toBe(true);
    await vm.kill();
    await expectNothingLost(vm, {
      boot: news(vm).map((file, at) => ({ disk: `dev${at}`, file, format: 'qcow2' })),
    });
  });

  test.each(['auto', 'finalize', 'complete'] as const)(
    'from the pause of a copy by %s, put back with all that was beside it, is known by what QEMU was told',
    async strategy => {
      const vm = await guest();
      const journal = memoryJournal();
      const process = mortal(vm);
      const saga = await begin(vm, journal, 'copy', process.connect, strategy);
      await saga.result;
      const hasCleanedUp = new Promise<void>(resolve => {
        saga.subscribe(notice => {
          if (notice.type !== 'event' || !notice.state.includes('cleaningUp')) return;
          process.die();
          resolve();
        });
      });
      saga.pivot().catch(() => undefined);
      await hasCleanedUp;
      await vm.awaitWrites(SOME_WRITES);
      const isPause = (step: string, each: string) => step === 'pauseGuest' && each === 'intent';
      const restore = older(journal, isPause);
      for (const how of [{}, { acceptRestored: true }, { signal: 'abort' as const }]) {
        const engine = createEngine({ journal: restore() });
        const resumed = await engine.resume('s', { qmp: vm.monitor, force: true, ...how });
        const { outcome, error } = await resumed.result;
        expect({ outcome, code: error?.code }).toEqual({ outcome: 'needsRecovery', code: 'JOURNAL_BEHIND' });
        expect(error?.message).toMatch(
          /it was told of \d+ steps, .*the last that it has is the intent of pauseGuest/,
        );
      }
      const qmp = await openQmpClient(connectSocket(vm.monitor));
      const findings = await examine({ journal: restore(), qmp, processes: dead, acceptRestored: true });
      qmp.close();
      expect(findings[0]).toMatchObject({
        kind: 'journal',
        why: expect.stringMatching(/QEMU is further in saga s/),
      });
      expect(findings.filter(({ removable }) => removable)).toEqual([]);
      await expect(recoverOffline(restore(), 's', { qmp: vm.monitor })).rejects.toMatchObject({
        code: 'JOURNAL_BEHIND',
      });
      await vm.awaitWrites(6);
      expect([...olds(vm), ...news(vm)].every(existsSync)).toBe(true);
      // The newest one is resumed to its end, and QEMU keeps nothing of the count.
      const engine = createEngine({ journal: memoryJournal(journal.snapshot()) });
      const resumed = await engine.resume('s', { qmp: vm.monitor, files: localFiles, force: true });
      expect(await resumed.result).toMatchObject({ outcome: 'committed', leftovers: [] });
      const objects = (await vm.witness.execute('qom-list', { path: '/objects' })) as readonly {
        name: string;
      }[];
      expect(objects.filter(({ name }) => name.startsWith('bs-'))).toEqual([]);
      await vm.kill();
      await expectNothingLost(vm, {
        boot: news(vm).map((file, at) => ({ disk: `dev${at}`, file, format: 'qcow2' })),
      });
    },
  );
});
