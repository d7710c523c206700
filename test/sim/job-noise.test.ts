/** What is left out of the comparison with QEMU, and what never is. */
import { describe, expect, test } from 'vitest';
import { type JobEvent, withoutMomentaryPauses } from './job-noise.ts';

/** Words in small letters are changes of status, others are other events. */
const told = (words: string): readonly JobEvent[] =>
  words
    .split(' ')
    .map((text, at) => (text === text.toLowerCase() ? { status: text, text, at } : { text, at }));
const left = (words: string, pausedAt: readonly number[] = []): string =>
  withoutMomentaryPauses(told(words), pausedAt)
    .map(({ text }) => text)
    .join(' ');

describe('pauses of a job that no verb has caused', () => {
  test('are left out, however many there are', () => {
    expect(left('created running paused running ready')).toBe('created running ready');
    expect(left('running paused running paused running ready')).toBe('running ready');
    expect(left('running ready READY standby ready standby ready pending')).toBe(
      'running ready READY pending',
    );
  });

  test('are told when the job does not come back as what it was', () => {
    for (const words of [
      'running paused',
      'running paused ready',
      'ready standby running',
      'running standby ready',
      'created paused running',
      'running paused aborting',
    ])
      expect(left(words)).toBe(words);
  });

  test('are told when something else came between', () => {
    expect(left('running paused ERROR running')).toBe('running paused ERROR running');
  });

  test('are told apart from those that the script caused', () => {
    expect(left('running ready standby ready pending', [2])).toBe('running ready standby ready pending');
    expect(left('ready standby ready standby ready pending', [1])).toBe('ready standby ready pending');
    expect(left('ready standby ready RESUMED standby ready pending', [3])).toBe(
      'ready RESUMED standby ready pending',
    );
    expect(left('ready standby ready standby ready', [1, 3])).toBe('ready standby ready standby ready');
  });
});
