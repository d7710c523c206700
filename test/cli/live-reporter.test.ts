import { expect, onTestFinished, test, vi } from 'vitest';
import { LiveReporter } from '../../src/cli/print/live-reporter.ts';
import { resultInWords } from '../../src/cli/print/summary.ts';
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
    expect(context.out).toEqual(resultInWords(result(outcome)));
    expect(drawn.join('')).toContain('interrupted');
  },
);
