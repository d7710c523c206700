/**
 * Images under whose names other files stood while QEMU merged into them, as the journal says it: QEMU opens an image by its name to
 * write to it, and which of the two it opened cannot be told once the first one has its name again. Pure.
 */
import { member } from '../../journal/body.ts';
import type { JournalRecord, NewRecord } from '../../journal/journal.ts';

/** What it stands under: no step of a machine. */
export const MERGED_ELSEWHERE = 'mergedElsewhere';

export const mergedElsewhere = (files: readonly string[]): NewRecord => ({
  kind: 'outcome',
  step: MERGED_ELSEWHERE,
  body: { value: { files } },
});

/** Their names. */
export function mergedElsewhereIn(records: readonly JournalRecord[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { kind, step, body } of records) {
    const files =
      kind === 'outcome' && step === MERGED_ELSEWHERE ? member(member(body, 'value'), 'files') : null;
    if (Array.isArray(files)) for (const file of files) found.add(String(file));
  }
  return found;
}
