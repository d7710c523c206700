/**
 * The switches that QEMU's mirrors do themselves, disk by disk, with the guest stopped: in two phases where jobs can be
 * finalized by hand (`parkMirrors`, `finalizeMirrors`, QEMU >= 3.1), else one after the other (`completeMirrors`).
 * What has been switched is undone by a mirror without copying: both sides are identical until the guest runs.
 */
import { BlocksagaError, definedOnly } from '../../errors.ts';
import { expectFronts, isOnGoal, readGraph } from '../../guest/graph.ts';
import { seenAt } from '../../guest/hold-guest.ts';
import { expectNotMigrating, SIGHT, sightOf } from '../../guest/migration.ts';
import type { DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import type { Command } from '../../qmp/client.ts';
import type { JobInfo, Jobs } from '../../qmp/jobs.ts';
import { valueIn } from '../../qmp/reply-values.ts';
import type { BlockInfo } from '../../qmp/schema.generated.ts';
import {
  awaitJobs,
  hasConcludedWell,
  isConcluded,
  isPendingOrConcluded,
  withBeside,
} from '../jobs/await-jobs.ts';
import { jobAlive } from '../jobs/run-jobs.ts';
import { awaitClean } from '../mirror/await-clean.ts';
import { carryBitmaps } from '../mirror/carry-bitmaps.ts';
import { expectEndedWell } from '../mirror/end-mirrors-in-place.ts';
import { undoEndedMirrors } from '../mirror/undo-ended-mirrors.ts';
import { undoPivots } from '../mirror/undo-pivots.ts';
import { areOurs, settlingMark } from '../pause/mark-settling.ts';
import { expectPausedInQemu } from '../step/expect-paused.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';
import { expectAnswering } from '../step/targets-answer.ts';
import { unlessThere } from '../step/unless-there.ts';

/**
 * The part of the permitted blackout that each phase of the switch may take; a job that a third party paused never
 * ends.
 */
export const SWITCH_SHARE = 0.25;

/** Brings every mirror to PENDING: source drained, target identical, guest still on the source. */
export const parkMirrors: Step<SwitchPlan> = {
  name: 'parkMirrors',

  probe: probeParked,

  async do(context, todo) {
    const { jobs, plan } = context;
    await unlessThere(context, probeParked, async () => {
      await awaitClean(context, todo);
      const parked = (job: JobInfo | undefined) => job === undefined || ENDED_OR_PENDING.has(job.status);
      const deadlineMs = plan.maxBlackoutMs * SWITCH_SHARE;
      const beside = [carryBitmaps(context)];
      const parking = awaitJobs(jobs, todo, 'pivot', parked, deadlineMs, settlingMark(context));
      const table = await withBeside(beside, parking);
      for (const disk of todo) jobAlive(table, disk);
    });
    return null;
  },

  async adopt(context) {
    await carryBitmaps(context);
    return null;
  },

  undo: undoEndedMirrors,
};

async function probeParked(context: StepContext<SwitchPlan>) {
  const { qmp, jobs, plan } = context;
  const isOurs = await areOurs(context);
  const table = await jobs.list(mirrorJobs(plan));
  const graph = await readGraph(qmp);
  return probeDisks(plan.disks, disk => {
    if (graph.showsImage(disk)) return isOurs ? 'present' : 'foreign';
    const job = table.get(disk.names.job);
    if (job === undefined) return 'foreign';
    return job.status === 'pending' || hasConcludedWell(job) ? 'present' : 'absent';
  });
}

const ENDED_OR_PENDING: ReadonlySet<string> = new Set(['pending', 'concluded', 'aborting', 'null']);

/** Lets the parked mirrors take effect, disk by disk; the decision is written meanwhile. */
export const finalizeMirrors: Step<SwitchPlan> = {
  name: 'finalizeMirrors',
  decision: 'alongside',
  probe: probeFronts,

  /**
   * A mirror that ends without an error has not always changed the graph: one that a third party has cancelled without
   * force when it was READY is PENDING as well, and leaves its source in front (`mirror_exit_common`, block/mirror.c).
   * The fronts are asked for right behind the verbs, in a write that is not waited for by itself.
   */
  async do(context, todo) {
    const { jobs, qmp, clock, plan } = context;
    await expectAnswering(context, todo);
    const deadlineMs = plan.maxBlackoutMs * SWITCH_SHARE;
    const sentMs = clock.now();
    const [ended, early] = await Promise.allSettled([
      awaitJobs(jobs, todo, 'finalize', isConcluded, deadlineMs),
      qmp.pipeline([{ execute: 'query-block' }, ...SIGHT]),
    ]);
    if (ended.status === 'rejected') throw ended.reason;
    expectEndedWell(todo, ended.value);
    if (early.status === 'rejected') throw early.reason;
    const [fronts, ...sight] = early.value;
    const seen = sightOf(...sight);
    expectNotMigrating(seen, 'applied');
    const areOnGoal = (blocks: readonly BlockInfo[]) => plan.disks.every(disk => isOnGoal(blocks, disk));
    if (fronts.ok && areOnGoal(fronts.value)) return seenAt(seen, sentMs);
    expectFronts(await qmp.execute('query-block'), plan.disks, disk => disk.goal);
    return null;
  },

  undo: context => undoPivots(context),
};

/** The weakest switch: each mirror completes by itself, one after the other, while the guest is stopped. */
export const completeMirrors: Step<SwitchPlan> = {
  name: 'completeMirrors',
  decision: 'afterwards',

  /** A copy that a third party has completed before the pause is not of its instant; what is merged stays merged. */
  async probe(context) {
    const found = await probeFronts(context);
    const isOurs = context.plan.operation === 'commit' || (await areOurs(context));
    return isOurs ? found : { absent: found.absent, present: [], foreign: found.present };
  },

  async do(context, todo) {
    const { qmp, plan } = context;
    await completeAll(context, todo);
    const [fronts, ...sight] = await qmp.pipeline([{ execute: 'query-block' }, ...SIGHT]);
    expectFronts(valueIn(fronts), plan.disks, disk => disk.goal);
    expectNotMigrating(sightOf(...sight), 'applied');
    // Each disk has switched at a moment of its own: they are one instant only when nothing was written between them. What
    // a commit leaves behind is no instant, and what was written meanwhile is in the bases.
    if (plan.operation !== 'commit') await expectPausedInQemu(context);
    return null;
  },

  async adopt(context) {
    await carryBitmaps(context);
    return null;
  },

  undo: undoEndedMirrors,
};

/** What an attempt that died has asked may come to its end only now: each such disk is one less to complete. */
async function completeAll(context: StepContext<SwitchPlan>, todo: readonly DiskPlan[]): Promise<void> {
  try {
    await completeEach(context, todo);
  } catch (error) {
    const { absent, present } = await probeFronts(context);
    if (!context.nothingSentYet && absent.length < todo.length) return completeAll(context, absent);
    throw present.length > 0 ? notOnAMixture(error) : error;
  }
}

async function completeEach(context: StepContext<SwitchPlan>, todo: readonly DiskPlan[]): Promise<void> {
  const parked = await parkedOf(context, todo);
  const running = todo.filter(disk => !parked.includes(disk));
  if (running.length > 0) await awaitClean(context, running);
  await expectAnswering(context, todo);
  await withBeside([carryBitmaps(context)], completeInTurn(context, todo, parked));
}

/** Those that a process which died has brought to PENDING: their sources take no writes any more. */
async function parkedOf(
  { jobs, plan, nothingSentYet }: StepContext<SwitchPlan>,
  disks: readonly DiskPlan[],
): Promise<readonly DiskPlan[]> {
  if (nothingSentYet) return [];
  const table = await jobs.list(mirrorJobs(plan));
  return disks.filter(({ names }) => table.get(names.job)?.status === 'pending');
}

async function completeInTurn(
  context: StepContext<SwitchPlan>,
  todo: readonly DiskPlan[],
  parked: readonly DiskPlan[],
): Promise<void> {
  const { clock, jobs, plan } = context;
  const untilMs = clock.now() + plan.maxBlackoutMs * SWITCH_SHARE;
  let ahead = settlingMark(context);
  for (const disk of todo) {
    const leftMs = Math.max(0, untilMs - clock.now());
    await (parked.includes(disk) ? finalizeToEnd : pivotToEnd)(jobs, [disk], leftMs, ahead);
    ahead = [];
  }
}

/** Those that were begun to be finalized by hand are, each phase within the time. */
export async function pivotToEnd(
  jobs: Jobs,
  todo: readonly DiskPlan[],
  deadlineMs: number,
  ahead: readonly Command[] = [],
): Promise<void> {
  const table = await awaitJobs(jobs, todo, 'pivot', isPendingOrConcluded, deadlineMs, ahead);
  const pending = todo.filter(disk => table.get(disk.names.job)?.status === 'pending');
  expectEndedWell(
    todo.filter(disk => !pending.includes(disk)),
    table,
  );
  if (pending.length > 0) await finalizeToEnd(jobs, pending, deadlineMs);
}

async function finalizeToEnd(
  jobs: Jobs,
  pending: readonly DiskPlan[],
  deadlineMs: number,
  ahead: readonly Command[] = [],
): Promise<void> {
  expectEndedWell(pending, await awaitJobs(jobs, pending, 'finalize', isConcluded, deadlineMs, ahead));
}

/** Where some disks have switched the guest is not resumed to try again later: it would write to both sides. */
function notOnAMixture(error: unknown): unknown {
  if (!(error instanceof BlocksagaError) || error.code !== 'NOT_CONVERGING') return error;
  const { message, disk } = error;
  return new BlocksagaError('DEADLINE', message, { cause: error, ...definedOnly({ disk }) });
}

function mirrorJobs(plan: SwitchPlan): readonly string[] {
  return plan.disks.map(disk => disk.names.job);
}

export async function probeFronts({ qmp, plan }: StepContext<SwitchPlan>) {
  const graph = await readGraph(qmp);
  return probeDisks(plan.disks, disk => {
    const isThere = graph.front(disk) !== disk.names.filter && graph.showsImage(disk);
    return isThere ? 'present' : 'absent';
  });
}
