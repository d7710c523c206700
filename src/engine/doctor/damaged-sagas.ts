/** What a doctor says of sagas whose rows or records cannot be read. It repairs nothing. */
import { BlocksagaError } from '../../errors.ts';
import type { Journal, JournalRecord, SagaRow } from '../../journal/journal.ts';
import { checkedJournal } from '../durable/checked-journal.ts';
import { damagedSaga } from '../durable/row-codecs.ts';
import type { Removable } from './finding.ts';

/** A row that cannot be read, as a find. */
export function damagedRow({ row, why }: { readonly row: SagaRow; readonly why: string }): Removable {
  return damagedFinding(row.id, damagedSaga(row.id, 'its row', why));
}

/** The records of a saga, or what is to be said where they cannot be read. Throws JOURNAL where none at all can. */
export function recordsIn(journal: Journal, id: string): JournalRecord[] | Removable {
  try {
    return [...checkedJournal(journal).records(id)];
  } catch (error) {
    if (!(error instanceof BlocksagaError) || error.code !== 'JOURNAL' || error.saga !== id) throw error;
    return damagedFinding(id, error);
  }
}

function damagedFinding(id: string, { message }: BlocksagaError): Removable {
  return { kind: 'saga', name: id, saga: id, why: message, removable: false, remove: undefined };
}
