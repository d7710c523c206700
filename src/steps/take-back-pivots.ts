/**
 * The undo of pivots: puts every switched disk back on the image that it was on. Both sides are identical until the guest
 * runs, so that nothing is copied then.
 */
import { BlocksagaError } from '../errors.ts';
import type { Command, QmpClient } from '../qmp/client.ts';
import { STANDING } from './await-jobs.ts';
import { leavingImages } from './chain-of-image.ts';
import { dismissJobs } from './dismiss-jobs.ts';
import { type Graph, readGraph } from './graph.ts';
import { letRun } from './pause-guest.ts';
import type { DiskPlan, SwitchPlan } from './plan.ts';
import { openAgain, revivedName, reviveSource } from './revive-source.ts';
import { setDrive } from './set-drive.ts';
import { type StepContext, throwFirst } from './step.ts';
import { ranSinceMerged, takeBackByFile } from './take-back-by-file.ts';

const COPY_BACK_DEADLINE_MS = 24 * 60 * 60_000;

/** Ends what is left of the mirrors, then puts back what has switched. */
export async function takeBackPivots(context: StepContext<SwitchPlan>): Promise<void> {
  const { jobs, qmp, plan } = context;
  const left = plan.disks.flatMap(disk => [disk.names.job, disk.names.undoJob]);
  await jobs.remove(left, STANDING);
  const graph = await readGraph(qmp);
  const switched = plan.disks.filter(disk => isAway(graph, disk));
  if (plan.disks.some(({ byFile }) => byFile)) return takeBackByFile(context, switched, graph);
  if (switched.length === 0) return;
  const takeBack = plan.operation === 'copy' ? mirrorBack : putOverlaysBack;
  const sources = await takeBack(context, switched, graph);
  const after = await readGraph(qmp);
  for (const disk of switched) {
    if (after.front(disk) === sources.get(disk.index)) continue;
    throw new BlocksagaError('VERIFY_FAILED', `disk ${disk.disk} could not be put back on ${disk.file}`, {
      disk: disk.disk,
    });
  }
}

/** The node, by disk, on which the guest is to be again. */
type Sources = ReadonlyMap<number, string>;

/** By a mirror without copying, or with copying when the guest has run since the switch and written to the new side. */
async function mirrorBack(
  context: StepContext<SwitchPlan>,
  switched: readonly DiskPlan[],
  graph: Graph,
): Promise<Sources> {
  const { qmp } = context;
  const sources = new Map<number, string>();
  for (const disk of switched) sources.set(disk.index, await reviveSource(qmp, graph, disk));
  const commands = switched.map(disk => ({
    execute: 'blockdev-mirror' as const,
    arguments: {
      'job-id': disk.names.undoJob,
      device: disk.goal,
      target: sources.get(disk.index) ?? disk.node,
      sync: context.guestStill() ? ('none' as const) : ('full' as const),
      'auto-dismiss': false,
    },
  }));
  await runMirrorsBack(context, switched, commands);
  return sources;
}

/** Starts the mirrors of an undo, lets the guest run for as long as they copy, and completes them. */
export async function runMirrorsBack(
  context: StepContext<SwitchPlan>,
  switched: readonly DiskPlan[],
  commands: readonly (Command<'blockdev-mirror'> | Command<'drive-mirror'>)[],
): Promise<void> {
  const { jobs, qmp } = context;
  const ids = switched.map(disk => disk.names.undoJob);
  const guestStill = context.guestStill();
  throwFirst(switched, await qmp.pipeline(commands));
  // A copy takes its time: meanwhile the guest runs, and stands still again when the mirrors have caught up.
  if (!guestStill) {
    await context.recordSides();
    await letRun(qmp);
  }
  await jobs.awaitAll(ids, job => job === undefined || job.status === 'ready' || job.status === 'concluded', {
    ...(guestStill ? STANDING : { deadlineMs: COPY_BACK_DEADLINE_MS }),
  });
  if (!guestStill) await qmp.execute('stop');
  throwFirst(switched, await jobs.pivot(ids));
  await jobs.awaitAll(ids, job => job === undefined || job.status === 'concluded', STANDING);
  await dismissJobs({ jobs }, ids);
}

/**
 * Puts the overlays back above the images that they were committed into: by the device's property where QEMU allows that,
 * else as QEMU puts a new overlay there. What the guest has written to the image below since would be hidden.
 */
async function putOverlaysBack(
  { qmp, plan, guestStill }: StepContext<SwitchPlan>,
  switched: readonly DiskPlan[],
  graph: Graph,
): Promise<Sources> {
  if (!guestStill()) throw ranSinceMerged();
  const sources = new Map<number, string>();
  if (plan.capabilities.includes('blockdev-reopen') && switched.every(disk => disk.qdev !== null)) {
    for (const disk of switched) sources.set(disk.index, await reviveSource(qmp, graph, disk));
    const commands = switched.map(disk => setDrive(disk, sources.get(disk.index) ?? disk.node));
    throwFirst(switched, await qmp.pipeline(commands));
    return sources;
  }
  for (const disk of switched) {
    await stackAgain(qmp, disk, graph);
    sources.set(disk.index, disk.names.revived);
  }
  return sources;
}

/** Whether a disk is on what it was switched to, or on the way back from there, as a dead undo has left it. */
function isAway(graph: Graph, disk: DiskPlan): boolean {
  const front = graph.front(disk);
  if (front === disk.goal) return true;
  if (disk.byFile) return leavingImages(disk).some(({ file }, place) => place > 0 && front === file);
  return leavingImages(disk).some((_, place) => place > 0 && front === revivedName(disk, place));
}

/** Puts the images that were above the goal back there, lowest first, each as QEMU puts a new overlay. */
async function stackAgain(qmp: QmpClient, disk: DiskPlan, graph: Graph): Promise<void> {
  // No image is to be open twice: the nodes of the old chain go first, if they are still there.
  const open = disk.retiring.filter(node => graph.node(node) !== undefined);
  await qmp.pipeline(
    open.map(node => ({ execute: 'blockdev-del', arguments: { 'node-name': node } }) as const),
  );
  const above = leavingImages(disk).length;
  const onWay = Array.from({ length: above }, (_, place) => place);
  const reached = onWay.find(place => graph.front(disk) === revivedName(disk, place)) ?? above;
  let front = graph.front(disk) ?? disk.goal;
  for (let place = reached - 1; place >= 0; place -= 1) {
    const overlay = revivedName(disk, place);
    if (graph.node(overlay) === undefined) await openAgain(qmp, disk, place, null);
    const [reply] = await qmp.pipeline([
      { execute: 'blockdev-snapshot', arguments: { node: front, overlay } },
    ]);
    if (!reply.ok) throw reply.error.at({ disk: disk.disk });
    front = overlay;
  }
}
