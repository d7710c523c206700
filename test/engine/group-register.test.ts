/** The decision of a group in the journal: it is taken once, and a member that asks late is told the same as all others. */
import { describe, expect, it } from 'vitest';
import { beginGroup, commitGroup, endGroup, lateBarrier } from '../../src/engine/durable/group-register.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { systemClock } from '../../src/qmp/clock.ts';
import { rejection } from './lives.ts';

const MEMBERS = ['g.0', 'g.1'];

describe('a member that asks in a later process', () => {
  it('commits with a group that had committed', async () => {
    const journal = memoryJournal();
    const lease = await beginGroup(journal, systemClock, 'g', MEMBERS, []);
    expect(await commitGroup(journal, lease)).toBe('forward');
    const later = memoryJournal(journal.snapshot());
    await expect(lateBarrier(later, systemClock, 'g').confirmed()).resolves.toBeUndefined();
  });

  it('rolls back with a group that had not decided, which cannot commit from then on', async () => {
    const journal = memoryJournal();
    const lease = await beginGroup(journal, systemClock, 'g', MEMBERS, []);
    const later = memoryJournal(journal.snapshot());
    for (const _ of MEMBERS) {
      expect((await rejection(lateBarrier(later, systemClock, 'g').confirmed())).code).toBe('GROUP');
      expect(later.saga('g')?.state).toBe('rolledBack');
    }
    expect(await commitGroup(later, lease)).toBe('back');
  });

  it('rolls back with a group that had been rolled back', async () => {
    const journal = memoryJournal();
    const lease = await beginGroup(journal, systemClock, 'g', MEMBERS, []);
    expect(await endGroup(journal, lease)).toBe('rolledBack');
    expect((await rejection(lateBarrier(journal, systemClock, 'g').confirmed())).code).toBe('GROUP');
  });

  it('is told to wait for a process that lives and may still commit', async () => {
    const journal = memoryJournal();
    await beginGroup(journal, systemClock, 'g', MEMBERS, []);
    expect((await rejection(lateBarrier(journal, systemClock, 'g').confirmed())).code).toBe('VM_BUSY');
    expect(journal.saga('g')?.state).toBe('open');
  });
});
