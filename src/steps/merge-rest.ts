/**
 * Goes on with a commit of active images of which some are merged and some are not, when the guest has run meanwhile: what
 * it wrote is in the lower images of the merged disks, so there is only forward. The guest runs while the rest is copied.
 */
import { awaitJobs, isConcluded } from './await-jobs.ts';
import { leavingImages } from './chain-of-image.ts';
import { dismissJobs } from './dismiss-jobs.ts';
import { expectFronts, type Graph, readGraph } from './graph.ts';
import { MIRRORS, startCommit } from './mirror-disks.ts';
import { letRun } from './pause-guest.ts';
import type { ActiveCommitPlan, DiskPlan } from './plan.ts';
import { revivedName } from './revive-source.ts';
import { limitedTo, runJobs } from './run-jobs.ts';
import { awaitClean, readVerdicts } from './settle-mirrors.ts';
import type { Step, StepContext } from './step.ts';
import { probeFronts, SWITCH_SHARE } from './switch-by-pivot.ts';

export const mergeRest: Step<ActiveCommitPlan> = {
  name: 'mergeRest',
  decision: 'afterwards',
  onlyForward: true,
  irreversible: 'the lower images of the merged disks hold what the guest has written since',
  probe: probeFronts,

  async do(context, todo) {
    const { jobs, plan, qmp } = context;
    // When QEMU dies meanwhile the merged disks are on their lower images, and the others are not.
    await context.recordSides();
    await letRun(qmp);
    await mirrorAgain(context, todo);
    await qmp.execute('stop');
    await awaitClean(context, todo);
    const deadlineMs = plan.maxBlackoutMs * SWITCH_SHARE;
    readVerdicts(todo, await awaitJobs(jobs, todo, 'pivot', isConcluded, deadlineMs));
    expectFronts(await qmp.execute('query-block'), plan.disks, disk => disk.goal);
    return null;
  },
};

/** Until the mirrors of these disks follow the guest; those that are gone or have failed are begun anew. */
async function mirrorAgain(context: StepContext<ActiveCommitPlan>, todo: readonly DiskPlan[]): Promise<void> {
  const { jobs, plan } = context;
  const table = await jobs.list(todo.map(disk => disk.names.job));
  const failed = todo.filter(disk => table.get(disk.names.job)?.status === 'concluded');
  await dismissJobs(
    context,
    failed.map(disk => disk.names.job),
  );
  const graph = await readGraph(context.qmp);
  const gone = todo.filter(disk => failed.includes(disk) || !table.has(disk.names.job));
  const limit = () => limitedTo(context.speed());
  const endsByItself = { ...plan, strategy: 'complete' } as const;
  // Whatever is asked meanwhile, it goes on.
  await runJobs({ ...context, decided: true }, gone, {
    what: 'the rest of the mirrors to be ready',
    parallel: plan.parallel,
    disks: todo,
    start: disk => startCommit(endsByItself, { ...disk, node: overlayOf(graph, disk) }, limit),
    ...MIRRORS,
  });
}

/** The overlay that is still to be merged: an undo that got no further has opened it again under another name. */
function overlayOf(graph: Graph, disk: DiskPlan): string {
  const front = graph.front(disk);
  const revived = leavingImages(disk).map((_, place) => revivedName(disk, place));
  return front !== undefined && revived.includes(front) ? front : disk.node;
}
