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
    begin: saga => journal.begin(saga),
    takeOver: (id, options) => journal.takeOver(id, options),
    confirm: lease => journal.confirm(lease),
    append: (lease, records, options) => journal.append(lease, records, options),
    appendSync: (lease, records) => journal.appendSync(lease, records),
    end: (lease, state, result) => journal.end(lease, state, result),
    ask: (id, signal, value) => journal.ask(id, signal, value),
    listen: (id, afterSeq, heard) => journal.listen(id, afterSeq, heard),
    saga: id => {
      const row = journal.saga(id);
      return row === undefined ? undefined : readable(row);
    },
    sagas: filter => journal.sagas(filter),
    ...(journal.release && { release: lease => journal.release?.(lease) ?? Promise.resolve() }),
    ...(journal.forget && { forget: () => journal.forget?.() ?? Promise.resolve(0) }),
    ...(journal.renew && { renew: renewals => journal.renew?.(renewals) ?? Promise.resolve() }),
    ...(journal.standing && { standing: id => journal.standing?.(id) ?? { is: 'newest' } }),
    ...(journal.accept && { accept: id => journal.accept?.(id) }),
    records: id => journal.records(id).map(record => readableRecord(id, record)),
    close: () => journal.close(),
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
