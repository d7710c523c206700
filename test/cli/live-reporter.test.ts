import { expect, onTestFinished, test, vi } from 'vitest';
import { LiveReporter } from '../../src/cli/print/live-reporter.ts';
import { PauseWatch } from '../../src/cli/print/pause-watch.ts';
import { progressLine } from '../../src/cli/print/progress-bar.ts';
import { endOnTerminal } from '../../src/cli/print/terminal-end.ts';
import type { SagaResult } from '../../src/engine/running/result.ts';
import type { Saga } from '../../src/engine/running/saga.ts';
import { fakeContext } from './fake-context.ts';
import { entered, progressed } from './notices.ts';

const disk = { disk: 'disk0', file: '/a' };
const saga = { id: 's1', plan: { operation: 'copy', disks: [disk] } } as unknown as Saga;

function result(outcome: SagaResult['outcome']): SagaResult {
  const front = { node: 'n', file: '/a' };
  return {
    ...{
      saga: 's1',
      operation: 'copy',
      outcome,
      strategy: 'reopen',
      blackoutMs: 1,
      error: null,
      leftovers: [],
    },
    disks: [{ disk: 'disk0', before: front, after: { ...front, chain: ['/a'] }, image: '/b' }],
  };
}

test.each(['committed', 'rolledBack', 'needsRecovery', 'ready'] as const)(
  'the live view ends with the summary when the saga is %s, and takes no signals of its own',
  async outcome => {
    const drawn: string[] = [];
    const spy = vi.spyOn(process.stdout, 'write').mockImplementation(text => {
      drawn.push(String(text));
      return true;
    });
    onTestFinished(() => spy.mockRestore());
    const listeners = process.listenerCount('SIGINT');
    const context = fakeContext({ interactive: true });
    const reporter = new LiveReporter(context);
    reporter.begun({ saga, vm: 'web' });
    await expect.poll(() => drawn.join('')).toContain('disk0');
    reporter.notice(entered('s1', 'mirroring.mirrorDisks'));
    const job = { disk: 'disk0', job: 'j', status: 'running', currentBytes: 512, totalBytes: 1024 };
    reporter.notice(progressed('s1', job));
    reporter.notice(progressed('s1', { ...job, disk: 'of another plan' }));
    reporter.say('interrupted');
    expect(process.listenerCount('SIGINT')).toBe(listeners);
    await reporter.ended({ saga, result: result(outcome) });
    expect(context.out).toEqual(endOnTerminal(result(outcome)));
    expect(drawn.join('')).toContain('interrupted');
    expect(context.out.at(-1)).toMatch(/^saga s1: /);
  },
);

const MIB = 2 ** 20;
const JOB = { disk: 'disk0', status: 'running', currentBytes: 29 * MIB, totalBytes: 64 * MIB };

test('a disk has a bar, a rate and the time that is left on its line, which fits its terminal', () => {
  const pace = { bytesPerSecond: 12 * MIB, remainingMs: 2_900 };
  const line = progressLine({ ...JOB, ...pace }, 6, 100);
  expect(line).toBe(
    'disk0   ████████████░░░░░░░░░░░░░░░░   45 %  29.0 MiB of 64.0 MiB  12.0 MiB/s  2.9 s left',
  );
  for (const columns of [80, 90, 100, 200])
    expect(progressLine({ ...JOB, ...pace }, 6, columns).length).toBeLessThanOrEqual(columns);
  const ready = progressLine({ ...JOB, ...pace, status: 'ready', currentBytes: 64 * MIB }, 6, 100);
  expect(ready).toMatch(/█{28} {2}100 % {2}64.0 MiB of 64.0 MiB {2}ready, follows the guest$/);
  expect(progressLine({ ...JOB, bytesPerSecond: null, remainingMs: null }, 6, 100)).toMatch(/64\.0 MiB$/);
});

test('a pause is told when it is over, one of an earlier process never', () => {
  const watch = new PauseWatch();
  const at = (atMs: number, guestPaused: boolean, replayed = false) =>
    watch.heard({ ...entered('s1', 'switching.x'), atMs, guestPaused, replayed });
  expect([at(0, false), at(1_000, true), at(1_004, true)]).toEqual([undefined, undefined, undefined]);
  expect(at(1_012, false)).toBe('the guest was paused at 1970-01-01 00:00:01Z, for about 12 ms');
  expect([at(2_000, true, true), at(2_010, false)]).toEqual([undefined, undefined]);
});

test('the end on a terminal is a table of the disks before and after, then one line', () => {
  const committed = result('committed');
  const [disk] = committed.disks;
  if (disk === undefined) throw new Error('there is a disk');
  const moved = { ...disk, after: { node: 'n', file: '/new/b', chain: ['/new/b'] }, image: '/new/b' };
  expect(endOnTerminal({ ...committed, disks: [moved, { ...disk, disk: 'd', after: null }] })).toEqual([
    '  disk   before  after',
    '  disk0  /a      /new/b',
    '  d      /a      (QEMU cannot be asked)',
    'saga s1: committed, both disks have been copied; the guest was paused for 1.0 ms at most',
  ]);
});
