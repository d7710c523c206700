/**
 * The journal for the length of one command. What the command came to is what counts: a journal that breaks when it is
 * closed is told of on standard error, and takes the place of no result, status or refusal.
 */
import { BlocksagaError } from '../../errors.ts';
import type { Journal } from '../../journal/journal.ts';
import type { CliContext } from '../print/context.ts';

/** Does the work and closes the journal. Throws what the work throws. */
export async function withJournal<T>(
  journal: Journal,
  context: Pick<CliContext, 'complain'>,
  work: (journal: Journal) => Promise<T>,
): Promise<T> {
  try {
    return await work(journal);
  } finally {
    await closeJournal(journal, context);
  }
}

/** All that the saga's outcome rests on was waited for when it was written: what is lost here are notes for `show`. */
export async function closeJournal(journal: Journal, context: Pick<CliContext, 'complain'>): Promise<void> {
  try {
    await journal.close();
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    context.complain(`the journal could not be closed: ${error.message}`);
  }
}
