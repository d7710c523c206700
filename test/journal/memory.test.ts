import { describe, expect, it } from 'vitest';
import { type MemoryJournal, memoryJournal } from '../../src/journal/memory.ts';
import type { Clock } from '../../src/qmp/clock.ts';
import { describeJournal, intent, newSaga, type Subject } from './contract.ts';

function subject(journal: MemoryJournal, clock: Clock): Subject {
  return { journal, restart: () => subject(memoryJournal(journal.snapshot(), { clock }), clock) };
}

describeJournal('in memory', clock => subject(memoryJournal(undefined, { clock }), clock));

describe('a snapshot of the journal in memory', () => {
  it('stays as it was while the journal goes on, and two journals that begin from it do not meet', () => {
    const journal = memoryJournal();
    const lease = journal.begin(newSaga('s1'));
    journal.appendSync(lease, [intent('a')]);
    const state = journal.snapshot();
    journal.appendSync(lease, [intent('b')]);
    const [one, two] = [memoryJournal(state), memoryJournal(state)];
    one.appendSync(one.takeOver('s1'), [intent('c')]);
    expect(one.records('s1').map(({ step }) => step)).toEqual(['a', 'c']);
    expect(two.records('s1').map(({ step }) => step)).toEqual(['a']);
    expect(two.saga('s1')?.holder.startedAt).toBe('1');
  });

  it('resolves a durable append in a microtask', async () => {
    const journal = memoryJournal();
    const lease = journal.begin(newSaga('s1'));
    let isDurable = false;
    void journal.append(lease, [intent('a')], { durable: true }).then(() => {
      isDurable = true;
    });
    await Promise.resolve();
    expect(isDurable).toBe(true);
  });
});
