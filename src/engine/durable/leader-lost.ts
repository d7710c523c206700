/**
 * The decision of a person for a part in doubt, where the host that leads is lost with its journal for good: it stands in no other place.
 * What they promise is written before it is acted upon. Nothing here finds out whether the host is lost.
 */
import { BlocksagaError, invalidIn } from '../../errors.ts';
import type { Journal, SagaRow } from '../../journal/journal.ts';
import type { Clock } from '../../qmp/clock.ts';
import { seize } from '../connection/fence.ts';
import { followedIn } from './group-across.ts';
import { commitGroup, decisionOf, endGroup } from './group-register.ts';
import { decision } from './history.ts';

/** Under which the word stands in the journal, as a decision of the group. */
export const LEADER_LOST = 'leaderLost';

export const LEADER_LOST_WORDS = ['commit', 'roll-back'] as const;

/**
 * Promises that the leading host is lost with its journal, which no process will ever use again, and that every other host of the group
 * has gone the same way or will be told the same word. Where that is not true, guests of one group stand on two sides.
 */
export type LeaderLost = (typeof LEADER_LOST_WORDS)[number];

const ENDS = { commit: 'committed', 'roll-back': 'rolledBack' } as const;

/**
 * Ends the group's row by that word; durable when it resolves. The same word again changes nothing. Throws SAGA_STATE for a group that is
 * led here, has come to the other end or cannot have committed, and VM_BUSY while a process lives that has it.
 */
export async function decideWithoutLeader(
  journal: Journal,
  clock: Clock,
  row: SagaRow,
  word: LeaderLost,
): Promise<void> {
  if (!LEADER_LOST_WORDS.includes(word)) throw invalidIn(['leaderLost'], 'one of commit, roll-back');
  const { id } = row;
  const refuse = (why: string): never => {
    throw new BlocksagaError('SAGA_STATE', `group ${id} ${why}`, { saga: id });
  };
  const part = followedIn(row);
  if (part === undefined)
    return refuse(`is led by this host, whose journal has its decision: run "blocksaga resume ${id}"`);
  const end = ENDS[word];
  const known = row.state === 'open' ? await stillOpen(journal, clock, id) : row.state;
  if (typeof known === 'string') {
    if (known === end) return;
    return refuse(
      `is not in doubt: it has come to its decision, ${known}, and nothing can change that. "blocksaga resume ${id}" follows it`,
    );
  }
  const lease = await seize(journal, id, false, clock);
  const told = decision(LEADER_LOST, word === 'commit' ? 'forward' : 'back');
  await journal.append(lease, [told], { durable: true });
  if (word === 'commit') await commitGroup(journal, lease);
  else await endGroup(journal, lease);
  const came = journal.saga(id)?.state;
  if (came !== end) refuse(`was told its decision meanwhile: ${came}. "blocksaga resume ${id}" follows it`);
}

/** What has been decided, or that it is in doubt. One that cannot have answered is rolled back by that. */
async function stillOpen(journal: Journal, clock: Clock, id: string) {
  try {
    return await decisionOf(journal, clock, id, false);
  } catch (error) {
    if (!(error instanceof BlocksagaError) || error.code !== 'VM_BUSY') throw error;
    const why = `the agent of this host still has group ${id}, and asks its leader: end that agent by SIGTERM, say this again, and start it anew`;
    throw new BlocksagaError('VM_BUSY', why, { saga: id, cause: error });
  }
}
