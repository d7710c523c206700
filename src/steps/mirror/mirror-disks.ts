/**
 * Mirrors every disk to the image that it is to end on, a few at a time, until all are READY: a copy to its new image, an
 * active commit to an image of the disk's own chain. This is the step that takes hours.
 */
import { definedOnly } from '../../errors.ts';
import { pausedIn, readPause, resumeVcpus } from '../../guest/hold-guest.ts';
import { deviceOf, named, replacing, rootAbove } from '../../guest/jobs-of-plan.ts';
import { lookAtGuest } from '../../guest/migration.ts';
import { ownFilter } from '../../plan/filters.ts';
import type { ActiveCommitPlan, CopyPlan, DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import type { Command } from '../../qmp/client.ts';
import { inspectJobs, jobAlive, jobFailed, type LongJobs, limitedTo, runJobs } from '../jobs/run-jobs.ts';
import { readWritten } from '../prepare/expect-empty.ts';
import { expectHeaders } from '../prepare/expect-headers.ts';
import { expectNames } from '../prepare/expect-names.ts';
import { expectUntouched, observeTouched, readTouched } from '../prepare/expect-untouched.ts';
import { inAnyCase } from '../step/in-any-case.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';
import { learnAnswering } from '../step/targets-answer.ts';
import { expectBelowFilters, expectNothingBetween } from './below-filters.ts';
import { expectCopied, observeCopied, observeWritten } from './expect-copied.ts';
import { undoPivots } from './undo-pivots.ts';

const REMOVE_DEADLINE_MS = 60_000;

export const mirrorDisks: Step<SwitchPlan> = {
  name: 'mirrorDisks',

  async probe({ jobs, plan }) {
    const table = await jobs.list(plan.disks.map(disk => disk.names.job));
    return probeDisks(plan.disks, disk => (table.has(disk.names.job) ? 'present' : 'absent'));
  },

  async do(context, todo) {
    const { plan } = context;
    // An image that becomes writable is opened anew by its name (raw_reconfigure_getfd, block/file-posix.c).
    const opensByName = plan.operation === 'commit' || plan.mirror.by === 'drive-mirror';
    const when = plan.operation === 'commit' ? 'opened' : 'claimed';
    // Where QEMU opens the images, it does so here.
    const isOpenedHere = plan.operation === 'copy' && plan.mirror.by === 'drive-mirror';
    if (isOpenedHere && context.nothingSentYet) await expectHeaders(context, todo);
    const limit = (disk: DiskPlan) => limitedTo(context.speed(disk));
    const running = runJobs(context, todo, {
      what: 'all mirrors to be ready',
      parallel: plan.parallel,
      disks: plan.disks,
      beforeStart: async disks => {
        await expectBelowFilters(context, disks);
        // What mirrors have written that were begun before cannot be told from what a guest has.
        if (context.nothingSentYet && context.round === 1) await expectUntouched(context, disks);
      },
      start: disk =>
        plan.operation === 'copy' ? startMirror(plan, disk, limit) : startCommit(plan, disk, limit),
      ...mirrorsOf(context),
      ...(opensByName ? { expectNames: () => expectNames(context, when) } : {}),
    });
    await running.catch(async (error: unknown) => {
      await expectNothingBetween(context, plan.disks, error);
      throw error;
    });
    return learnAnswering(context, plan.disks);
  },

  /** In a rollback a job is gone, whose end says what is in the image that a third party may have moved a disk to. */
  async observeUndo(context) {
    return {
      ...pausedIn(await lookAtGuest(context.qmp)),
      copied: await observeCopied(context),
      written: await observeWritten(context),
      ...(context.failure?.code === 'FOREIGN' ? { touched: await observeTouched(context) } : {}),
    };
  },

  /** For what is undone later. */
  undone(observed) {
    const written = readWritten(observed);
    return written === undefined ? null : { written, ...definedOnly({ touched: readTouched(observed) }) };
  },

  /** A mirror may have been completed by a third party: that disk comes back, with what the guest has written since. */
  async undo(context) {
    const paused = readPause(context.observed);
    const mayHold = !context.nothingSentYet && paused.byUs;
    try {
      await expectCopied(context, context.observed);
      await undoPivots(context, { deadlineMs: REMOVE_DEADLINE_MS });
    } finally {
      // An earlier attempt may have paused the guest and not have come to resuming it.
      if (mayHold) await inAnyCase(context.recordSides(), () => resumeVcpus(context, paused));
    }
  },
};

/**
 * A mirror is ready by its status alone; `standby` is `ready` while QEMU pauses it for a moment. One that a third party
 * has asked to end when it was READY comes to PENDING, blocks the guest's writes, and stays there.
 */
export const MIRRORS: Pick<LongJobs, 'look' | 'hasArrived'> = {
  look(table, disk) {
    const job = jobAlive(table, disk);
    if (job.status === 'waiting' || job.status === 'pending') throw jobFailed(disk, job);
    return job;
  },
  hasArrived: ({ status }) => status === 'ready' || status === 'standby',
};

/** The same, and remembers which mirrors were ready. */
function mirrorsOf({ sawReady }: Pick<StepContext, 'sawReady'>): typeof MIRRORS {
  return {
    ...MIRRORS,
    look(table, disk) {
      const job = MIRRORS.look(table, disk);
      if (MIRRORS.hasArrived(job)) sawReady(disk);
      return job;
    },
  };
}

/** Reports every mirror and throws for one that ended. */
export async function inspectMirrors(context: StepContext<SwitchPlan>): Promise<void> {
  await inspectJobs(context, context.plan.disks, mirrorsOf(context));
}

type Limit = (disk: DiskPlan) => ReturnType<typeof limitedTo>;

function startMirror(
  plan: CopyPlan,
  disk: DiskPlan,
  limit: Limit,
): Command<'blockdev-mirror'> | Command<'drive-mirror'> {
  const { granularity, bufSize, copyMode, by } = plan.mirror;
  const options = {
    sync: plan.sync[disk.index] ?? 'full',
    ...limit(disk),
    ...definedOnly({ granularity: granularity ?? undefined, 'buf-size': bufSize ?? undefined }),
    ...(copyMode === 'background' ? {} : { 'copy-mode': copyMode }),
  };
  if (by === 'drive-mirror') {
    return {
      execute: 'drive-mirror',
      arguments: {
        ...named(plan, disk.names.job),
        ...(plan.jobsVanishOnEnd === 'byId' ? { 'node-name': disk.names.image } : {}),
        device: deviceOf(disk, disk.node),
        target: disk.image.file,
        format: disk.image.driver,
        mode: disk.image.create ? 'absolute-paths' : 'existing',
        ...options,
      },
    };
  }
  return {
    execute: 'blockdev-mirror',
    arguments: {
      'job-id': disk.names.job,
      device: rootAbove(disk, disk.node),
      target: disk.goal,
      ...replacing(disk, disk.node),
      ...options,
      ...ending(plan),
    },
  };
}

/** A commit of the active image is a mirror onto the image below (`commit_active_start`, block/mirror.c). */
export function startCommit(plan: ActiveCommitPlan, disk: DiskPlan, limit: Limit): Command<'block-commit'> {
  if (plan.jobsVanishOnEnd !== undefined) {
    return {
      execute: 'block-commit',
      arguments: {
        ...named(plan, disk.names.job),
        device: deviceOf(disk, disk.node),
        top: disk.file,
        base: disk.image.file,
        ...limit(disk),
      },
    };
  }
  return {
    execute: 'block-commit',
    arguments: {
      'job-id': disk.names.job,
      device: rootAbove(disk, disk.node),
      ...(isBelowTheirs(disk) ? { 'top-node': disk.node } : {}),
      ...(disk.identifiedBy ? { base: disk.image.file } : { 'base-node': disk.goal }),
      ...limit(disk),
      ...endingOfCommit(plan, disk),
    },
  };
}

function ending({ strategy }: SwitchPlan) {
  return { 'auto-dismiss': false, ...(strategy === 'finalize' ? { 'auto-finalize': false } : {}) };
}

/**
 * A filter of the saga's own limits nothing: what is committed is read through it, so that the job is above it and keeps third parties
 * from putting anything above or below it. A filter of the user's is not read through.
 */
function isBelowTheirs(disk: DiskPlan): boolean {
  return disk.filters !== undefined && ownFilter(disk) === undefined;
}

/**
 * Below a filter of the user's a commit takes the image out of the chain as soon as it has copied where a third party has put an
 * overlay on it a moment before. By hand that job comes to PENDING instead of READY, and can be cancelled there.
 */
function endingOfCommit(plan: ActiveCommitPlan, disk: DiskPlan) {
  const mayWait = isBelowTheirs(disk) && plan.capabilities.includes('manual-finalize');
  return { ...ending(plan), ...(mayWait ? { 'auto-finalize': false } : {}) };
}
