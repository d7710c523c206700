/**
 * The decision of a group as the journal has it: a row of its own, which is ended once. `committed` is the decision, and what
 * is not committed when a member asks for it in a later process is ended as `rolledBack` first. Knows nothing of guests.
 */
import { BlocksagaError } from '../../errors.ts';
import type { Journal, Lease, SagaRow, SagaState } from '../../journal/journal.ts';
import { sagaIsUnknown } from '../../journal/refusals.ts';
import { whenFree } from '../../journal/waiting.ts';
import { isSameRequest } from '../../operations/same-request.ts';
import { PLAN_VERSION, type Plan } from '../../plan/plan.ts';
import { type Clock, sleep } from '../../qmp/clock.ts';
import type { Json } from '../../qmp/transport.ts';
import { type Barrier, groupIsBack } from '../../steps/step/barrier.ts';
import { seize } from '../connection/fence.ts';
import {
  type AcrossHosts,
  type AskLeader,
  type FollowedPart,
  followedIn,
  mayHaveAnswered,
  partIsInDoubt,
} from './group-across.ts';
import { letGo } from './let-go.ts';

/** The operation's name in the journal: a row that is no saga, and has no guest. */
export const GROUP = 'group';

/** Writes the row, durable, before any member is begun. Throws ID_CONFLICT, JOURNAL. */
export function beginGroup(
  journal: Journal,
  clock: Clock,
  id: string,
  members: readonly string[],
  requests: readonly object[],
  across?: AcrossHosts,
): Promise<Lease> {
  const row = {
    ...{ id, vm: `${GROUP}:${id}`, operation: GROUP, planVersion: PLAN_VERSION, address: '' },
    request: { requests: requests as object as Json },
    plan: { operation: GROUP, disks: [], members: [...members], ...(across as object) },
  };
  return whenFree(clock, within => journal.begin(row, within));
}

/** The ids of a group's members, of which not all may have been begun. */
export function membersIn({ plan }: Pick<SagaRow, 'plan'>): readonly string[] {
  const { members } = plan as { readonly members?: Json };
  return Array.isArray(members) ? members.filter(member => typeof member === 'string') : [];
}

/** The group that a saga is a member of, where it is one. */
export function groupIn({ plan }: Pick<SagaRow, 'plan'>): string | undefined {
  const { group } = plan as { readonly group?: { readonly id: string } };
  return group?.id;
}

/** Throws SAGA_STATE for what is asked of a group as if it were a saga. */
export function refuseGroup({ id, operation }: Pick<SagaRow, 'id' | 'operation'>): void {
  if (operation !== GROUP) return;
  throw new BlocksagaError(
    'SAGA_STATE',
    `${id} is a group, and no saga of one guest: "blocksaga resume ${id}" brings all of its members to their ends, "blocksaga abort ${id}" rolls all of them back`,
    { saga: id },
  );
}

/** Throws SAGA_STATE for a row of anything else. */
export function expectGroup({ id, operation }: SagaRow): void {
  if (operation === GROUP) return;
  throw new BlocksagaError('SAGA_STATE', `${id} is a saga, a ${operation}, and no group: resume it as one`, {
    saga: id,
  });
}

/** What is said of a request besides what is asked for does not count. */
export function isSameGroup(known: SagaRow | readonly object[], requests: readonly object[]): boolean {
  const before = 'operation' in known ? requestsIn(known) : known;
  if (before?.length !== requests.length) return false;
  return requests.every((request, at) => {
    const operation = 'finish' in request ? 'copy' : 'snapshot';
    return isSameRequest(operation, before[at] ?? {}, request);
  });
}

function requestsIn({ operation, request }: SagaRow): readonly object[] | undefined {
  const { requests } = request as { readonly requests?: Json };
  return operation === GROUP && Array.isArray(requests) ? (requests as readonly object[]) : undefined;
}

/**
 * Decides to commit; durable when it resolves. `back` where another process has taken the group over. Throws where it cannot
 * be told which it is.
 */
export async function commitGroup(journal: Journal, lease: Lease): Promise<'forward' | 'back'> {
  try {
    await journal.end(lease, 'committed', resultOf(lease.saga, 'committed'));
    return 'forward';
  } catch (error) {
    const state = journal.saga(lease.saga)?.state;
    if (state === 'committed') return 'forward';
    if (error instanceof BlocksagaError && LOST.has(error.code)) return 'back';
    throw error;
  }
}

/** Ends a group that has not committed; a group that has ended stays as it is. Gives what it came to. */
export async function endGroup(journal: Journal, lease: Lease): Promise<SagaState> {
  try {
    if (stateOf(journal, lease.saga) === 'open')
      await journal.end(lease, 'rolledBack', resultOf(lease.saga, 'rolledBack'));
  } catch (error) {
    // It was being ended meanwhile, here or by another process.
    const isEnded = stateOf(journal, lease.saga) !== 'open';
    if (!isEnded || !(error instanceof BlocksagaError && LOST.has(error.code))) throw error;
  }
  return stateOf(journal, lease.saga);
}

/**
 * What the group came to, for who asks late: one that has not decided is rolled back first, so that it never will. That of a part
 * which another host leads, and which may have answered, is in doubt. Throws VM_BUSY while the process lives in which it may
 * decide, unless it is taken from that by force.
 */
export function decisionOf(
  journal: Journal,
  clock: Clock,
  group: string,
  force: boolean,
): Promise<SagaState | FollowedPart> {
  return inTurn(journal, () => decideLate(journal, clock, group, force));
}

/** What was begun last with the rows of groups: those that ask in one process are not in each other's way at a row. */
const last = new WeakMap<Journal, Promise<unknown>>();

function inTurn<T>(journal: Journal, work: () => Promise<T>): Promise<T> {
  const turn = (last.get(journal) ?? Promise.resolve()).then(work);
  last.set(
    journal,
    turn.catch(() => undefined),
  );
  return turn;
}

async function decideLate(
  journal: Journal,
  clock: Clock,
  group: string,
  force: boolean,
): Promise<SagaState | FollowedPart> {
  const row = journal.saga(group);
  if (row === undefined) throw sagaIsUnknown(group);
  if (row.state !== 'open') return row.state;
  const lease = await seize(journal, group, force, clock);
  const part = followedIn(row);
  if (part === undefined || !mayHaveAnswered(journal, membersIn(row))) return endGroup(journal, lease);
  await letGo(journal, lease); // any process of this host may be told
  return part;
}

/**
 * Whether the group committed. Without `ask` a part in doubt is refused with SAGA_STATE; with it the leader is asked until it has
 * told, and what it has told is durable when this resolves. Throws as `decisionOf`.
 */
export async function hasCommitted(
  journal: Journal,
  clock: Clock,
  group: string,
  force: boolean,
  ask?: AskLeader,
): Promise<boolean> {
  const known = await decisionOf(journal, clock, group, force);
  if (typeof known === 'string') return known === 'committed';
  if (ask === undefined) throw partIsInDoubt(known);
  const told = await unlessSettled(journal, clock, group, ask(known));
  await inTurn(journal, () => settle(journal, clock, group, told));
  return stateOf(journal, group) === 'committed';
}

/** What is asked for, or what another process has ended the group's row with meanwhile: it was told, or a person has decided. */
async function unlessSettled<T>(
  journal: Journal,
  clock: Clock,
  group: string,
  asking: Promise<T>,
): Promise<T | 'committed' | 'rolledBack'> {
  let isOver = false;
  const settled = async () => {
    for (;;) {
      const state = stateOf(journal, group);
      if (state === 'committed' || state === 'rolledBack') return state;
      await sleep(clock, SETTLED_LOOK_MS);
      if (isOver) return asking;
    }
  };
  try {
    return await Promise.race([asking, settled()]);
  } finally {
    isOver = true;
    asking.catch(() => undefined); // where it is not waited for any more
  }
}

/** A process that only looks has the row for a moment. */
async function settle(
  journal: Journal,
  clock: Clock,
  group: string,
  told: 'committed' | 'rolledBack',
): Promise<void> {
  for (let tries = SETTLE_TRIES; stateOf(journal, group) === 'open'; tries -= 1) {
    try {
      const lease = await seize(journal, group, false, clock);
      if (told === 'committed') await commitGroup(journal, lease);
      else await endGroup(journal, lease);
    } catch (error) {
      if (tries === 0 || !(error instanceof BlocksagaError) || error.code !== 'VM_BUSY') throw error;
      await sleep(clock, SETTLE_MS);
    }
  }
}

/**
 * Before a member of a part is resumed: one that cannot have answered is rolled back. Throws SAGA_STATE for one in doubt, where
 * this process cannot ask its leader.
 */
export async function expectTellable(
  journal: Journal,
  clock: Clock,
  plan: Plan,
  force: boolean,
  ask: AskLeader | undefined,
): Promise<void> {
  const group = plan.group ? journal.saga(plan.group.id) : undefined;
  if (group === undefined || followedIn(group) === undefined) return;
  try {
    const known = await decisionOf(journal, clock, group.id, force);
    if (typeof known !== 'string' && ask === undefined) throw partIsInDoubt(known);
  } catch (error) {
    // The process in which its members meet lives, and is asked for the member.
    if (!(error instanceof BlocksagaError) || error.code !== 'VM_BUSY') throw error;
  }
}

/** The barrier of a member whose process has died: it cannot meet the others, but the decision may have been taken. */
export function lateBarrier(journal: Journal, clock: Clock, group: string, ask?: AskLeader): Barrier {
  const why = groupIsBack('the process in which its members met has ended');
  const gone = async () => {
    throw why;
  };
  return {
    ...{ left: AbortSignal.abort(why), prepared: gone, converged: gone, looked: gone, taken: gone },
    hasLooked: () => true,
    async resumed() {
      // No other guest's pause is known of here.
    },
    sawPaused() {
      // What it has answered is in the journal.
    },
    async confirmed() {
      if (!(await hasCommitted(journal, clock, group, false, ask)))
        throw groupIsBack('it had not decided to commit');
    },
    leave() {
      // Without this member's answer the group cannot commit, and no process waits for it.
    },
  };
}

const SETTLE_TRIES = 50;
const SETTLE_MS = 100;
const SETTLED_LOOK_MS = 1_000;

const LOST: ReadonlySet<string> = new Set(['VM_BUSY', 'SAGA_STATE']);

function stateOf(journal: Journal, id: string): SagaState {
  const row = journal.saga(id);
  if (row === undefined) throw sagaIsUnknown(id);
  return row.state;
}

/** In the shape of a saga's result, so that lists of sagas read it. */
function resultOf(saga: string, outcome: 'committed' | 'rolledBack'): Json {
  const none = { strategy: null, disks: [], blackoutMs: null, error: null, leftovers: [] };
  return { saga, operation: GROUP, outcome, ...none };
}
