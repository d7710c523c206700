/**
 * The undo of pivots, a third party's too: puts every disk that QEMU shows on its other side back on the image that it
 * was on. Where both sides are known to hold the same nothing is copied; else what the guest wrote since is, while it runs.
 */

import { BlocksagaError } from '../../errors.ts';
import { type Graph, readGraph } from '../../guest/graph.ts';
import { holdGuest, type Paused, readPause, resumeVcpus } from '../../guest/hold-guest.ts';
import { replacing, rootNow } from '../../guest/jobs-of-plan.ts';
import { isLive, lookAtGuest } from '../../guest/migration.ts';
import { openAgain, revivedName, reviveSource } from '../../guest/revive-source.ts';
import { writableSource } from '../../guest/writable-source.ts';
import { leavingImages } from '../../plan/chain-of-image.ts';
import type { DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import type { JobWaitOptions } from '../../qmp/jobs.ts';
import { WHILE_PAUSED } from '../jobs/await-jobs.ts';
import { holdTheSame } from '../pause/mark-settling.ts';
import { closedImages, expectOldNames } from '../prepare/expect-names.ts';
import { expectNotAlone } from '../prepare/stand-on-chains.ts';
import type { StepContext } from '../step/step.ts';
import { findHalfBack, isHalfBack, isHeldHalfBack, toldHalfBack } from './half-back.ts';
import {
  type BackCommand,
  expectNotRunSince,
  type Return,
  ranSinceMerged,
  runMirrorsBack,
} from './mirrors-back.ts';
import { type Sources, setDrives, setDrivesOrAbove } from './set-drives.ts';
import { undoPivotsByFile } from './undo-pivots-by-file.ts';

/**
 * Ends what is left of the mirrors, then puts back what has switched. Throws OVERTAKEN, with the other disks' jobs as they
 * are, where the guest may have written to an image that a merge has put in front.
 */
export async function undoPivots(
  context: StepContext<SwitchPlan>,
  wait: JobWaitOptions = WHILE_PAUSED,
): Promise<void> {
  const { jobs, qmp, plan } = context;
  const wasApart = context.likeness() === 'apart';
  const ranSince = () => !wasApart && context.likeness() === 'apart';
  const alikeStill: Return = {
    ...{ isAlike: true, ranSince },
    async resume(copying) {
      await copying();
    },
  };
  const isAlike = (await holdTheSame(context)) || (await isHeldHalfBack(context));
  if (!isAlike && plan.operation === 'commit') await expectNoneMerged(context);
  const left = plan.disks.flatMap(disk => [disk.names.job, disk.names.undoJob]);
  await jobs.remove(left, wait);
  const graph = await readGraph(qmp);
  const switched = plan.disks.filter(disk => isAway(graph, disk));
  const byFile = plan.disks.some(disk => disk.identifiedBy);
  if (switched.length === 0)
    return byFile ? undoPivotsByFile(context, switched, graph, alikeStill) : undefined;
  // What a third party has put on its source is committed back, which takes as long as that is large: the guest runs meanwhile.
  const isLong = (disk: DiskPlan) => plan.operation === 'copy' && !byFile && graph.coversSource(disk);
  const apart = isAlike ? switched.filter(isLong) : switched;
  const alike = switched.filter(disk => !apart.includes(disk));
  if (alike.length > 0) await toldHalfBack(context, () => putBack(context, alike, graph, alikeStill));
  if (apart.length === 0) return;
  // The journal must know where each disk is before, between and after: QEMU may die at any time.
  await context.recordSides();
  await whilePaused(context, async resume => {
    await putBack(context, apart, graph, { isAlike, ranSince, resume });
    await context.recordSides();
  });
}

/**
 * The guest runs while it is copied, is paused when the mirrors have caught up, and runs again in the end; in the pause of a
 * switch that is the undo of that pause's to do.
 */
async function whilePaused(
  context: StepContext<SwitchPlan>,
  act: (resume: Return['resume']) => Promise<void>,
): Promise<void> {
  const { qmp, outcomes } = context;
  const held = readPause(outcomes.get('pauseGuest') ?? null);
  const sight = await lookAtGuest(qmp);
  let paused: Paused | undefined;
  try {
    await act(async copying => {
      if (held.byUs && !sight.running) await resumeVcpus(context, held);
      await copying();
      if (!held.byUs && !isLive(sight)) return;
      ({ paused } = await holdGuest(qmp, []));
      if (held.byUs) context.heldAgain(paused);
    });
  } finally {
    if (paused?.byUs && !held.byUs) await resumeVcpus(context, paused);
  }
}

async function expectNoneMerged(context: StepContext<SwitchPlan>): Promise<void> {
  const halfBack = await findHalfBack(context);
  if (halfBack !== undefined) throw halfBack;
  const graph = await readGraph(context.qmp);
  if (!context.plan.disks.some(disk => isAway(graph, disk))) return;
  await context.recordSides();
  throw ranSinceMerged();
}

/** Puts these disks back, and asks whether they are. */
async function putBack(
  context: StepContext<SwitchPlan>,
  switched: readonly DiskPlan[],
  graph: Graph,
  back: Return,
): Promise<void> {
  const { qmp, plan } = context;
  const byFile = plan.disks.some(({ identifiedBy }) => identifiedBy);
  // Overlays that are put back above what they were committed into are opened anew, also those that are still open.
  const isStacked = plan.operation === 'commit' && !canSetDrives(plan, switched);
  const opened = isStacked ? leavingImages : closedImages(graph);
  await expectOldNames(context, switched, byFile ? ({ chain }) => chain : opened);
  if (byFile) return undoPivotsByFile(context, switched, graph, back);
  const restore = plan.operation === 'copy' ? mirrorBack : putOverlaysBack;
  const sources = await restore(context, switched, graph, back);
  const after = await readGraph(qmp);
  for (const disk of switched) {
    if (after.front(disk) === sources.get(disk.index)) continue;
    throw new BlocksagaError('VERIFY_FAILED', `disk ${disk.disk} could not be put back on ${disk.file}`, {
      disk: disk.disk,
    });
  }
}

/**
 * By a mirror without copying, or with copying where the guest may have written to the new side; by a commit where a third
 * party has made that side an overlay of the old one, which QEMU then mirrors nothing to.
 */
async function mirrorBack(
  context: StepContext<SwitchPlan>,
  switched: readonly DiskPlan[],
  graph: Graph,
  back: Return,
): Promise<Sources> {
  const { qmp } = context;
  const sources = new Map<number, string>();
  for (const disk of switched) sources.set(disk.index, await writableSource(qmp, graph, disk));
  // A QEMU that the guest has left mirrors nothing any more, but still sets what its devices are on.
  if (canSetDrives(context.plan, switched) && (await lookAtGuest(qmp)).status === 'postmigrate') {
    if (context.likeness() === 'apart') throw leftWithWrites(switched);
    await setDrives(qmp, switched, sources);
    return sources;
  }
  if (!back.isAlike) await expectNotAlone(context, switched);
  const commands = switched.map((disk): BackCommand => {
    const source = sources.get(disk.index) ?? disk.node;
    const device = rootNow(graph, disk, disk.goal);
    const job = { 'job-id': disk.names.undoJob, device, 'auto-dismiss': false };
    if (graph.coversSource(disk)) {
      const top = device === disk.goal ? {} : { 'top-node': disk.goal };
      return { execute: 'block-commit', arguments: { ...job, ...top, 'base-node': source } };
    }
    const sync = back.isAlike ? 'none' : 'full';
    const place = replacing(disk, disk.goal);
    return { execute: 'blockdev-mirror', arguments: { ...job, target: source, sync, ...place } };
  });
  await runMirrorsBack(context, switched, commands, back);
  return sources;
}

/** What the guest wrote before it left would be lost with its new image. */
function leftWithWrites(disks: readonly DiskPlan[]): BlocksagaError {
  const files = disks.map(({ image }) => image.file).join(', ');
  return new BlocksagaError(
    'MIGRATING',
    `the guest has been migrated after a third party had resumed it on ${files}: what it wrote there is in no other image of its ` +
      'disks, and a QEMU that the guest has left copies nothing back; keep these files, end this QEMU, then run "blocksaga resume --offline"',
  );
}

/**
 * Puts the overlays back above the images that they were committed into: by the device's property where QEMU allows that,
 * else as QEMU puts a new overlay there. What the guest has written to the image below since would be hidden.
 */
async function putOverlaysBack(
  context: StepContext<SwitchPlan>,
  switched: readonly DiskPlan[],
  graph: Graph,
  back: Return,
): Promise<Sources> {
  if (!back.isAlike) throw ranSinceMerged();
  const { qmp, plan } = context;
  const sources = new Map<number, string>();
  if (canSetDrives(plan, switched)) {
    for (const disk of switched) sources.set(disk.index, await reviveSource(qmp, graph, disk));
    await expectNotRunSince(context, back);
    return setDrivesOrAbove(qmp, switched, sources);
  }
  for (const disk of switched) sources.set(disk.index, disk.names.revived);
  await stackAgain(context, switched, graph, back);
  return sources;
}

/** A QEMU that reopens also sets the drive of a device that is in use (both came with 6.1 at the latest); the user's filters would be lost. */
function canSetDrives({ capabilities }: SwitchPlan, disks: readonly DiskPlan[]): boolean {
  return (
    capabilities.includes('blockdev-reopen') &&
    disks.every(disk => disk.qdev !== null && (disk.filters ?? []).every(({ own }) => own))
  );
}

/** Whether a disk is on what it was switched to, or rolled back from there in part, as an undo has left it that died. */
function isAway(graph: Graph, disk: DiskPlan): boolean {
  return graph.front(disk) === disk.goal || isHalfBack(graph, disk);
}

/** An image that was above the goal, opened again, and what it is put on. */
interface Stacked {
  readonly disk: DiskPlan;
  readonly place: number;
  readonly node: string;
  readonly overlay: string;
}

/**
 * Puts the images that were above the goal back there, lowest first, each as QEMU puts a new overlay; all or none where a
 * `transaction` can, once all are open: a lower one alone would hide what the upper ones held and is merged below it.
 */
async function stackAgain(
  context: StepContext<SwitchPlan>,
  disks: readonly DiskPlan[],
  graph: Graph,
  back: Return,
): Promise<void> {
  const { qmp, plan } = context;
  // No image is to be open twice: the nodes of the old chains go first, if they are still there.
  const open = disks.flatMap(({ retiring }) => retiring).filter(node => graph.node(node) !== undefined);
  await qmp.pipeline(
    open.map(node => ({ execute: 'blockdev-del', arguments: { 'node-name': node } }) as const),
  );
  const stacked = disks.flatMap(disk => stackOf(disk, graph));
  for (const { disk, place, overlay } of stacked)
    if (graph.node(overlay) === undefined) await openAgain(qmp, disk, place, null);
  await expectNotRunSince(context, back);
  if (plan.capabilities.includes('blockdev-snapshot')) {
    const actions = stacked.map(({ node, overlay }) => ({
      type: 'blockdev-snapshot' as const,
      data: { node, overlay },
    }));
    if (actions.length > 0) await qmp.execute('transaction', { actions });
    return;
  }
  for (const { disk, node, overlay } of stacked) {
    const [reply] = await qmp.pipeline([{ execute: 'blockdev-snapshot', arguments: { node, overlay } }]);
    if (!reply.ok) throw reply.error.at({ disk: disk.disk });
  }
}

/** Those of a disk that are not back yet, lowest first: an undo that died may have put some there. */
function stackOf(disk: DiskPlan, graph: Graph): readonly Stacked[] {
  const front = graph.front(disk) ?? disk.goal;
  const above = leavingImages(disk).map((_, place) => place);
  const reached = above.find(place => front === revivedName(disk, place)) ?? above.length;
  return above
    .slice(0, reached)
    .toReversed()
    .map(place => ({
      disk,
      place,
      node: place === reached - 1 ? front : revivedName(disk, place + 1),
      overlay: revivedName(disk, place),
    }));
}
