/**
 * A journal whose rows are checked before they are used: asking for a saga with a damaged row throws JOURNAL with the
 * saga's id. A list has all rows, so that one cannot hide the others. It changes nothing.
 */
import type { Journal, JournalRecord, SagaRow } from '../../journal/journal.ts';
import { PLAN_VERSION, type Plan } from '../../plan/plan.ts';
import { damagedSaga, whyRecordIsDamaged, whyRowIsDamaged } from './row-codecs.ts';

/** The same journal; `saga` and `records` throw JOURNAL for what is damaged, `sagas` gives it for `planOf` to throw. */
export function checkedJournal(journal: Journal): Journal {
  return {
    ...passedOn(journal),
    saga: id => {
      const row = journal.saga(id);
      return row === undefined ? undefined : readable(row);
    },
    records: id => journal.records(id).map(record => readableRecord(id, record)),
  };
}

/** What is not looked at: each call with all that it was given, so that none of its options, such as a deadline, is left out. */
function passedOn(journal: Journal): Omit<Journal, 'saga' | 'records'> {
  const { release, forget, renew, standing, accept } = journal;
  return {
    begin: (...given) => journal.begin(...given),
    takeOver: (...given) => journal.takeOver(...given),
    confirm: (...given) => journal.confirm(...given),
    append: (...given) => journal.append(...given),
    appendSync: (...given) => journal.appendSync(...given),
    end: (...given) => journal.end(...given),
    ask: (...given) => journal.ask(...given),
    listen: (...given) => journal.listen(...given),
    sagas: (...given) => journal.sagas(...given),
    close: () => journal.close(),
    ...(release && { release: (...given) => release.apply(journal, given) }),
    ...(forget && { forget: () => forget.call(journal) }),
    ...(renew && { renew: (...given) => renew.apply(journal, given) }),
    ...(standing && { standing: (...given) => standing.apply(journal, given) }),
    ...(accept && { accept: (...given) => accept.apply(journal, given) }),
  };
}

/** The rows that can be read, and what is wrong with the others: for lists, which must not fail for one of them. */
export function sortedRows(rows: readonly SagaRow[]): {
  readonly rows: readonly SagaRow[];
  readonly damaged: readonly { readonly row: SagaRow; readonly why: string }[];
} {
  const sorted = rows.map(row => ({ row, why: whyDamaged(row) }));
  return {
    rows: sorted.filter(({ why }) => why === null).map(({ row }) => row),
    damaged: sorted.flatMap(({ row, why }) => (why === null ? [] : [{ row, why }])),
  };
}

/** The plan that a saga was begun with. Throws JOURNAL where it cannot be read. */
export function planOf(row: SagaRow): Plan {
  return readable(row).plan as object as Plan;
}

function whyDamaged(row: SagaRow): string | null {
  return whyRowIsDamaged(row, PLAN_VERSION);
}

/** Throws JOURNAL for a row that cannot be read. */
export function expectReadable(row: SagaRow): void {
  readable(row);
}

function readable(row: SagaRow): SagaRow {
  const why = whyDamaged(row);
  if (why !== null) throw damagedSaga(row.id, 'its row', why);
  return row;
}

function readableRecord(id: string, record: JournalRecord): JournalRecord {
  const why = whyRecordIsDamaged(record);
  if (why !== null) throw damagedSaga(id, `record ${record.seq} (${record.kind} of ${record.step})`, why);
  return record;
}
