/** What `show` tells of a saga on a terminal: what was tried, what failed, what was undone, where each disk is, what next. */
import { beforeAll, expect, test } from 'vitest';
import { busyJournal } from '../../scripts/picture-stories.ts';
import { storyInWords } from '../../src/cli/print/story-in-words.ts';
import { planOf } from '../../src/engine/durable/checked-journal.ts';
import type { MemoryJournal } from '../../src/journal/memory.ts';
import { sceneAt } from '../../src/railway/scene.ts';
import { tellStory, whyUntold } from '../../src/story/tell.ts';

let journal: MemoryJournal;

beforeAll(async () => {
  ({ journal } = await busyJournal());
});

function told(id: string, isRunning = true): string {
  const row = journal.saga(id);
  if (row === undefined) throw new Error(`no saga ${id}`);
  const story = tellStory({ row, plan: planOf(row), records: journal.records(id), isRunning });
  return storyInWords(sceneAt(story)).join('\n');
}

/** The lines below a heading. */
function below(text: string, heading: string): readonly string[] {
  const [, rest = ''] = text.split(`\n${heading}\n`);
  const lines = rest.split('\n');
  const end = lines.findIndex(line => !line.startsWith('  '));
  return lines.slice(0, end === -1 ? undefined : end).map(line => line.trim());
}

test('of a saga that was rolled back, which disk failed where and why, what was undone, where each disk is, and what next', () => {
  const text = told('7hw0c3zq8n2dk');
  expect(text).toMatch(/^Rolled back: disk1 failed at “mirror disks”\. All 3 disks are where they were/);
  expect(below(text, 'What it did')).toEqual([expect.stringMatching(/^mark QEMU .*create images/)]);
  expect(below(text, 'What failed')).toEqual([
    expect.stringMatching(/^disk1, at “mirror disks”: .*\(JOB_FAILED\)$/),
    'QEMU said to blockdev-mirror: No space left on device',
  ]);
  expect(below(text, 'What was undone').map(line => line.slice(0, 16))).toEqual([
    '1. mirror disks ',
    '2. insert filter',
    '3. create images',
    '4. claim files (',
    '5. mark QEMU (0.',
  ]);
  expect(below(text, 'Where every disk is now')[1]).toBe(
    'disk1  the guest is on /images/disk1.qcow2; /images/copy1.qcow2: removed again; this is the disk that failed',
  );
  expect(below(text, 'What to do now').join('\n')).toContain('ask for the same copy again');
});

test('of one that needs recovery, that the journal cannot say where the guest is, and the commands', () => {
  const text = told('0vd5r8m2j6x1a');
  expect(below(text, 'Where every disk is now')[0]).toMatch(/cannot say on which of .*disk0.* and .*copy0/);
  expect(below(text, 'What to do now').join('\n')).toContain('blocksaga resume --offline 0vd5r8m2j6x1a');
  expect(below(text, 'What was to be undone')[0]).toMatch(/^1\. reopen filters .*This failed\.$/);
  expect(below(text, 'What failed')[1]).toBe('the undo of “reopen filters”: for the same reason');
  expect(text).not.toMatch(/paused for [\d.]+ m?s/);
});

test('of one under way, where it is; of one whose process has ended, that no end is written', () => {
  expect(below(told('2f9s4t7b1y3qe'), 'What it did')).toContain(
    'It is at “mirror disks” now; 9 steps are ahead.',
  );
  const text = told('2f9s4t7b1y3qe', false);
  expect(text).toContain('Interrupted: Its process has ended at “mirror disks”');
  expect(below(text, 'What it did')).toContain('At “mirror disks” no end is written.');
});

test('of 32 disks, the one that failed and eight others by name', () => {
  const lines = below(told('5m1z7p3d9r4vj'), 'Where every disk is now');
  expect(lines).toHaveLength(10);
  expect(lines[8]).toContain('this is the disk that failed');
  expect(lines[9]).toContain('21 more likewise');
});

test('a plan of another version has no chart here, and is told by its records', () => {
  const row = journal.saga('7hw0c3zq8n2dk');
  if (row === undefined) throw new Error('it is there');
  expect(whyUntold(row)).toBeNull();
  const other = { ...row, planVersion: 1 };
  expect(whyUntold(other)).toMatch(/planned by a version.*blocksaga show/);
  expect(() => tellStory({ row: other, plan: planOf(row), records: [], isRunning: false })).toThrow(
    /version/,
  );
});
