/** Says on standard error when a journal is an older copy of itself, or when nothing tells whether it is one. */
import type { Journal } from '../../journal/journal.ts';
import type { CliContext } from '../print/context.ts';

/** For what is begun: a copy that was put back may lack a saga that has a part in the same guest. */
export function warnOfOlder(journal: Journal, context: Pick<CliContext, 'complain'>): void {
  if (journal.standing?.().is !== 'older') return;
  context.complain(
    'warning: the journal is an older copy that was put back; sagas that were begun after it was made are not in it: "blocksaga doctor --qmp SOCK" shows what they have left in a guest',
  );
}

/** For what goes by the word of the journal: then QEMU and the images alone show whether a copy was put back. */
export function tellIfUnknown(journal: Journal, saga: string, context: Pick<CliContext, 'complain'>): void {
  const row = journal.saga(saga);
  const standing = journal.standing?.(saga);
  if (standing?.is !== 'unknown' || (row?.state !== 'open' && row?.state !== 'needsRecovery')) return;
  context.complain(
    `note: whether this journal is the copy that was written last cannot be told (${standing.why}); QEMU and the images are asked`,
  );
}
