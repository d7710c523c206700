import { expect, test } from 'vitest';
import { setJobSpeeds } from '../../src/engine/durable/speed.ts';
import { diskNames } from '../../src/plan/names.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { openQmpClient } from '../../src/qmp/client.ts';
import type { JobStatus } from '../../src/qmp/jobs.ts';
import type { Json } from '../../src/qmp/transport.ts';
import { FakeQemu } from '../qmp/fake-qemu.ts';
import { ManualClock } from '../qmp/manual-clock.ts';
import { rejection } from './lives.ts';

const PROGRESS = { type: 'mirror', 'current-progress': 0, 'total-progress': 1 } as const;

/** Sets a speed where the jobs of two disks are in these states; gives the jobs that QEMU was told of. */
async function told(copied: boolean, ...statuses: readonly JobStatus[]): Promise<readonly unknown[]> {
  const disks = [0, 1].map(index => ({ names: diskNames('t', index) }));
  const plan = { operation: 'copy', speed: 0, disks } as unknown as Plan;
  const fake = new FakeQemu(
    ({ execute }): Json =>
      execute === 'query-jobs'
        ? statuses.map((status, index) => ({ ...PROGRESS, id: diskNames('t', index).job, status }))
        : {},
  );
  const qmp = await openQmpClient(fake.connect, { clock: new ManualClock() });
  await setJobSpeeds(plan, 5, copied, qmp);
  return fake.sent
    .filter(({ execute }) => execute === 'block-job-set-speed')
    .map(({ arguments: args }) => args?.['device']);
}

const [first, second] = [0, 1].map(index => diskNames('t', index).job);

test('jobs that copy are told, those that are past it are not', async () => {
  expect(await told(false, 'running', 'ready')).toEqual([first, second]);
  expect(await told(false, 'pending', 'paused')).toEqual([second]);
  expect(await told(true, 'standby')).toEqual([first]);
});

test('a speed waits for jobs to come', async () => {
  expect(await told(false)).toEqual([]);
  expect(await told(false, 'pending')).toEqual([]);
});

test('when nothing copies any more it is refused, and says in which state the jobs are', async () => {
  for (const statuses of [
    ['pending', 'waiting'],
    ['concluded', 'concluded'],
  ] as const) {
    const error = await rejection(told(false, ...statuses));
    expect([error.code, error.message]).toEqual(['SAGA_STATE', expect.stringContaining(`is ${statuses[0]}`)]);
  }
  expect((await rejection(told(true))).message).toMatch(/its jobs are gone/);
});
