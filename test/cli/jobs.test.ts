import { expect, test } from 'vitest';
import { jobInWords, type ShownJob } from '../../src/cli/commands/jobs.ts';

const MIB = 2 ** 20;

function job(change: Partial<ShownJob>): ShownJob {
  return {
    type: 'job',
    id: 'j',
    job: 'mirror',
    status: 'running',
    ready: false,
    currentBytes: 0,
    totalBytes: 0,
    dirtyBytes: null,
    speedBytesPerSecond: 0,
    error: null,
    saga: null,
    disk: null,
    ...change,
  };
}

test.each([
  ['no figures yet', {}, 'copying, nothing to copy yet;'],
  ['half', { currentBytes: MIB, totalBytes: 2 * MIB }, 'copying, 50 % (1.0 MiB of 2.0 MiB)'],
  [
    'equal figures of a mirror that is not ready',
    { currentBytes: 4 * MIB, totalBytes: 4 * MIB },
    'copying, 99 %',
  ],
  [
    'equal figures of a pull, which is never ready',
    { job: 'stream', status: 'waiting', currentBytes: 4 * MIB, totalBytes: 4 * MIB },
    'waits for other jobs, 99 %',
  ],
  ['pending', { status: 'pending', currentBytes: 4, totalBytes: 4 }, 'done, waits to be finalized, 100 %'],
  [
    'ready, with the guest writing',
    { status: 'ready', ready: true, currentBytes: 4 * MIB, totalBytes: 4 * MIB, dirtyBytes: 128 * 1024 },
    'ready, follows the guest, 128.0 KiB behind the guest',
  ],
  ['ready and even', { status: 'ready', ready: true, dirtyBytes: 0 }, 'nothing is left to copy'],
  ['ready, of no saga here', { status: 'ready', ready: true, totalBytes: MIB }, '1.0 MiB copied; no saga'],
  ['limited', { totalBytes: 2, speedBytesPerSecond: MIB }, 'at 1.0 MiB/s at most; no saga of this journal'],
  ['of a saga', { saga: 'night', disk: 'dev0' }, '; dev0 of saga night'],
] as const)('a job is told: %s', (_what, change, words) => {
  expect(jobInWords(job(change))).toContain(words);
});

test('no figures make a running job 100 %', () => {
  for (const totalBytes of [1, 512, 65_536, 2 ** 40, 2 ** 52]) {
    expect(jobInWords(job({ currentBytes: totalBytes, totalBytes }))).not.toContain('100 %');
  }
});
