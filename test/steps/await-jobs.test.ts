import { expect, test } from 'vitest';
import type { Clock } from '../../src/qmp/clock.ts';
import type { JobInfo, JobStatus } from '../../src/qmp/jobs.ts';
import { readyWhileNearing } from '../../src/steps/jobs/await-jobs.ts';

const HOUR_MS = 3_600_000;

function watched() {
  let nowMs = 0;
  const clock: Clock = { now: () => nowMs, epochMs: () => nowMs, after: () => () => undefined };
  const isReady = readyWhileNearing(clock, HOUR_MS);
  const at = (ms: number, left: number, status: JobStatus = 'running') => {
    nowMs = ms;
    const job: JobInfo = {
      ...{ id: 'back', type: 'mirror', status },
      ...{ 'current-progress': 1_000 - left, 'total-progress': 1_000 },
    };
    return isReady(job);
  };
  return { at, isReady };
}

test('a mirror that copies for a day is waited for, as long as it comes nearer', () => {
  const { at } = watched();
  for (let hour = 0; hour < 24; hour += 1) expect(at(hour * HOUR_MS, 500 - hour)).toBe(false);
  expect(at(24 * HOUR_MS, 0, 'ready')).toBe(true);
});

test('one that has had as much left for more than an hour is given up, with what can be done', () => {
  const { at } = watched();
  expect(at(0, 300)).toBe(false);
  expect(at(HOUR_MS, 400)).toBe(false);
  expect(() => at(HOUR_MS + 1, 300)).toThrow(
    expect.objectContaining({
      code: 'DEADLINE',
      message: expect.stringMatching(/300 bytes or more left .* 60 minutes.*resume the saga/),
    }),
  );
});

test('one that is gone or over is not waited for', () => {
  const { at, isReady } = watched();
  expect(isReady(undefined)).toBe(true);
  expect(at(0, 300, 'concluded')).toBe(true);
});
