/** The operations on the disks of a running guest: how the request of each is checked, and what plans it. */
import type { Plan } from '../plan/plan.ts';
import { planCopy } from './plan-copy.ts';
import type { PlanFacts } from './plan-facts.ts';
import { planCommit, planPull } from './plan-merge.ts';
import { planRevert } from './plan-revert.ts';
import { operationOfSnapshot, planAnySnapshot } from './plan-snapshot-mirror.ts';
import {
  type CommitRequest,
  type CopyRequest,
  checkCommitRequest,
  checkCopyRequest,
  checkPullRequest,
  checkRevertRequest,
  checkSnapshotRequest,
  type PullRequest,
  type RevertRequest,
  type SnapshotRequest,
} from './requests.ts';

export type Request = SnapshotRequest | CopyRequest | CommitRequest | PullRequest | RevertRequest;

export interface Operation<R extends Request, P extends Plan> {
  /** What the journal calls a saga of this request. */
  readonly nameOf: (request: R) => string;
  /** Throws REQUEST_INVALID. */
  readonly check: (request: unknown) => R;
  /** Throws a refusal that names the disk; QEMU has seen only queries. */
  readonly plan: (request: R, facts: PlanFacts) => Promise<P>;
}

export const OPERATIONS = {
  snapshot: { nameOf: operationOfSnapshot, check: checkSnapshotRequest, plan: planAnySnapshot },
  copy: { nameOf: () => 'copy', check: checkCopyRequest, plan: planCopy },
  commit: { nameOf: () => 'commit', check: checkCommitRequest, plan: planCommit },
  pull: { nameOf: () => 'pull', check: checkPullRequest, plan: planPull },
  revert: { nameOf: () => 'revert', check: checkRevertRequest, plan: planRevert },
} as const;
