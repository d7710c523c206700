/** Which files of images that left the chains a saga has removed, as was asked, by its records. It only reads. */
import { member } from '../../journal/body.ts';
import type { JournalRecord } from '../../journal/journal.ts';

/** Their names: of those that were to go, once that is known to be done. */
export function removedFiles(records: readonly JournalRecord[]): ReadonlySet<string> {
  const own = records.filter(({ step }) => step === 'removeLeaving');
  const isDone = own.some(({ kind, body }) => kind === 'outcome' && member(body, 'error') === null);
  const found = member(own.findLast(({ kind }) => kind === 'intent')?.body ?? null, 'observed');
  if (!isDone || !Array.isArray(found)) return new Set();
  const gone = found.filter(each => member(each, 'identity') !== null);
  return new Set(gone.map(each => String(member(each, 'file'))));
}
