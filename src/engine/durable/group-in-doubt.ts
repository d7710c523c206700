/** What is told to people of a group's member, or of its part on this host, that waits for another host's decision. Only reads. */
import type { Journal, SagaRow } from '../../journal/journal.ts';
import { followedIn, mayHaveAnswered, waitsForLeader } from './group-across.ts';
import { GROUP, groupIn, membersIn } from './group-register.ts';

/** Undefined for what does not wait so, or has ended. */
export function inDoubt(journal: Pick<Journal, 'saga' | 'records'>, row: SagaRow): string | undefined {
  const group = row.operation === GROUP ? row : journal.saga(groupIn(row) ?? '');
  const part = group?.state === 'open' ? followedIn(group) : undefined;
  if (group === undefined || part === undefined || row.state === 'rolledBack') return undefined;
  return mayHaveAnswered(journal, membersIn(group)) ? waitsForLeader(part) : undefined;
}
