/**
 * Whether what a disk was moved to holds all that its source holds. A third party may set a drive to an image that was not
 * mirrored to yet: what the guest writes from then on is in that image alone, what it wrote before in the source alone, and
 * neither may be copied over the other. It only looks, where QEMU
 * tells how a job ended (from 3.1 on; before that no drive can be set while its device is there); what the undo of the mirrors has to know is durable with its intent.
 */

import { readGraph } from '../../guest/graph.ts';
import { movedBefore } from '../../guest/moved-before.ts';
import type { DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import type { JobTable } from '../../qmp/jobs.ts';
import type { Json } from '../../qmp/transport.ts';
import { hasConcludedWell } from '../jobs/await-jobs.ts';
import { hidesWrites, isEmptyBelow, readWritten } from '../prepare/expect-empty.ts';
import type { StepContext } from '../step/step.ts';

/** The disks, by index, that are on what they are to end on when the rollback begins, and may leave it by being copied back. */
export async function observeCopied(context: StepContext<SwitchPlan>): Promise<readonly number[]> {
  const { jobs, qmp, plan } = context;
  if (plan.jobsVanishOnEnd !== undefined) return [];
  const table = await jobs.list(plan.disks.map(({ names }) => names.job));
  const graph = await readGraph(qmp);
  return plan.disks
    .filter(disk => graph.front(disk) === disk.goal && isCopied(context, table, disk))
    .map(({ index }) => index);
}

/** The disks, by index, whose new image their mirror may have written to. */
export async function observeWritten({
  jobs,
  plan,
  wasReady,
}: StepContext<SwitchPlan>): Promise<readonly number[]> {
  if (plan.jobsVanishOnEnd !== undefined) return [];
  const table = await jobs.list(plan.disks.map(({ names }) => names.job));
  return plan.disks.filter(disk => table.has(disk.names.job) || wasReady(disk)).map(({ index }) => index);
}

/** Throws FOREIGN, before anything is changed, where a disk is on an image that lacks what its source holds. */
export async function expectCopied(
  { jobs, qmp, plan }: StepContext<SwitchPlan>,
  observed: Json,
): Promise<void> {
  if (plan.jobsVanishOnEnd !== undefined) return;
  const known = readCopied(observed);
  if (known === undefined) return;
  const table = await jobs.list(plan.disks.map(({ names }) => names.job));
  const graph = await readGraph(qmp);
  const written = readWritten(observed);
  const hiding = plan.disks.find(disk => graph.coversSource(disk) && !isEmptyBelow(disk, written));
  if (hiding !== undefined && plan.operation === 'copy') throw hidesWrites(hiding);
  const half = plan.disks.find(
    disk => graph.isAlone(disk) && !known.includes(disk.index) && !hasPivoted(table, disk),
  );
  if (half === undefined) return;
  throw movedBefore(half);
}

function isCopied({ wasReady }: StepContext<SwitchPlan>, table: JobTable, disk: DiskPlan): boolean {
  // A third party that completes a job may dismiss it as well.
  return table.has(disk.names.job) ? hasPivoted(table, disk) : wasReady(disk);
}

function hasPivoted(table: JobTable, { names }: DiskPlan): boolean {
  return hasConcludedWell(table.get(names.job));
}

/** Undefined in the journals of older versions. */
function readCopied(observed: Json): readonly number[] | undefined {
  if (typeof observed !== 'object' || observed === null || !('copied' in observed)) return undefined;
  const { copied } = observed;
  return Array.isArray(copied) ? copied.filter(each => typeof each === 'number') : undefined;
}
