/**
 * Ends the mirrors with the guest stopped: each target is then identical with its source, and the guest is still on the
 * source.
 */
import { expectSources, readGraph } from '../../guest/graph.ts';
import type { DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import type { JobTable } from '../../qmp/jobs.ts';
import {
  awaitActed,
  awaitJobs,
  hasConcludedWell,
  isConcluded,
  isPendingOrConcluded,
  withBeside,
  withinPause,
} from '../jobs/await-jobs.ts';
import { jobAlive, jobFailed } from '../jobs/run-jobs.ts';
import { holdTheSame, settlingMark } from '../pause/mark-settling.ts';
import { openedAs } from '../prepare/create-images.ts';
import { expectPausedInQemu } from '../step/expect-paused.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';
import { unlessThere } from '../step/unless-there.ts';
import { awaitClean, SETTLE_SHARE } from './await-clean.ts';
import { keepsCopies } from './await-signal.ts';
import { carryBitmaps } from './carry-bitmaps.ts';
import { undoEndedMirrors } from './undo-ended-mirrors.ts';

const SETTLE_POLL_MS = 2;

export const endMirrorsInPlace: Step<SwitchPlan> = {
  name: 'endMirrorsInPlace',
  decision: 'afterwards',
  /** The cut of a clone is complete with this; a switch is still to come, and in a group the cuts of others. */
  decides: (plan, outcomes) => keepsCopies(plan, outcomes) && plan.group === undefined,

  probe: probeEnded,

  async do(context, todo) {
    await unlessThere(context, probeEnded, () => endOnSources(context, todo));
    return closeCut(context);
  },

  async adopt(context) {
    await carryBitmaps(context);
    return context.decided ? null : closeCut(context);
  },

  /**
   * The sources are still in front, but for what a third party has switched. What has ended is dismissed before the guest
   * runs, as in `dismissMirrors`.
   */
  undo: undoEndedMirrors,
};

/**
 * The copies are the cut now, and are closed before the guest writes on: a third party that puts an open one in front of its disk
 * then (`blockdev-snapshot`) would have the guest read what it had written over since. A switch is still to come, and looks by itself.
 */
async function closeCut(context: StepContext<SwitchPlan>): Promise<null> {
  const { plan, outcomes } = context;
  if (!keepsCopies(plan, outcomes)) return null;
  const isOpenedByUs = plan.operation === 'copy' && plan.mirror.by !== 'drive-mirror';
  const copies = isOpenedByUs ? plan.disks.flatMap(openedAs) : [];
  expectSources(await expectPausedInQemu(context, copies), plan.disks);
  return null;
}

/**
 * Ends the mirrors with the guest on their sources. Those that are finalized by hand come to PENDING first, all of them; a
 * soft cancel would abort one that is there already, so that it is not asked again.
 */
async function endOnSources(context: StepContext<SwitchPlan>, todo: readonly DiskPlan[]): Promise<void> {
  const { jobs, plan, nothingSentYet } = context;
  const deadlineMs = plan.maxBlackoutMs * SETTLE_SHARE;
  const known = nothingSentYet ? undefined : await jobs.list(idsOf(todo));
  const following = todo.filter(disk => !ENDING.has(known?.get(disk.names.job)?.status ?? 'ready'));
  const asked = context.takeMirrorsEnd();
  let table: JobTable = new Map();
  if (asked !== undefined) {
    // Where the connection was lost meanwhile this throws, and the next attempt probes.
    table = await awaitActed(jobs, todo, await asked, isPendingOrConcluded, deadlineMs);
  } else if (following.length > 0) {
    await awaitClean(context, following);
    const beside = [carryBitmaps(context)];
    const mark = settlingMark(context);
    const ending = awaitJobs(jobs, following, 'keepTarget', isPendingOrConcluded, deadlineMs, mark);
    table = await withBeside(beside, ending);
  }
  if (following.length < todo.length) {
    table = await jobs.awaitAll(idsOf(todo), isPendingOrConcluded, withinPause(deadlineMs, SETTLE_POLL_MS));
  }
  const pending = todo.filter(disk => table.get(disk.names.job)?.status === 'pending');
  const ended = todo.filter(disk => !pending.includes(disk));
  expectEndedWell(ended, table);
  // They were seen to follow a guest that was paused, before anything ended them.
  if (asked !== undefined) context.sawAlike();
  if (pending.length === 0) return;
  expectEndedWell(pending, await awaitJobs(jobs, pending, 'finalize', isConcluded, deadlineMs));
}

/** On the way from a soft cancel to the job's end. */
const ENDING: ReadonlySet<string> = new Set(['waiting', 'pending', 'concluded']);

function idsOf(disks: readonly DiskPlan[]): readonly string[] {
  return disks.map(disk => disk.names.job);
}

/** A mirror that this saga has ended without an error made its target identical, unless the guest has run since. */
async function probeEnded(context: StepContext<SwitchPlan>) {
  const { qmp, jobs, plan, decided } = context;
  const isIdentical = decided || (await holdTheSame(context));
  const table = await jobs.list(plan.disks.map(disk => disk.names.job));
  const graph = await readGraph(qmp);
  return probeDisks(plan.disks, disk => {
    if (graph.showsImage(disk)) return isIdentical ? 'present' : 'foreign';
    const job = table.get(disk.names.job);
    // Those of a clone are dismissed in the pause where there are iothreads: its decision says how they ended.
    if (job === undefined) return decided ? 'present' : 'foreign';
    if (!hasConcludedWell(job)) return 'absent';
    return isIdentical ? 'present' : 'foreign';
  });
}

/** Throws what became of the first mirror that did not end well. */
export function expectEndedWell(disks: readonly DiskPlan[], ended: JobTable): void {
  for (const disk of disks) {
    const job = ended.get(disk.names.job);
    if (job === undefined) jobAlive(ended, disk);
    if (job?.error !== undefined) throw jobFailed(disk, job);
  }
}
