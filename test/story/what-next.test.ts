/** What an administrator is told to do next: the disk that failed is named with the image that it was to get. */
import { expect, test } from 'vitest';
import type { SagaResult } from '../../src/engine/running/result.ts';
import { BlocksagaError } from '../../src/errors.ts';
import type { SagaRow } from '../../src/journal/journal.ts';
import { whatNext } from '../../src/story/what-next.ts';

const row = { id: 's', operation: 'copy', state: 'rolledBack' } as SagaRow;
const resultOf = (error: BlocksagaError | null) =>
  ({ error: error?.toJSON() ?? null, leftovers: [] }) as unknown as SagaResult;
const DISKS = [
  { disk: 'disk0', image: '/n/a.qcow2', isMade: true },
  { disk: 'disk1', image: '/n/b.qcow2', isMade: true },
  { disk: 'disk2', image: '/dev/vg/c', isMade: false },
];
const told = (error: BlocksagaError | null) =>
  whatNext({ row, result: resultOf(error), isWaiting: false, isRunning: false, disks: DISKS })
    .map(({ words }) => words)
    .at(-1);

test('after a rollback it names where the disk that failed was to go, if that was to be made', () => {
  const failed = (disk?: string) =>
    new BlocksagaError('JOB_FAILED', 'no space', disk === undefined ? {} : { disk });
  expect(told(failed('disk1'))).toBe(
    'Remove the cause of the failure (disk1 was to get /n/b.qcow2), then ask for the same copy again: the “blocksaga copy” that you gave.',
  );
  for (const error of [failed('disk2'), failed()]) {
    expect(told(error)).toBe(
      'Remove the cause of the failure, then ask for the same copy again: the “blocksaga copy” that you gave.',
    );
  }
});

test('after a rollback that was asked for there is nothing to remove', () => {
  expect(told(new BlocksagaError('ABORTED', 'asked', { disk: 'disk1' }))).toBe(
    'For the guest, nothing: it runs on as before.',
  );
});
