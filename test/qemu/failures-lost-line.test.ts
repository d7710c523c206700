/** The monitor's line breaks around every command that changes something: the saga connects again, asks, and goes on. */
import { expect, test } from 'vitest';
import type { SagaResult } from '../../src/index.ts';
import { eachValue } from '../tiers/tier.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectSwitched, expectTakenBack, explain, type Stage, stage } from './witnessed.ts';

type Moment = readonly [command: string, skip: number];

/** Of each way to switch, the commands in their order; `skip` picks a later one of the same name. */
const COPY_MOMENTS: Readonly<Record<'reopen' | 'finalize' | 'complete', readonly Moment[]>> = {
  reopen: [
    ['blockdev-create', 0],
    ['blockdev-add', 0],
    ['blockdev-mirror', 1],
    ['stop', 0],
    ['block-job-cancel', 0],
    ['blockdev-add', 5], // the second filter
    ['qom-set', 1],
    ['blockdev-reopen', 0],
    ['qom-set', 3],
    ['blockdev-del', 0],
    ['cont', 0],
    ['blockdev-del', 2],
  ],
  finalize: [
    ['stop', 0],
    ['job-complete', 1],
    ['job-finalize', 0],
    ['job-finalize', 1],
    ['cont', 0],
  ],
  complete: [
    ['job-complete', 0],
    ['job-complete', 1],
    ['cont', 0],
  ],
};

const WHEN = ['before', 'after'] as const;

const copies = Object.entries(COPY_MOMENTS).flatMap(([strategy, moments]) =>
  moments.flatMap(([command, skip]) =>
    WHEN.map(when => ({ strategy: strategy as keyof typeof COPY_MOMENTS, command, skip, when })),
  ),
);

const snapshots = [
  { method: 'transaction', without: [], command: 'transaction', skip: 0 },
  { method: 'transactionSync', without: ['blockdev-create'], command: 'transaction', skip: 0 },
  { method: 'sequential', without: ['transaction'], command: 'blockdev-snapshot-sync', skip: 0 },
  { method: 'sequential', without: ['transaction'], command: 'blockdev-snapshot-sync', skip: 1 },
  { method: 'sequential', without: ['transaction'], command: 'cont', skip: 0 },
].flatMap(each => WHEN.map(when => ({ ...each, when })));

/** Either verdict keeps the promise, so QEMU is asked for whichever it was. */
async function expectEither(on: Stage, result: SagaResult): Promise<void> {
  expect(on.tap.pending).toEqual([]);
  expect(result.outcome, explain(result)).toBeOneOf(['committed', 'rolledBack']);
  if (result.outcome === 'committed') await expectSwitched(on, result);
  else await expectTakenBack(on, result);
}

describeOnQemu('a monitor whose line breaks', () => {
  test.each(eachValue(copies))(
    '$when $command ($skip) leaves a copy whole: $strategy',
    async ({ strategy, command, skip, when }) => {
      await using on = await stage({ disks: 2 });
      on.tap[when](command, async () => on.tap.cut(), skip);
      const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy });
      await expectEither(on, await saga.result);
    },
  );

  test.each(eachValue(snapshots))(
    '$when $command ($skip) leaves a snapshot whole: $method',
    async ({ without, command, skip, when }) => {
      await using on = await stage({ disks: 2 });
      on.tap[when](command, async () => on.tap.cut(), skip);
      const saga = await on.engine.snapshot({ ...on.snapshotAll(), ...on.tapped, without });
      await expectEither(on, await saga.result);
    },
  );
});
