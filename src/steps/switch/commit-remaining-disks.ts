/**
 * Rolls a commit of active images forward of which some are merged and some are not, where the guest may have written
 * since to the lower images of the merged disks. The guest runs while the rest is copied, also where a third party has
 * merged the first.
 */

import { expectFronts, type Graph, readGraph } from '../../guest/graph.ts';
import { holdGuest, pausedIn, readPause, resumeVcpus } from '../../guest/hold-guest.ts';
import { lookAtGuest } from '../../guest/migration.ts';
import { revivedNames } from '../../guest/revive-source.ts';
import type { ActiveCommitPlan, DiskPlan } from '../../plan/plan.ts';
import { WHILE_PAUSED } from '../jobs/await-jobs.ts';
import { limitedTo, runJobs } from '../jobs/run-jobs.ts';
import { awaitClean } from '../mirror/await-clean.ts';
import { MIRRORS, startCommit } from '../mirror/mirror-disks.ts';
import { expectNames } from '../prepare/expect-names.ts';
import { inAnyCase } from '../step/in-any-case.ts';
import type { Step, StepContext } from '../step/step.ts';
import { pivotToEnd, probeFronts, SWITCH_SHARE } from './switch-by-pivot.ts';

export const commitRemainingDisks: Step<ActiveCommitPlan> = {
  name: 'commitRemainingDisks',
  decision: 'afterwards',
  rollsBack: 'never',
  irreversible: 'the lower images of the merged disks hold what the guest has written since',
  probe: probeFronts,

  /** A guest that its administrator has paused stays so; one that this saga has paused does not. */
  async observe({ qmp, outcomes }) {
    const held = readPause(outcomes.get('pauseGuest') ?? null);
    return held.byUs ? held : pausedIn(await lookAtGuest(qmp));
  },

  async do(context, left) {
    const { jobs, observed, plan, qmp } = context;
    const graph = await readGraph(qmp);
    const todo = left.map(disk => ({ ...disk, node: overlayOf(graph, disk) }));
    // When QEMU dies meanwhile the merged disks are on their lower images, and the others are not.
    await context.recordSides();
    let paused = readPause(observed);
    const resumes = paused.byUs;
    if (resumes) await resumeVcpus(context, paused);
    await mirrorAgain(context, todo);
    await expectRemaining(context, todo);
    if (resumes) ({ paused } = await holdGuest(qmp, []));
    if (resumes) context.heldAgain(paused);
    try {
      await awaitClean(context, todo);
      await pivotToEnd(jobs, todo, plan.maxBlackoutMs * SWITCH_SHARE);
      expectFronts(await qmp.execute('query-block'), plan.disks, disk => disk.goal);
    } catch (error) {
      if (paused.byUs) await inAnyCase(context.recordSides(), () => resumeVcpus(context, paused));
      throw error;
    }
    return paused;
  },

  adopt: async ({ observed }) => observed,
};

/** Jobs that can still come to where mirrors follow the guest. */
const FOLLOWS: ReadonlySet<string> = new Set(['created', 'running', 'paused', 'ready', 'standby']);

/**
 * Until the mirrors of these disks follow the guest; those that are gone, or have come further than that, are started
 * again.
 */
async function mirrorAgain(context: StepContext<ActiveCommitPlan>, todo: readonly DiskPlan[]): Promise<void> {
  const { jobs, plan } = context;
  const table = await jobs.list(todo.map(disk => disk.names.job));
  const gone = todo.filter(disk => !FOLLOWS.has(table.get(disk.names.job)?.status ?? ''));
  const passed = gone.filter(disk => table.has(disk.names.job));
  if (passed.length > 0) {
    await jobs.remove(
      passed.map(disk => disk.names.job),
      WHILE_PAUSED,
    );
  }
  const limit = () => limitedTo(context.speed());
  const endsByItself = { ...plan, strategy: 'complete' } as const;
  // Whatever is asked meanwhile, it continues.
  await runJobs({ ...context, decided: true }, gone, {
    what: 'the rest of the mirrors to be ready',
    parallel: plan.parallel,
    disks: todo,
    start: disk => startCommit(endsByItself, disk, limit),
    ...MIRRORS,
    expectNames: () => expectRemaining(context, todo),
  });
}

/**
 * QEMU opens the images anew by their names into which the rest is merged, and the guest is to depend on them. Those of disks that are merged
 * already it is on, whatever stands under their names: what is wrong with these the result says.
 */
async function expectRemaining(
  { files, outcomes, plan }: StepContext<ActiveCommitPlan>,
  disks: readonly DiskPlan[],
): Promise<void> {
  await expectNames({ files, outcomes, plan: { ...plan, disks } }, 'opened');
}

/** The overlay that is still to be merged: an undo that got no further has opened it again under another name. */
function overlayOf(graph: Graph, disk: DiskPlan): string {
  const front = graph.front(disk);
  return front !== undefined && revivedNames(disk).includes(front) ? front : disk.node;
}
