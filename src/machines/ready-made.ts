/**
 * Plans for those who want to look at the charts: one per operation and strategy, of one disk, without options. No QEMU has
 * these disks.
 */
import { diskNames, sagaToken } from '../plan/names.ts';
import {
  type ActiveCommitPlan,
  type CopyPlan,
  type DiskPlan,
  type Finish,
  type ImagePlan,
  PLAN_VERSION,
  type Plan,
  type PlanBase,
  type RewritePlan,
  type SnapshotMethod,
  type SnapshotMirrorPlan,
  type SnapshotPlan,
  type Strategy,
} from '../plan/plan.ts';

const TOKEN = sagaToken('example');
const SIZE_BYTES = 2 ** 30;
const QCOW2 = { driver: 'qcow2', protocol: 'file', sizeBytes: SIZE_BYTES, create: true } as const;
const OLD = { file: '/images/disk.qcow2', driver: 'qcow2', node: 'disk' } as const;
const BASE = { file: '/images/base.qcow2', driver: 'qcow2', node: 'base' } as const;

const COPY: ImagePlan = {
  ...QCOW2,
  ...{ file: '/images/disk.copy.qcow2', backing: null, below: [], openBacking: true },
};
const OVERLAY: ImagePlan = {
  ...QCOW2,
  ...{ file: '/images/disk.overlay.qcow2', backing: OLD, below: [BASE], openBacking: false },
};
const MERGED: ImagePlan = {
  ...QCOW2,
  file: BASE.file,
  create: false,
  backing: null,
  below: [],
  openBacking: true,
};
const SAME: ImagePlan = {
  ...QCOW2,
  file: OLD.file,
  create: false,
  backing: BASE,
  below: [],
  openBacking: true,
};

function diskOn(image: ImagePlan, goal: string, mark = ''): DiskPlan {
  const names = diskNames(TOKEN, 0, mark);
  return {
    ...{ disk: 'disk', index: 0, names, node: OLD.node, drive: '', qdev: '/machine/peripheral/disk' },
    ...{ file: OLD.file, driver: OLD.driver, sizeBytes: SIZE_BYTES, chain: [OLD, BASE], retiring: [] },
    ...{ cache: { direct: false, noFlush: false }, detectZeroes: 'off', image },
    goal: goal === '' ? names.image : goal,
  };
}

function base(image: ImagePlan, goal = '', mark = ''): PlanBase {
  return {
    ...{ planVersion: PLAN_VERSION, token: TOKEN, capabilities: [], maxBlackoutMs: 1_000 },
    ...{ marksQemu: true, onCommit: null, disks: [diskOn(image, goal, mark)] },
  };
}

const SWITCHED = { iothreads: false, parallel: 4, speed: 0 } as const;

/** As on a guest without iothreads. */
function below<P extends PlanBase>(strategy: Strategy | null, plan: P): P {
  if (strategy !== 'reopen') return plan;
  const filtered = ({ names }: DiskPlan) => [{ node: names.filter, driver: 'throttle', own: true as const }];
  return { ...plan, disks: plan.disks.map(disk => ({ ...disk, filters: filtered(disk) })) };
}

function copy(finish: Finish, strategy: Strategy | null, mark = ''): CopyPlan {
  return {
    ...{
      operation: 'copy',
      ...below(strategy, base(COPY, '', mark)),
      ...SWITCHED,
      finish,
      strategy,
      sync: ['full'],
    },
    mirror: { granularity: null, bufSize: null, copyMode: 'background' },
  };
}

function commit(finish: Finish, strategy: Strategy | null): ActiveCommitPlan {
  return {
    ...{
      operation: 'commit',
      kind: 'active',
      ...below(strategy, base(MERGED, BASE.node)),
      ...SWITCHED,
      finish,
      strategy,
    },
    ...{ deletes: false, hint: null },
  };
}

function rewrite(operation: RewritePlan['operation'], manualFinalize: boolean): RewritePlan {
  return {
    ...{ operation, kind: 'rewrite', ...base(SAME, OLD.node), manualFinalize, deletes: false, hint: null },
    ...{ parallel: 4, speed: 0, rewrites: [{ top: OLD.node, base: null, backingFile: null }] },
  };
}

function snapshot(method: SnapshotMethod): SnapshotPlan {
  return { operation: 'snapshot', ...base(OVERLAY), method, bitmaps: [], quiesce: null };
}

function snapshotMirror(strategy: Strategy): SnapshotMirrorPlan {
  return {
    ...{ operation: 'snapshotMirror', ...base(COPY) },
    ...{ snapshot: snapshot('transaction'), mirror: copy('leave', strategy, 'm') },
  };
}

/** A plan for each operation and strategy, by the name under which its chart stands in the documentation. */
export const READY_MADE = {
  'snapshot-transaction': snapshot('transaction'),
  'snapshot-transaction-sync': snapshot('transactionSync'),
  'snapshot-sequential': snapshot('sequential'),
  'snapshot-group': { ...snapshot('transaction'), group: { id: 'group-1' } },
  'copy-reopen': copy('pivot', 'reopen'),
  'copy-finalize': copy('pivot', 'finalize'),
  'copy-complete': copy('pivot', 'complete'),
  'copy-leave': copy('leave', 'reopen'),
  'copy-clone': copy('clone', null),
  'copy-clone-group': { ...copy('clone', null), group: { id: 'group-1' } },
  'copy-abort': copy('abort', null),
  'commit-reopen': commit('pivot', 'reopen'),
  'commit-finalize': commit('pivot', 'finalize'),
  'commit-complete': commit('pivot', 'complete'),
  'rewrite-held': rewrite('commit', true),
  'rewrite-in-turn': rewrite('commit', false),
  'revert-reopen': { operation: 'revert', ...base(OVERLAY), strategy: 'reopen', deletes: false },
  'revert-rebase': { operation: 'revert', ...base(OVERLAY), strategy: 'rebase', deletes: false },
  'snapshot-mirror-reopen': snapshotMirror('reopen'),
  'snapshot-mirror-finalize': snapshotMirror('finalize'),
  'snapshot-mirror-complete': snapshotMirror('complete'),
} as const satisfies Readonly<Record<string, Plan>>;
