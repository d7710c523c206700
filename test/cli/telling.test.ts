import { describe, expect, test } from 'vitest';
import { exitStatusOf } from '../../src/cli/print/exit-status.ts';
import { jsonLine } from '../../src/cli/print/json-lines.ts';
import { PlainReporter } from '../../src/cli/print/plain-reporter.ts';
import { recordsInWords } from '../../src/cli/print/records-in-words.ts';
import { refusalInWords, resultInWords } from '../../src/cli/print/summary.ts';
import { endOnTerminal } from '../../src/cli/print/terminal-end.ts';
import { percentOf, progressInWords, stepInWords, timeInWords } from '../../src/cli/print/words.ts';
import type { SagaResult } from '../../src/engine/running/result.ts';
import type { ErrorRecord } from '../../src/errors.ts';
import type { JournalRecord, RecordKind } from '../../src/journal/journal.ts';
import type { Json } from '../../src/qmp/transport.ts';
import { growingSizeInWords } from '../../src/railway/words.ts';
import { fakeContext } from './fake-context.ts';
import { entered, progressed } from './notices.ts';

const full: ErrorRecord = {
  code: 'JOB_FAILED',
  message: 'the mirror of disk disk1 failed',
  retryable: false,
  effect: 'notApplied',
  disk: 'disk1',
  cause: { command: 'blockdev-mirror', class: 'JobError', desc: 'No space left on device' },
};

/** A disk on a node that stands on these files. */
function at(node: string, file: string, ...below: readonly string[]) {
  return { node, file, chain: [file, ...below] };
}

function result(change: Partial<SagaResult> = {}): SagaResult {
  return {
    saga: 's1',
    operation: 'copy',
    outcome: 'committed',
    strategy: 'reopen',
    disks: [
      { disk: 'disk0', before: { node: 'a', file: '/a' }, after: at('n', '/n'), image: '/n' },
      { disk: 'disk1', before: { node: 'b', file: '/b' }, after: at('m', '/m'), image: '/m' },
    ],
    blackoutMs: 4.125,
    error: null,
    leftovers: [],
    ...change,
  };
}

describe('the exit status', () => {
  test.each([
    ['committed', 'pivot', null, 0],
    ['committed', null, null, 0],
    ['ready', 'leave', null, 0],
    ['rolledBack', 'pivot', full, 1],
    ['rolledBack', 'pivot', null, 1],
    ['rolledBack', null, full, 1],
    ['rolledBack', 'abort', null, 0],
    ['rolledBack', 'abort', full, 1],
    ['needsRecovery', 'pivot', full, 3],
    ['needsRecovery', 'abort', null, 3],
  ] as const)('of %s after --finish %s with error %o is %d', (outcome, finish, error, status) => {
    expect(exitStatusOf(result({ outcome, error }), finish)).toBe(status);
  });
});

describe('a result in words', () => {
  test('says for each disk from where to where, how, and how long the guest was paused', () => {
    expect(resultInWords(result())).toEqual([
      'saga s1: committed, both disks have been copied',
      '  disk0: /a -> /n',
      '  disk1: /b -> /m',
      '  by "reopen", the guest was paused for 4.1 ms at most',
    ]);
  });

  test('where QEMU was lost tells no length of a pause that nothing is known to have ended', () => {
    const { cause: _, ...gone } = { ...full, code: 'QMP_CONNECT' as const };
    const lost = result({ outcome: 'needsRecovery', error: gone });
    for (const words of [resultInWords(lost), endOnTerminal(lost)])
      expect(words.join('\n')).not.toMatch(/paused for/);
    const other = result({ outcome: 'needsRecovery', error: full });
    for (const words of [resultInWords(other), endOnTerminal(other)])
      expect(words.join('\n')).toMatch(/paused for 4\.1 ms at most/);
  });

  test('of a failure says why, in QEMU’s words too, and what is left', () => {
    const disks = result().disks.map(disk => ({ ...disk, after: at(disk.before.node, disk.before.file) }));
    const words = resultInWords(
      result({ outcome: 'rolledBack', error: full, disks, leftovers: ['/m'] }),
    ).join('\n');
    expect(words).toContain('rolled back, no disk has changed');
    expect(words).toContain('disk0: still on /a');
    expect(words).toContain('the mirror of disk disk1 failed (JOB_FAILED)');
    expect(words).toContain('QEMU said to blockdev-mirror: No space left on device');
    expect(words).toContain('left behind: /m');
    expect(words).not.toContain('nothing is left');
    expect(words).not.toContain('as asked');
  });

  test('of a rollback that was asked for says so, and that nothing is left', () => {
    const disks = result().disks.map(disk => ({ ...disk, after: at(disk.before.node, disk.before.file) }));
    const error = { ...full, code: 'ABORTED' } as const;
    expect(resultInWords(result({ outcome: 'rolledBack', disks, blackoutMs: null }))).toEqual([
      'saga s1: rolled back, as asked, no disk has changed',
      '  disk0: still on /a',
      '  disk1: still on /b',
      '  all that it did was undone, nothing is left',
    ]);
    expect(resultInWords(result({ outcome: 'rolledBack', disks, error }))[0]).toContain('as asked');
  });

  test('of copies that are kept, or of mirrors that go on, says where they are', () => {
    const disks = result().disks.map(disk => ({ ...disk, after: at(disk.before.node, disk.before.file) }));
    expect(resultInWords(result({ disks, strategy: null })).slice(1)).toEqual([
      '  disk0: still on /a, copied to /n',
      '  disk1: still on /b, copied to /m',
      '  the guest was paused for 4.1 ms at most',
    ]);
    expect(resultInWords(result({ outcome: 'ready', disks, blackoutMs: null })).join('\n')).toMatch(
      /its 2 mirrors follow the guest.*disk0: still on \/a, mirrored to \/n.*blocksaga pivot s1.*blocksaga abort s1/s,
    );
  });

  test.each([
    ['pull', [], 'disk0: /a stands on nothing now'],
    ['pull', ['/base'], 'disk0: /a stands on /base now'],
    ['commit', ['/snap1', '/base'], 'disk0: /a stands on /snap1 <- /base now'],
  ])('of a %s says what each disk stands on now', (operation, below, line) => {
    const disks = [
      { disk: 'disk0', before: { node: 'a', file: '/a' }, after: at('a', '/a', ...below), image: '/a' },
    ];
    const words = resultInWords(result({ operation, disks, strategy: 'rewrite', blackoutMs: null }));
    expect(words).toEqual([
      'saga s1: committed, the disk has a shorter chain',
      `  ${line}`,
      '  by "rewrite"',
    ]);
  });

  test('of a saga that needs recovery says where to look and where the disks may be', () => {
    const disks = result().disks.map(disk => ({ ...disk, after: null }));
    const words = resultInWords(result({ outcome: 'needsRecovery', error: full, disks })).join('\n');
    expect(words).toMatch(/needs recovery.*disk0: was on \/a; QEMU cannot be asked.*blocksaga show s1/s);
  });

  test('of a guest that does not run says in which state it is, and what is left to do', () => {
    const guest = { status: 'postmigrate', todo: 'end this QEMU' };
    expect(resultInWords(result({ guest }))).toContain(
      '  the guest does not run, its state is "postmigrate": end this QEMU',
    );
  });

  test('does not repeat QEMU’s words when the message has them', () => {
    const error = { ...full, message: 'failed: No space left on device' };
    expect(refusalInWords('copy', error).join('\n')).toBe(
      'blocksaga copy: refused, nothing was touched: failed: No space left on device',
    );
    expect(refusalInWords(null, full)).toHaveLength(2);
  });
});

describe('plain lines', () => {
  test('tell each phase once and the progress of each disk in tenths', () => {
    const context = fakeContext();
    const reporter = new PlainReporter(context);
    const enter = (state: string) => reporter.notice(entered('s', state));
    const progress = (status: string, currentBytes: number) =>
      reporter.notice(progressed('s', { disk: 'd', job: 'j', status, currentBytes, totalBytes: 1000 }));
    enter('preparing.claimFiles');
    enter('preparing.createImages');
    enter('mirroring.mirrorDisks');
    for (let bytes = 0; bytes <= 1000; bytes += 1) progress('running', bytes);
    progress('ready', 1000);
    progress('standby', 1000);
    progress('ready', 1000);
    enter('compensating.undo mirrorDisks');
    enter('compensating.undo claimFiles');
    expect(context.out).toEqual([
      '  preparing the new images',
      '  copying',
      ...[0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100].map(
        percent => `  d: copying, ${percent} % (${percent * 10} bytes of 1000 bytes)`,
      ),
      '  d: ready, follows the guest, 100 % (1000 bytes of 1000 bytes)',
      '  rolling back',
    ]);
  });
});

describe('the records of a saga in words', () => {
  const record = (seq: number, kind: RecordKind, step: string, body: Json): JournalRecord => ({
    seq,
    kind,
    step,
    body,
    atMs: 1_000 + seq * 10,
  });

  test('tell each step with its end, decisions, signals, and what no end is written of', () => {
    const lines = recordsInWords([
      record(1, 'intent', 'claimFiles', { observed: null }),
      record(2, 'outcome', 'claimFiles', { value: null, abort: false }),
      record(3, 'intent', 'mirrorDisks', { observed: null }),
      record(4, 'signal', 'abort', null),
      record(5, 'outcome', 'mirrorDisks', { error: full as object as Json }),
      record(6, 'decision', 'reopenFilters', { verdict: 'forward' }),
      record(7, 'decision', 'reopenFilters', { verdict: 'back' }),
      record(8, 'intent', 'undo.claimFiles', { observed: null }),
    ]);
    expect(lines.map(line => line.replace(/^\S+ \S+ /, ''))).toEqual([
      'claim files: done in 10 ms',
      'asked to abort',
      'mirror disks: failed on disk1 after 20 ms: the mirror of disk disk1 failed (No space left on device)',
      'decided: all disks go to the new side, the saga only rolls forward',
      'decided: all disks roll back after all',
      'undo: claim files: begun, no end is written',
    ]);
    expect(lines[0]).toMatch(/^1970-01-01 00:00:01Z /);
  });
});

describe('words', () => {
  test('for sizes, progress, steps and times', () => {
    expect([0, 1023, 1024, 67_108_864, 2 ** 40 * 1.5, 2 ** 62].map(growingSizeInWords)).toEqual([
      '0 bytes',
      '1023 bytes',
      '1.0 KiB',
      '64.0 MiB',
      '1.5 TiB',
      '4096.0 PiB',
    ]);
    expect(percentOf(999, 1000)).toBe(99);
    expect(percentOf(0, 0)).toBe(0);
    expect(progressInWords(512, 2048)).toBe('25 % (512 bytes of 2.0 KiB)');
    expect(stepInWords('undo.pauseGuest')).toBe('undo: pause guest');
    expect(timeInWords(1_795_224_530_324)).toBe('2026-11-21 01:28:50Z');
  });

  test('JSON keeps integers past 2^53', () => {
    expect(jsonLine({ size: 2n ** 63n })).toBe('{"size":9223372036854775808}');
  });
});
