/**
 * Ends the mirrors with the guest stopped: each target is then identical with its source, and the guest is still on the
 * source. Before that, with the guest running, `awaitConvergence` waits until little is left to copy.
 */
import { BlocksagaError, definedOnly } from '../../errors.ts';
import { bitmapsToCarry } from '../../guest/bitmaps.ts';
import { expectSources, readGraph } from '../../guest/graph.ts';
import type { DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import type { JobTable, JobWaitOptions } from '../../qmp/jobs.ts';
import { awaitJobs, isConcluded, isPendingOrConcluded, withBeside, withinPause } from '../jobs/await-jobs.ts';
import { jobAlive, jobFailed } from '../jobs/run-jobs.ts';
import { holdTheSame, markSettling, unmarkSettling } from '../pause/mark-settling.ts';
import { wasClean } from '../pause/pause-guest.ts';
import { openedAs } from '../prepare/create-images.ts';
import { type Lag, readLag } from '../step/mirror-lag.ts';
import { expectStood, probeDisks, type Step, type StepContext, unlessThere } from '../step/step.ts';
import { unanswering } from '../step/targets-answer.ts';
import { keepsCopies } from './await-signal.ts';
import { carryBitmaps, uncarryBitmaps } from './carry-bitmaps.ts';
import { inspectMirrors } from './mirror-disks.ts';
import { undoPivots } from './undo-pivots.ts';

/** What a slow disk copies in a millisecond; decides what counts as little. */
const BYTES_PER_MS = 16 * 1024;
/** The part of the permitted blackout that may go into the last bytes; the rest is for the switch. */
const SETTLE_SHARE = 0.5;
/** QEMU's granularity where none is asked for, and the largest that it takes of itself (`bdrv_get_default_bitmap_granularity`). */
const GRANULE_BYTES = 64 * 1024;
const APPROACH_DEADLINE_MS = 60 * 60_000;
const APPROACH_POLL_MS = 100;
const REST_POLL_MS = 1_000;
const SETTLE_POLL_MS = 2;
/** A target that answers a flush in no more than this is not waited for, however short the permitted blackout is. */
const ANSWER_LEAST_MS = 200;
const ANSWER_TRUSTED_MS = 1_000;
const ANSWER_DEADLINE_MS = 10 * 60_000;
/** How long a guest that was paused in vain is let alone before the next pause: twice as long each time, up to a bound. */
const REST_FIRST_MS = 250;
const REST_MAX_MS = 30_000;

export const awaitConvergence: Step<SwitchPlan> = {
  name: 'awaitConvergence',
  irreversible: 'only waits',

  async probe({ plan }) {
    return probeDisks(plan.disks, () => 'absent');
  },

  async do(context) {
    if (context.round > 1) await rest(context);
    const { plan } = context;
    const { disks, maxBlackoutMs } = plan;
    const granuleBytes = plan.operation === 'copy' ? plan.mirror.granularity : null;
    // One granule of each disk is dirty whenever the guest writes there at all: less cannot be waited for.
    const granulesBytes = disks.length * (granuleBytes ?? GRANULE_BYTES);
    const limitBytes = Math.max(granulesBytes, maxBlackoutMs * SETTLE_SHARE * BYTES_PER_MS);
    const approach = () =>
      awaitDirty(
        ...([context, disks, limitBytes] as const),
        { deadlineMs: APPROACH_DEADLINE_MS, pollMs: APPROACH_POLL_MS },
        { signal: context.abort },
      );
    for (;;) {
      await awaitAnswers(context);
      const askedMs = context.clock.now();
      const { isOnSources, nodes } = await approach();
      // What was answered longer ago may hang by now.
      const isTrusted =
        context.files?.answers === undefined || context.clock.now() - askedMs <= ANSWER_TRUSTED_MS;
      if (isTrusted) return { isOnSources, ...carried(context, nodes) };
    }
  },
};

/** The bitmaps that are to go along: looked at here, so that nothing is asked for them in the pause. */
function carried({ plan }: StepContext<SwitchPlan>, nodes: Lag['nodes']) {
  const bitmaps = bitmapsToCarry(plan, nodes);
  return bitmaps.length === 0 ? {} : { bitmaps };
}

/** Waits until the storage behind each target answers a flush in so little time that it fits into the pause. */
async function awaitAnswers(context: StepContext<SwitchPlan>): Promise<void> {
  const { plan, qmp, abort } = context;
  const withinMs = Math.max(ANSWER_LEAST_MS, plan.maxBlackoutMs * SETTLE_SHARE);
  let silent: readonly DiskPlan[] = [];
  try {
    await qmp.until(
      'the targets to answer',
      async () => {
        silent = await unanswering(context, plan.disks, withinMs);
        if (silent.length === 0) return true;
        await inspectMirrors(context);
        return undefined;
      },
      { wakeOn: [], deadlineMs: ANSWER_DEADLINE_MS, pollMs: REST_POLL_MS, signal: abort },
    );
  } catch (error) {
    const [first] = silent;
    if (!(error instanceof BlocksagaError) || error.code !== 'DEADLINE' || first === undefined) throw error;
    throw new BlocksagaError(
      'NOT_CONVERGING',
      `disk ${first.disk}: ${first.image.file} did not answer a flush within ${withinMs} ms for ${ANSWER_DEADLINE_MS / 60_000} ` +
        'minutes, and the guest would be paused for as long: see to its server or file system, then try again',
      { disk: first.disk },
    );
  }
}

/** How long the guest is let alone before a round, from the second on. */
export function restBefore(round: number): number {
  return Math.min(REST_MAX_MS, REST_FIRST_MS * 2 ** (round - 2));
}

/** Waits a while with the guest running; ends early when a mirror ends or the saga is asked to roll back. */
async function rest(context: StepContext<SwitchPlan>): Promise<void> {
  const { clock, qmp, round, abort } = context;
  const restMs = restBefore(round);
  const untilMs = clock.now() + restMs;
  await qmp.until(
    'the guest to have had its time',
    async () => {
      await inspectMirrors(context);
      return clock.now() >= untilMs ? true : undefined;
    },
    {
      wakeOn: ['BLOCK_JOB_COMPLETED', 'BLOCK_JOB_CANCELLED'],
      deadlineMs: restMs + APPROACH_DEADLINE_MS,
      pollMs: Math.min(restMs, REST_POLL_MS),
      signal: abort,
    },
  );
}

export const endMirrorsInPlace: Step<SwitchPlan> = {
  name: 'endMirrorsInPlace',
  decision: 'afterwards',
  /** The cut of a clone is complete with this; a switch is still to come. */
  decides: keepsCopies,

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
  async undo(context) {
    await undoPivots(context);
    await uncarryBitmaps(context);
    await unmarkSettling(context);
  },
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
  expectSources(await expectStood(context, copies), plan.disks);
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
  const following = todo.filter(disk => !LEAVING.has(known?.get(disk.names.job)?.status ?? 'ready'));
  let table: JobTable = new Map();
  if (following.length > 0) {
    await awaitClean(context, following);
    const beside = [markSettling(context), carryBitmaps(context)];
    table = await withBeside(
      beside,
      awaitJobs(jobs, following, 'keepTarget', isPendingOrConcluded, deadlineMs),
    );
  }
  if (following.length < todo.length) {
    table = await jobs.awaitAll(idsOf(todo), isPendingOrConcluded, withinPause(deadlineMs, SETTLE_POLL_MS));
  }
  const pending = todo.filter(disk => table.get(disk.names.job)?.status === 'pending');
  const ended = todo.filter(disk => !pending.includes(disk));
  readVerdicts(ended, table);
  if (pending.length === 0) return;
  readVerdicts(pending, await awaitJobs(jobs, pending, 'finalize', isConcluded, deadlineMs));
}

/** On the way from a soft cancel to the job's end. */
const LEAVING: ReadonlySet<string> = new Set(['waiting', 'pending', 'concluded']);

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
    if (job.status !== 'concluded' || job.error !== undefined) return 'absent';
    return isIdentical ? 'present' : 'foreign';
  });
}

/** Throws what became of the first mirror that did not end well. */
export function readVerdicts(disks: readonly DiskPlan[], ended: JobTable): void {
  for (const disk of disks) {
    const job = ended.get(disk.names.job);
    if (job === undefined) jobAlive(ended, disk);
    if (job?.error !== undefined) throw jobFailed(disk, job);
  }
}

/**
 * With the guest stopped: waits until nothing is left to copy, or throws NOT_CONVERGING with nothing lost. The speed
 * limit does not hold meanwhile. Lifting it also wakes the mirrors: one that had nothing to copy rests for 100 ms in
 * QEMU 5.2, also when there is something again (block/mirror.c).
 */
export async function awaitClean(
  context: StepContext<SwitchPlan>,
  disks: readonly DiskPlan[],
): Promise<void> {
  const { jobs, plan, nothingSentYet, outcomes } = context;
  const isEach = disks.length === plan.disks.length;
  if (nothingSentYet && context.pausedThroughout() && wasClean(outcomes.get('pauseGuest') ?? null)) {
    context.sawAlike();
    return;
  }
  const ids = disks.map(disk => disk.names.job);
  let hurried = false;
  const hurry = async () => {
    if (!hurried) await jobs.setSpeed(ids, 0); // a job that refuses has ended, which the next look tells
    hurried = true;
  };
  try {
    await awaitDirty(context, disks, 0, withinPause(plan.maxBlackoutMs * SETTLE_SHARE, SETTLE_POLL_MS), {
      hurry,
    });
    if (isEach) context.sawAlike();
  } catch (error) {
    if (hurried && context.speed() > 0) await jobs.setSpeed(ids, context.speed());
    throw error;
  }
}

/** Throws FOREIGN where a mirror does not see what is written to its source: it would hold less than that, and say that it is ready. */
function expectSeen({ unseen: [passed] }: Lag): void {
  if (passed === undefined) return;
  const { disk, node } = passed;
  throw new BlocksagaError(
    'FOREIGN',
    `disk ${disk}: a third party has put a writer of its own on node ${node}, below the filter of its mirror, which does not see what is written there (QMP: x-debug-query-block-graph)`,
    { disk },
  );
}

async function awaitDirty(
  context: StepContext<SwitchPlan>,
  disks: readonly DiskPlan[],
  limitBytes: number,
  within: JobWaitOptions,
  { signal, hurry }: { readonly signal?: AbortSignal; readonly hurry?: () => Promise<void> },
): Promise<Lag> {
  let left = 0;
  try {
    return await context.qmp.until(
      'the mirrors to come close to the guest',
      async () => {
        const lag = await readLag(context, disks);
        // Not in standby, where a job that a third party has paused stays, and which QEMU 5.2 does not complete.
        const ready = disks.every(disk => jobAlive(lag.jobs, disk).status === 'ready');
        expectSources(lag.blocks, disks);
        expectSeen(lag);
        left = lag.bytes;
        if (ready && left <= limitBytes) return lag;
        await hurry?.();
        return undefined;
      },
      { wakeOn: [], ...within, ...definedOnly({ signal }) },
    );
  } catch (error) {
    if (!(error instanceof BlocksagaError) || error.code !== 'DEADLINE') throw error;
    throw new BlocksagaError(
      'NOT_CONVERGING',
      `the guest writes faster than the mirrors follow: ${left} bytes are left to copy. ` +
        'Try synchronous writes, a longer permitted blackout, or a quieter hour.',
    );
  }
}
