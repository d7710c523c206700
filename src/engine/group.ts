/**
 * Snapshots of several guests at one instant, all or none: begins one saga per guest, lets them meet, and says what became of
 * all. How a member pauses, votes and rolls back is its saga's; what the group decided is in the journal.
 */
import { BlocksagaError, type ErrorRecord } from '../errors.ts';
import { useLease } from '../journal/in-use.ts';
import type { Journal, Lease, SagaState } from '../journal/journal.ts';
import type { Operation } from '../operations/operations.ts';
import type { PlanFacts } from '../operations/plan-facts.ts';
import { planSnapshot } from '../operations/plan-snapshot.ts';
import { checkSnapshotRequest, hasMirrorWishes, type SnapshotRequest } from '../operations/requests.ts';
import { canUndoSnapshots } from '../plan/can-undo-snapshots.ts';
import type { SnapshotPlan } from '../plan/plan.ts';
import type { Clock } from '../qmp/clock.ts';
import type { Barrier } from '../steps/step/barrier.ts';
import type { Submit } from './connection/guest.ts';
import { beginGroup, commitGroup, endGroup } from './durable/group-register.ts';
import { Rendezvous } from './rendezvous.ts';
import type { SagaResult } from './running/result.ts';
import type { Saga } from './running/saga-types.ts';

/** A group under way. */
export interface Group {
  readonly id: string;
  /** One for each request, in their order. */
  readonly members: readonly Saga[];
  /** Resolves when all members have ended. Rejects as a member's `ended` does. */
  readonly result: Promise<GroupResult>;
}

export interface GroupResult {
  readonly group: string;
  /** `needsRecovery`: what the group decided has not come about on a member yet; `resume` that one. */
  readonly outcome: SagaResult['outcome'];
  /** Why it was rolled back: the failure of the member that was first to fail. */
  readonly error: ErrorRecord | null;
  readonly members: readonly SagaResult[];
}

/** How one member is begun. */
type BeginMember = (asked: SnapshotRequest & Submit, barrier: Barrier) => Promise<Saga>;

export async function runGroup(
  { journal, clock }: { readonly journal: Journal; readonly clock: Clock },
  id: string,
  requests: readonly (SnapshotRequest & Submit)[],
  begin: BeginMember,
): Promise<Group> {
  const asked = requests.map((request, index) => ({ ...request, id: request.id ?? `${id}.${index}` }));
  const ids = asked.map(member => member.id);
  const lease = await beginGroup(journal, clock, id, ids);
  const endUse = useLease(lease);
  const meeting = new Rendezvous(ids.length, clock, () => commitGroup(journal, lease));
  const begun = await Promise.allSettled(
    asked.map(async (member, index) => {
      try {
        return await begin(member, meeting.member(index));
      } catch (error) {
        meeting.leave(`a member was refused: ${error instanceof Error ? error.message : String(error)}`);
        throw error;
      }
    }),
  );
  const members = begun.flatMap(each => (each.status === 'fulfilled' ? [each.value] : []));
  const ending = endOf(journal, lease, members).finally(endUse);
  const refused = begun.find(each => each.status === 'rejected');
  if (refused !== undefined) {
    await ending;
    throw refused.reason;
  }
  ending.catch(() => undefined); // for those who wait for it; until then it is not an unhandled one
  return { id, members, result: ending };
}

async function endOf(journal: Journal, lease: Lease, members: readonly Saga[]): Promise<GroupResult> {
  const settled = await Promise.allSettled(members.map(({ ended }) => ended));
  const lost = settled.find(each => each.status === 'rejected');
  if (lost !== undefined) throw lost.reason;
  const results = settled.flatMap(each => (each.status === 'fulfilled' ? [each.value] : []));
  const state = await endGroup(journal, lease);
  return {
    ...{ group: lease.saga, members: results },
    outcome: outcomeOf(state, results),
    error: firstFailure(results),
  };
}

function outcomeOf(state: SagaState, results: readonly SagaResult[]): SagaResult['outcome'] {
  const isReached = results.every(({ outcome }) => outcome === state);
  if (!isReached) return 'needsRecovery';
  return state === 'committed' ? 'committed' : 'rolledBack';
}

/** Not that of a member which only followed the others. */
function firstFailure(results: readonly SagaResult[]): ErrorRecord | null {
  const errors = results.flatMap(({ error }) => (error === null ? [] : [error]));
  return errors.find(({ code }) => code !== 'GROUP') ?? errors[0] ?? null;
}

/**
 * The operation of a member. Throws REQUEST_INVALID where it wishes for what a group has not, and CAPABILITY_MISSING where its
 * QEMU cannot take part.
 */
export function memberOf(group: string): Operation<SnapshotRequest, SnapshotPlan> {
  return {
    nameOf: () => 'snapshot',
    check: checkMember,
    plan: (request, facts) => planMember(group, request, facts),
  };
}

function checkMember(unchecked: unknown): SnapshotRequest {
  const request = checkSnapshotRequest(unchecked);
  if (hasMirrorWishes(request) || request.quiesce !== undefined) {
    throw new BlocksagaError('REQUEST_INVALID', 'a snapshot in a group has no mirrors and no quiesce');
  }
  return request;
}

async function planMember(id: string, request: SnapshotRequest, facts: PlanFacts): Promise<SnapshotPlan> {
  const plan = await planSnapshot(request, facts);
  if (plan.method === 'sequential' || !canUndoSnapshots(plan)) {
    throw new BlocksagaError(
      'CAPABILITY_MISSING',
      'this QEMU cannot take part in a group: it lacks a transaction of snapshots (QEMU 1.1), or a way to undo one while the ' +
        'guest runs (active-commit, QEMU 2.0); take its snapshot by itself',
    );
  }
  return { ...plan, group: { id } };
}
