/**
 * What the page is shown of a journal, and when that has changed. It reads; what is asked of a saga goes through `ask.ts`.
 */
import { checkedJournal, planOf } from '../engine/durable/checked-journal.ts';
import { BlocksagaError } from '../errors.ts';
import type { Journal, Processes, SagaRow } from '../journal/journal.ts';
import { mayRun } from '../journal/lease.ts';
import { inPages } from '../journal/pages.ts';
import { sagaIsUnknown } from '../journal/refusals.ts';
import { systemClock } from '../qmp/clock.ts';
import type { Story } from '../story/story.ts';
import { tellStory } from '../story/tell.ts';
import { commandIn } from './command-in.ts';
import { inOrder, listed } from './listed.ts';
import type { Listed } from './listed-saga.ts';

/** Sagas that are listed at first, and that one more step back adds. */
const LISTED = 100;
const OLDER_MAX = 100;

export interface JournalView {
  /** All that have not ended, and of the others the newest, a hundred and `older` hundreds more. */
  list(older?: number): readonly Listed[];
  /** Whether there are others than `list` gives. */
  hasMore(older?: number): boolean;
  /** Throws SAGA_UNKNOWN, JOURNAL for a damaged one, REQUEST_INVALID for one without a chart. */
  story(id: string): Story;
}

export interface ViewOptions {
  /** Whether the page's process may become that of a saga. */
  readonly canResume?: boolean;
  /** The journal's, where a page shows several. */
  readonly name?: string;
  /** Where the commands that a person types have to name it. */
  readonly file?: string;
}

export function journalView(
  given: Journal,
  processes: Pick<Processes, 'isAlive'>,
  { canResume = false, name, file }: ViewOptions = {},
): JournalView {
  const journal = checkedJournal(given);
  const isRunning = (row: SagaRow) => row.state === 'open' && mayRun(row, processes, systemClock.epochMs());
  /** Of sagas that have ended, which do not change any more. */
  const ended = new Map<string, Listed>();
  return {
    list(older = 0) {
      const unended = (['open', 'needsRecovery'] as const).flatMap(state => [...inPages(journal, { state })]);
      const newest = journal.sagas({ limit: listedMax(older) });
      const rows = new Map([...unended, ...newest].map(row => [row.id, row]));
      return inOrder([...rows.values()].map(row => ended.get(keyOf(row)) ?? remember(row)));
    },
    hasMore(older = 0) {
      return journal.sagas({ limit: listedMax(older) + 1 }).length > listedMax(older);
    },
    story(id) {
      const row = journal.saga(id);
      if (row === undefined) throw sagaIsUnknown(id);
      const records = journal.records(id);
      const story = tellStory({ row, plan: planOf(row), records, isRunning: isRunning(row) });
      const next = story.next.map(({ words, command }) => ({ words, command: commandIn(file, command) }));
      return { ...story, next, resumes: canResume ? story.resumes : [] };
    },
  };

  function remember(row: SagaRow): Listed {
    const seen = listed(row, row.state === 'open' ? recordsOf(row.id) : [], isRunning(row));
    const told = { ...seen, of: name ?? null, command: commandIn(file, seen.command) };
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

function listedMax(older: number): number {
  return LISTED * (1 + Math.min(Math.max(0, Math.trunc(older) || 0), OLDER_MAX));
}

function keyOf({ id, endedAtMs }: SagaRow): string {
  return `${id} ${endedAtMs}`;
}
