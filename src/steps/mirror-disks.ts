/**
 * Mirrors every disk to its new image, a few at a time, until all are READY. This is the step that takes hours: it
 * reports progress, leaves when asked to, and on another attempt joins the jobs that still run.
 */
import { BlocksagaError, definedOnly } from '../errors.ts';
import type { Command } from '../qmp/client.ts';
import type { JobTable } from '../qmp/jobs.ts';
import type { CopyPlan, DiskPlan } from './plan.ts';
import { probeDisks, type Step, type StepContext, throwFirst } from './step.ts';

const READY_DEADLINE_MS = 14 * 24 * 60 * 60_000;
const REMOVE_DEADLINE_MS = 60_000;
const POLL_MS = 500;

export const mirrorDisks: Step<CopyPlan> = {
  name: 'mirrorDisks',

  async probe({ jobs, plan }) {
    const table = await jobs.list(plan.disks.map(disk => disk.names.mirrorJob));
    return probeDisks(plan.disks, disk => (table.has(disk.names.mirrorJob) ? 'present' : 'absent'));
  },

  async do(context, todo) {
    const waiting = [...todo];
    const started = context.plan.disks.filter(disk => !todo.includes(disk));
    await context.qmp.until(
      'all mirrors to be ready',
      async () => {
        const copying = await inspectMirrors(context, started);
        if (waiting.length === 0) return copying === 0 ? true : undefined;
        const batch = waiting.splice(0, Math.max(0, context.plan.parallel - copying));
        started.push(...batch);
        throwFirst(batch, await context.qmp.pipeline(batch.map(disk => startMirror(context.plan, disk))));
        return undefined;
      },
      {
        wakeOn: ['JOB_STATUS_CHANGE', 'BLOCK_JOB_READY', 'BLOCK_JOB_COMPLETED', 'BLOCK_JOB_CANCELLED'],
        deadlineMs: READY_DEADLINE_MS,
        pollMs: POLL_MS,
        signal: context.abort,
      },
    );
    return null;
  },

  async undo({ jobs, plan }) {
    await jobs.remove(
      plan.disks.map(disk => disk.names.mirrorJob),
      { deadlineMs: REMOVE_DEADLINE_MS },
    );
  },
};

function startMirror(plan: CopyPlan, disk: DiskPlan): Command<'blockdev-mirror'> {
  const { speed, granularity, bufSize, copyMode } = plan.mirror;
  return {
    execute: 'blockdev-mirror',
    arguments: {
      'job-id': disk.names.mirrorJob,
      device: disk.node,
      target: disk.names.image,
      sync: plan.sync[disk.index] ?? 'full',
      ...(speed > 0 ? { speed } : {}),
      ...definedOnly({ granularity: granularity ?? undefined, 'buf-size': bufSize ?? undefined }),
      ...(copyMode === 'background' ? {} : { 'copy-mode': copyMode }),
      'auto-dismiss': false,
      ...(plan.strategy === 'finalize' ? { 'auto-finalize': false } : {}),
    },
  };
}

/** Reports every started mirror, throws for one that ended, and returns how many are not yet ready. */
export async function inspectMirrors(
  context: StepContext<CopyPlan>,
  started: readonly DiskPlan[],
): Promise<number> {
  if (started.length === 0) return 0;
  const table = await context.jobs.list(started.map(disk => disk.names.mirrorJob));
  let copying = 0;
  for (const disk of started) {
    const job = mirrorAlive(table, disk);
    if (!isReady(job.status)) copying += 1;
    context.report({
      disk: disk.disk,
      job: job.id,
      status: job.status,
      currentBytes: job['current-progress'],
      totalBytes: job['total-progress'],
    });
  }
  return copying;
}

/** A mirror is ready by its status alone; `standby` is `ready` while QEMU pauses it for a moment. */
function isReady(status: string): boolean {
  return status === 'ready' || status === 'standby';
}

/** The mirror of a disk, or an error that says how it ended. */
export function mirrorAlive(table: JobTable, disk: DiskPlan) {
  const job = table.get(disk.names.mirrorJob);
  if (job === undefined) {
    throw new BlocksagaError(
      'JOB_VANISHED',
      `the mirror of disk ${disk.disk} is gone from QEMU and nobody can say how it ended`,
      { disk: disk.disk },
    );
  }
  if (job.status === 'concluded' || job.status === 'aborting' || job.status === 'null') {
    throw jobFailed(disk, 'blockdev-mirror', job.error);
  }
  return job;
}

/** The error for a job that ended badly, in QEMU's own words where it said any. */
export function jobFailed(disk: DiskPlan, command: string, desc: string | undefined): BlocksagaError {
  const words = desc ?? 'it was cancelled by someone else';
  return new BlocksagaError('JOB_FAILED', `the ${command} job of disk ${disk.disk} failed: ${words}`, {
    disk: disk.disk,
    qmp: { command, class: 'JobError', desc: words },
  });
}
