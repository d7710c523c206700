/** Plans a snapshot: which disks, which overlays, and how QEMU at hand can put them on all disks in one instant. */
import { BlocksagaError } from '../errors.ts';
import type { Capabilities } from '../qmp/capabilities.ts';
import { PLAN_VERSION, type SnapshotMethod, type SnapshotPlan } from '../steps/plan.ts';
import { chooseDisks } from './choose-disks.ts';
import { planImages } from './new-images.ts';
import { diskPlans, type PlanFacts } from './plan-facts.ts';
import type { SnapshotRequest } from './requests.ts';

const MAX_BLACKOUT_MS = 1_000;

/** Throws a refusal that names the disk; QEMU has seen only queries. */
export async function planSnapshot(request: SnapshotRequest, facts: PlanFacts): Promise<SnapshotPlan> {
  const { survey, files, capabilities, token } = facts;
  const sources = chooseDisks(
    survey,
    request.disks.map(disk => disk.disk),
  );
  const method = chooseMethod(request, capabilities);
  const images = await planImages(
    request.disks.map((wanted, index) => {
      const source = sources[index];
      if (source === undefined) throw new BlocksagaError('UNKNOWN_DISK', `no disk ${wanted.disk}`);
      const front = source.chain[0] ?? { file: source.file, driver: source.driver, node: source.node };
      return {
        disk: wanted.disk,
        source,
        file: wanted.overlay,
        driver: wanted.format ?? 'qcow2',
        reuse: wanted.reuse ?? false,
        backing: front,
        openBacking: false,
      };
    }),
    survey,
    files,
  );
  return {
    operation: 'snapshot',
    planVersion: PLAN_VERSION,
    token,
    capabilities: capabilities.names,
    maxBlackoutMs: request.maxBlackoutMs ?? MAX_BLACKOUT_MS,
    marksQemu: capabilities.has('throttle-group'),
    onCommit: facts.onCommit,
    method,
    quiesce: request.quiesce ?? null,
    disks: diskPlans(
      request.disks.map(disk => disk.disk),
      sources,
      images,
      token,
    ),
  };
}

function chooseMethod(request: SnapshotRequest, capabilities: Capabilities): SnapshotMethod {
  const has = (...names: Parameters<Capabilities['has']>[0][]) => names.every(name => capabilities.has(name));
  if (has('transaction', 'blockdev-snapshot', 'blockdev-add', 'blockdev-create')) return 'transaction';
  if (has('transaction', 'blockdev-snapshot-sync')) return 'transactionSync';
  if (request.atomic && request.disks.length > 1) {
    throw new BlocksagaError(
      'CAPABILITY_MISSING',
      'this QEMU has no transaction of snapshots, so several disks cannot be one atomic command; ' +
        'without "atomic" they are taken one by one while the guest stands still',
    );
  }
  const reused = request.disks.find(disk => disk.reuse);
  if (reused !== undefined) {
    throw new BlocksagaError('CAPABILITY_MISSING', 'reusing an overlay needs a QEMU with transaction', {
      disk: reused.disk,
    });
  }
  if (request.disks.length > 1 && !has('query-jobs')) {
    throw new BlocksagaError(
      'CAPABILITY_MISSING',
      'this QEMU has neither a transaction of snapshots (QEMU 1.1) nor a way to take one back while the guest runs ' +
        '(QEMU 3.1), so several disks cannot be changed all or none; snapshot one disk at a time, or use a newer QEMU',
    );
  }
  return 'sequential';
}
