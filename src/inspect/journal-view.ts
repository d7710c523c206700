/**
 * What the page is shown of a journal, and when that has changed. It reads; what is asked of a saga goes through `ask.ts`.
 */
import { checkedJournal, planOf } from '../engine/durable/checked-journal.ts';
import { BlocksagaError } from '../errors.ts';
import type { Journal, Processes, SagaRow } from '../journal/journal.ts';
import { mayRun } from '../journal/lease.ts';
import { sagaIsUnknown } from '../journal/refusals.ts';
import { systemClock } from '../qmp/clock.ts';
import type { Story } from '../story/story.ts';
import { tellStory } from '../story/tell.ts';
import { inOrder, listed } from './listed.ts';
import type { Listed } from './listed-saga.ts';

export interface JournalView {
  list(): readonly Listed[];
  /** Throws SAGA_UNKNOWN, JOURNAL for a damaged one, REQUEST_INVALID for one without a chart. */
  story(id: string): Story;
}

export function journalView(given: Journal, processes: Pick<Processes, 'isAlive'>): JournalView {
  const journal = checkedJournal(given);
  const isRunning = (row: SagaRow) => row.state === 'open' && mayRun(row, processes, systemClock.epochMs());
  /** Of sagas that have ended, which do not change any more. */
  const ended = new Map<string, Listed>();
  return {
    list() {
      const rows = journal.sagas();
      return inOrder(rows.map(row => ended.get(keyOf(row)) ?? remember(row)));
    },
    story(id) {
      const row = journal.saga(id);
      if (row === undefined) throw sagaIsUnknown(id);
      return tellStory({ row, plan: planOf(row), records: journal.records(id), isRunning: isRunning(row) });
    },
  };

  function remember(row: SagaRow): Listed {
    const told = listed(row, row.state === 'open' ? recordsOf(row.id) : [], isRunning(row));
    if (row.state === 'committed' || row.state === 'rolledBack') ended.set(keyOf(row), told);
    return told;
  }

  /** Damaged records are told of where the saga itself is asked for. */
  function recordsOf(id: string) {
    try {
      return journal.records(id);
    } catch (error) {
      if (!(error instanceof BlocksagaError) || error.saga !== id) throw error;
      return [];
    }
  }
}

function keyOf({ id, endedAtMs }: SagaRow): string {
  return `${id} ${endedAtMs}`;
}
