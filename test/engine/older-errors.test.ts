/** Errors in journals that call an error's `effect` its `outcome`, as it was called before. */
import { expect, test } from 'vitest';
import { whyRecordIsDamaged } from '../../src/engine/durable/row-codecs.ts';
import { BlocksagaError, type ErrorRecord, withEffect } from '../../src/errors.ts';

const { effect: _, ...nameless } = new BlocksagaError('JOURNAL', 'the disk is full', { saga: 's' }).toJSON();
// Deliberately not the code's usual one.
const older = { ...nameless, outcome: 'notApplied' } as object as ErrorRecord;
const record = (error: object) =>
  ({ seq: 1, atMs: 0, kind: 'outcome', step: 'pauseGuest', body: { error } }) as Parameters<
    typeof whyRecordIsDamaged
  >[0];

test('an error that was recorded with its old word keeps its effect', () => {
  expect(BlocksagaError.fromRecord(older)).toMatchObject({
    code: 'JOURNAL',
    effect: 'notApplied',
    saga: 's',
  });
  expect(withEffect(older)).toEqual({ ...nameless, effect: 'notApplied' });
});

test('its record is not damaged, one without any word is', () => {
  expect(whyRecordIsDamaged(record(older))).toBeNull();
  expect(whyRecordIsDamaged(record({ ...nameless, effect: 'unknown' }))).toBeNull();
  expect(whyRecordIsDamaged(record(nameless))).not.toBeNull();
});
