/**
 * A third party completes a job that a saga holds back by hand, while no process of the saga lives: the job is parked in PENDING, and
 * what the guest writes to that disk waits. Real QEMU: doctor says so, and how it goes on; resumed, it goes on without a write lost.
 */
import { expect, test } from 'vitest';
import { examine } from '../../src/engine/doctor/doctor.ts';
import { createEngine } from '../../src/index.ts';
import { openQmpClient } from '../../src/qmp/client.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { connectSocket } from '../../src/qmp/socket.ts';
import { describeOnQemu } from './real-qemu.ts';
import { endGuest, expectSets, explain, imagesOf, type Stage, stage } from './witnessed.ts';

const ID = 'parked';
const POLL_MS = 20;
/** Many times what the guest takes for one write. */
const STANDS_MS = 1_500;

async function commitBelowThrottles(on: Stage) {
  const taken = await (await on.engine.snapshot(on.snapshotAll())).result;
  expect(taken.outcome, explain(taken)).toBe('committed');
  await on.vm.awaitWrites(6);
  const disks = on.vm.disks.map(({ device }) => ({ disk: device }));
  const request = { disks, active: true, strategy: 'reopen', finish: 'leave', id: ID } as const;
  return on.engine.commit({ ...request, qmp: on.vm.monitor, maxBlackoutMs: 30_000 });
}

async function copyByFinalize(on: Stage) {
  return on.engine.copy({ ...on.copyAll(), strategy: 'finalize', finish: 'leave', id: ID });
}

const CASES = [
  {
    what: 'a commit below throttles of the user’s',
    guest: { filters: ['throttle'] },
    begin: commitBelowThrottles,
  },
  { what: 'a copy by finalize', guest: {}, begin: copyByFinalize },
] as const;

describeOnQemu('a job that a third party completes, and that is held back', () => {
  test.each(CASES)(
    'of $what: the guest’s writes wait until the saga is resumed',
    async ({ guest, begin }) => {
      await using on = await stage({ disks: 2, journal: 'sqlite', ...guest });
      const result = await (await begin(on)).result;
      expect(result.outcome, explain(result)).toBe('ready');
      await on.engine.close();
      const job = (await jobs(on))[1]?.id ?? '';
      await on.vm.witness.execute('job-complete', { id: job });
      while ((await jobs(on)).find(({ id }) => id === job)?.status !== 'pending')
        await sleep(systemClock, POLL_MS);
      await settle(on);
      const stood = on.vm.acknowledged();
      await settle(on);
      expect(on.vm.acknowledged()).toBe(stood);
      const found = await examined(on);
      expect(found.find(({ name }) => name === job)?.why).toMatch(
        /open and needs it: "blocksaga resume parked". At once: .* what the guest writes to its disk may wait for that/,
      );
      expect(found.filter(({ why }) => why.includes('At once'))).toHaveLength(1);
      const saga = await createEngine({ journal: on.journal }).resume(ID, { qmp: on.vm.monitor });
      const ended = await saga.ended;
      expect(ended, explain(ended)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
      await on.vm.awaitWrites(6);
      const fronts = (await on.look()).fronts.map(({ chain }) => chain[0] ?? '');
      await endGuest(on);
      await expectSets(on, { front: imagesOf(fronts) });
    },
  );
});

/** Long enough for the guest's last requests to be answered, and for many others to be begun. */
async function settle({ vm }: Stage): Promise<void> {
  await vm.awaitWrites(1_000, STANDS_MS).catch(() => undefined);
}

async function examined({ vm, journal }: Stage) {
  const qmp = await openQmpClient(connectSocket(vm.monitor));
  try {
    return await examine({ journal, qmp });
  } finally {
    await qmp.close();
  }
}

async function jobs({ vm }: Stage) {
  return (await vm.witness.execute('query-jobs')) as readonly {
    readonly id: string;
    readonly status: string;
  }[];
}
