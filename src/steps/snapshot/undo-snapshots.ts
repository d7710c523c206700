/**
 * The undo of snapshots that were taken: commits every overlay back into its base and switches all disks to their
 * bases. What the guest wrote since is kept. The guest is paused from the moment all commits are ready until all have
 * switched.
 */

import { BlocksagaError } from '../../errors.ts';
import { type Graph, readGraph } from '../../guest/graph.ts';
import { holdGuest, readPause, resumeVcpus, wasPausedByUs } from '../../guest/hold-guest.ts';
import { deviceOf, named, rootNow } from '../../guest/jobs-of-plan.ts';
import { movedBefore } from '../../guest/moved-before.ts';
import { unplugged } from '../../guest/unplugged.ts';
import { canUndoSnapshots } from '../../plan/can-undo-snapshots.ts';
import type { DiskPlan, RevertPlan, SnapshotPlan } from '../../plan/plan.ts';
import type { Command, QmpClient } from '../../qmp/client.ts';
import type { JobWaitOptions } from '../../qmp/jobs.ts';
import type { JobInfo } from '../../qmp/schema.generated.ts';
import { isConcluded, WHILE_PAUSED, withinPause } from '../jobs/await-jobs.ts';
import { dismissJobs } from '../jobs/dismiss-jobs.ts';
import { jobFailed } from '../jobs/run-jobs.ts';
import { expectOldNames } from '../prepare/expect-names.ts';
import { inAnyCase } from '../step/in-any-case.ts';
import { throwFirst } from '../step/replies.ts';
import type { StepContext } from '../step/step.ts';

/** The part of the permitted blackout that a paused guest may wait for its commits. */
const READY_SHARE = 0.25;
const UNHURRIED = { deadlineMs: 60 * 60_000 };

/** A snapshot's, or a revert's whose overlays stand on the images that were found. */
type OverlayPlan = SnapshotPlan | RevertPlan;

export async function undoSnapshots(context: StepContext<OverlayPlan>): Promise<void> {
  const { qmp, jobs, plan, observed, nothingSentYet } = context;
  if (!canUndoSnapshots(plan)) {
    await expectNoneTaken(context);
    return;
  }
  let paused = readPause(observed);
  // An earlier attempt may have stopped the guest and not have come to letting it run.
  let mayHold = !nothingSentYet;
  try {
    // What an earlier attempt has begun may not end in what is left of its pause: the guest is not kept waiting for that.
    await jobs.remove(
      plan.disks.map(disk => disk.names.undoJob),
      WHILE_PAUSED,
    );
    const graph = await readGraph(qmp);
    const taken = takenIn(graph, plan);
    expectThere(graph, plan.disks);
    expectUncovered(graph, plan, plan.disks);
    if (taken.length > 0) {
      await expectOldNames(context, taken);
      await startCommits(context, taken, graph);
      await awaitReady(context, taken);
      if (paused.byUs) {
        const earlier = mayHold ? paused : undefined;
        mayHold = true;
        ({ paused } = await holdGuest(qmp, [], { earlier }));
      }
      await switchToBases(context, taken);
    }
  } finally {
    if (paused.byUs && mayHold) await inAnyCase(context.recordSides(), () => resumeVcpus(context, paused));
  }
}

function takenIn(graph: Graph, plan: OverlayPlan): readonly TakenDisk[] {
  return plan.disks.flatMap((disk): readonly TakenDisk[] => {
    const above = coverOf(graph, plan, disk);
    const node = above === undefined ? overlayOf(graph, disk) : disk.names.image;
    return node === undefined ? [] : [{ ...disk, names: { ...disk.names, image: node }, above }];
  });
}

/**
 * The node of the overlay that a disk is on. One that QEMU made by itself goes when a mirror is switched to; the undo of
 * that has opened it again, under a name of its own.
 */
function overlayOf(graph: Graph, disk: DiskPlan): string | undefined {
  const front = graph.front(disk);
  if (front === undefined || front === disk.names.image) return front;
  return graph.node(front)?.file === disk.image.file ? front : undefined;
}

/** A disk whose overlay was taken, and the node in front where that is an overlay that a third party has put above it. */
interface TakenDisk extends DiskPlan {
  readonly above: string | undefined;
}

/** Which overlay of a third party is in front, where this QEMU can commit what is below it: it stays there, and reads the same. */
function coverOf(graph: Graph, plan: OverlayPlan, disk: DiskPlan): string | undefined {
  if (!isCovered(graph, disk) || plan.jobsVanishOnEnd !== undefined) return undefined;
  return graph.node(disk.names.image) === undefined ? undefined : graph.frontName(disk);
}

function isCovered(graph: Graph, disk: DiskPlan): boolean {
  return overlayOf(graph, disk) === undefined && graph.hasImageBelow(disk);
}

/** Throws DISK_UNPLUGGED: nothing is merged of a disk that has left while it was on its overlay, which is not to be removed then. */
function expectThere(graph: Graph, disks: readonly DiskPlan[]): void {
  const left = disks.find(disk => graph.front(disk) === undefined);
  if (left !== undefined) throw unplugged(left);
}

/** Throws DISK_BUSY, before any disk is rolled back, where that is left to its owner. */
function expectUncovered(graph: Graph, plan: OverlayPlan, disks: readonly DiskPlan[]): void {
  const covered = disks.find(disk => isCovered(graph, disk) && coverOf(graph, plan, disk) === undefined);
  if (covered === undefined) return;
  const { disk, image } = covered;
  throw new BlocksagaError(
    'DISK_BUSY',
    `disk ${disk}: a third party has put node ${graph.frontName(covered)} on ${image.file}, so that no disk can be rolled back: commit it into that (block-commit, job-complete), then resume`,
    { disk },
  );
}

/** Without such a way nothing was begun here before, and nothing can be. */
async function expectNoneTaken({ qmp, plan }: StepContext<OverlayPlan>): Promise<void> {
  const graph = await readGraph(qmp);
  expectThere(graph, plan.disks);
  const taken = plan.disks.find(disk => graph.front(disk) === disk.names.image);
  if (taken === undefined) return;
  throw new BlocksagaError(
    'CAPABILITY_MISSING',
    `disk ${taken.disk} is on ${taken.image.file}, and this QEMU cannot undo that while the guest runs (it lacks active-commit; QEMU 2.0 has): ` +
      'stop it, then run "blocksaga resume --offline"',
    { disk: taken.disk },
  );
}

async function startCommits(
  { qmp, plan }: StepContext<OverlayPlan>,
  disks: readonly TakenDisk[],
  graph: Graph,
): Promise<void> {
  const isByFile = plan.jobsVanishOnEnd !== undefined;
  const commit = isByFile ? commitByFile : commitByNode;
  const replies = await qmp.pipeline(disks.map(disk => commit(plan, disk, graph)));
  if (isByFile && replies.some(({ ok }) => !ok)) await closeSpare(qmp, disks, graph);
  // Open for a snapshot that was not taken: only a third party puts a disk on it.
  const alone = disks.find((disk, at) => replies[at]?.ok === false && graph.isAlone(disk));
  if (alone !== undefined) throw movedBefore(alone);
  throwFirst(disks, replies);
}

/**
 * Where a mirror has been undone, QEMU has opened the images below an overlay anew, and the nodes that they had before may not have been
 * closed: an image that is open twice is not committed into. QEMU closes none that is in use. The commits are tried again then.
 */
async function closeSpare(qmp: QmpClient, disks: readonly TakenDisk[], graph: Graph): Promise<void> {
  const before = disks.flatMap(({ node, chain }) => [node, ...chain.flatMap(image => image.node ?? [])]);
  const open = [...new Set(before)].filter(node => node !== '' && graph.node(node) !== undefined);
  await qmp.pipeline(
    open.map(node => ({ execute: 'blockdev-del', arguments: { 'node-name': node } }) as const),
  );
}

/** Below another overlay the job comes to PENDING by itself, and leaves that one on the base. */
function commitByNode(_plan: OverlayPlan, disk: TakenDisk, graph: Graph): Command<'block-commit'> {
  const { names, node, filters, above } = disk;
  const ending = { 'auto-finalize': false, 'auto-dismiss': false };
  // Without a top QEMU takes the device for it, and its filters of the user's away with the overlay.
  const top = filters === undefined && above === undefined ? {} : { 'top-node': names.image };
  return {
    execute: 'block-commit',
    arguments: {
      'job-id': names.undoJob,
      device: rootNow(graph, disk, above ?? names.image),
      ...top,
      'base-node': node,
      ...ending,
    },
  };
}

function commitByFile(plan: OverlayPlan, disk: DiskPlan): Command<'block-commit'> {
  const { names, image, file } = disk;
  const device = deviceOf(disk, names.image);
  return {
    execute: 'block-commit',
    arguments: { ...named(plan, names.undoJob), device, top: image.file, base: file },
  };
}

/** Fresh overlays are committed at once; what takes longer is not waited for while we keep the guest paused. */
async function awaitReady(context: StepContext<OverlayPlan>, disks: readonly TakenDisk[]): Promise<void> {
  const { qmp, jobs, plan, outcomes } = context;
  // A member of a group may roll back behind its pause.
  if (!wasPausedByUs(outcomes.get('pauseGuest') ?? null) || outcomes.has('resumeGuest')) {
    await awaitStatus(jobs, disks, 'ready', UNHURRIED);
    return;
  }
  try {
    await awaitStatus(jobs, disks, 'ready', withinPause(plan.maxBlackoutMs * READY_SHARE));
  } catch (error) {
    if (!(error instanceof BlocksagaError) || error.code !== 'DEADLINE') throw error;
    await resumeVcpus(context, readPause(outcomes.get('pauseGuest') ?? null));
    try {
      await awaitStatus(jobs, disks, 'ready', UNHURRIED);
    } finally {
      context.heldAgain((await holdGuest(qmp, [])).paused);
    }
  }
}

/** All to PENDING first: until the first is finalized, any failure leaves every disk on its overlay; jobs that pass cannot. */
async function switchToBases(
  { qmp, jobs, plan }: StepContext<OverlayPlan>,
  disks: readonly TakenDisk[],
): Promise<void> {
  const ids = disks.map(disk => disk.names.undoJob);
  const active = disks.filter(({ above }) => above === undefined);
  throwFirst(active, await jobs.pivot(active.map(disk => disk.names.undoJob)));
  if (plan.jobsVanishOnEnd === undefined) {
    await awaitStatus(jobs, disks, 'pending', WHILE_PAUSED);
    throwFirst(disks, await jobs.finalize(ids));
  }
  await jobs.awaitAll(ids, isConcluded, WHILE_PAUSED);
  await dismissJobs({ jobs }, ids);
  const graph = await readGraph(qmp);
  for (const disk of disks) {
    const isBack = disk.above === undefined ? graph.front(disk) === disk.node : !graph.hasImageBelow(disk);
    if (isBack) continue;
    throw new BlocksagaError('VERIFY_FAILED', `disk ${disk.disk} could not be rolled back to ${disk.file}`, {
      disk: disk.disk,
    });
  }
}

async function awaitStatus(
  jobs: StepContext['jobs'],
  disks: readonly TakenDisk[],
  status: 'ready' | 'pending',
  options: JobWaitOptions,
): Promise<void> {
  const covered = new Set(disks.flatMap(({ above, names }) => (above === undefined ? [] : names.undoJob)));
  const reached = ({ id, status: now }: JobInfo) =>
    now === status || (status === 'ready' && now === (covered.has(id) ? 'pending' : 'standby'));
  const table = await jobs.awaitAll(
    disks.map(disk => disk.names.undoJob),
    job => isConcluded(job) || (job !== undefined && reached(job)),
    options,
  );
  for (const disk of disks) {
    const job = table.get(disk.names.undoJob);
    if (job === undefined || !reached(job)) throw jobFailed(disk, job ?? { type: 'commit' });
  }
}
