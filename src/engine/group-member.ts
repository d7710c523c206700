/**
 * The operations of a group's members: what a request in a group may ask for, and the plan that it leads to. A member takes a snapshot,
 * or clones its guest; how it meets the others is in its steps.
 */
import { BlocksagaError } from '../errors.ts';
import type { Operation } from '../operations/operations.ts';
import { planCopy } from '../operations/plan-copy.ts';
import type { PlanFacts } from '../operations/plan-facts.ts';
import { planSnapshot } from '../operations/plan-snapshot.ts';
import {
  type CopyRequest,
  checkCopyRequest,
  checkSnapshotRequest,
  hasMirrorWishes,
  type SnapshotRequest,
} from '../operations/requests.ts';
import { needGuest } from '../operations/without-guest.ts';
import { canUndoSnapshots } from '../plan/can-undo-snapshots.ts';
import type { CopyPlan, SnapshotPlan } from '../plan/plan.ts';

/** What a member of a group may ask for: the snapshot of a guest, or a clone of it. */
export type GroupRequest = SnapshotRequest | CloneRequest;

/** A copy that ends beside its guest, as a group has it. */
type CloneRequest = CopyRequest & { readonly finish: 'clone' };

/** What becomes of such a request. */
export type MemberPlan = SnapshotPlan | CopyPlan;

type Member = Operation<GroupRequest, MemberPlan>;

/** Throws REQUEST_INVALID, and CAPABILITY_MISSING where its QEMU cannot take part. */
export function memberOf(group: string): Member {
  return {
    nameOf: request => (isCopy(request) ? 'copy' : 'snapshot'),
    check: request => (isCopy(request) ? checkClone(request) : checkSnapshot(request)),
    plan: (request, facts) => planMember(group, request, facts),
  };
}

/** Only a copy says how it is to end, or where its disks go; of a request that was not checked either may be missing. */
function isCopy(request: unknown): boolean {
  const { finish, disks } = Object(request) as { readonly finish?: unknown; readonly disks?: unknown };
  return finish !== undefined || (Array.isArray(disks) && disks.some(disk => Object(disk).to !== undefined));
}

function checkClone(unchecked: unknown): CloneRequest {
  const { finish, ...request } = checkCopyRequest(unchecked);
  if (finish !== 'clone')
    refuse(
      'a copy in a group is a clone: say finish=clone, since several guests cannot be switched at one instant',
    );
  if (request.quiesce !== undefined)
    refuse(
      'a clone in a group has no quiesce, since a frozen guest cannot wait for others: leave it out, or clone this guest by itself',
    );
  return { ...request, finish };
}

function checkSnapshot(unchecked: unknown): SnapshotRequest {
  const request = checkSnapshotRequest(unchecked);
  if (hasMirrorWishes(request) || request.quiesce !== undefined)
    refuse(
      'a snapshot in a group has no mirrors and no quiesce: leave them out, or take the snapshot of this guest by itself',
    );
  return request;
}

function refuse(why: string): never {
  throw new BlocksagaError('REQUEST_INVALID', why);
}

async function planMember(id: string, request: GroupRequest, facts: PlanFacts): Promise<MemberPlan> {
  needGuest(
    facts.survey,
    'a part in a group',
    'its members are of one instant because all of them are paused',
  );
  const plan = 'finish' in request ? await planClone(request, facts) : await planTaking(request, facts);
  return { ...plan, group: { id } };
}

async function planTaking(request: SnapshotRequest, facts: PlanFacts): Promise<SnapshotPlan> {
  const plan = await planSnapshot(request, facts);
  if (plan.method !== 'sequential' && canUndoSnapshots(plan)) return plan;
  throw new BlocksagaError(
    'CAPABILITY_MISSING',
    'this QEMU cannot take part in a group: it lacks a transaction of snapshots (QEMU 1.1), or a way to undo one while the ' +
      'guest runs (active-commit, QEMU 2.0); take its snapshot by itself',
  );
}

async function planClone(request: CloneRequest, facts: PlanFacts): Promise<CopyPlan> {
  const plan = await planCopy(request, facts);
  if (plan.jobsVanishOnEnd === undefined && plan.mirror.by === undefined && plan.marksQemu) return plan;
  throw new BlocksagaError(
    'CAPABILITY_MISSING',
    'this QEMU cannot clone in a group: it forgets how mirrors have ended, or cannot be marked (QEMU 3.1 does both); clone its guest by itself',
  );
}
