/**
 * Runs one long job per disk, a few at a time, until each has come as far as it should: it reports progress, leaves when
 * asked to, and on another attempt joins the jobs that still run. It decides nothing on how a job ended.
 */
import { BlocksagaError } from '../../errors.ts';
import type { DiskPlan, Plan } from '../../plan/plan.ts';
import type { Command } from '../../qmp/client.ts';
import type { JobInfo, JobTable } from '../../qmp/jobs.ts';
import { type StepContext, throwFirst } from '../step/step.ts';

const DEADLINE_MS = 14 * 24 * 60 * 60_000;
const POLL_MS = 500;

/** What to run: `hasArrived` tells by a job's status alone; `look` throws for a job that can come no further. */
export interface LongJobs {
  readonly what: string;
  readonly parallel: number;
  /** The disks whose jobs are followed: those to be started, and those that run already. */
  readonly disks: readonly DiskPlan[];
  /** The id of a disk's job, where it is not the disk's only one. */
  idOf?(disk: DiskPlan): string;
  start(disk: DiskPlan): Command;
  look(table: JobTable, disk: DiskPlan): JobInfo;
  hasArrived(job: JobInfo): boolean;
}

/** Throws the first refusal, what `look` throws, DEADLINE, and ABORTED when the saga is asked to leave. */
export async function runJobs<P extends Plan>(
  context: StepContext<P>,
  todo: readonly DiskPlan[],
  jobs: LongJobs,
): Promise<void> {
  const waiting = [...todo];
  const started = jobs.disks.filter(disk => !todo.includes(disk));
  await context.qmp.until(
    jobs.what,
    async () => {
      const underWay = await inspectJobs(context, started, jobs);
      if (waiting.length === 0) return underWay === 0 ? true : undefined;
      const batch = waiting.splice(0, Math.max(0, jobs.parallel - underWay));
      started.push(...batch);
      throwFirst(batch, await context.qmp.pipeline(batch.map(jobs.start)));
      return undefined;
    },
    {
      wakeOn: ['JOB_STATUS_CHANGE', 'BLOCK_JOB_READY', 'BLOCK_JOB_COMPLETED', 'BLOCK_JOB_CANCELLED'],
      deadlineMs: DEADLINE_MS,
      pollMs: POLL_MS,
      // What was decided is brought to its end, whatever is asked meanwhile.
      ...(context.decided ? {} : { signal: context.abort }),
    },
  );
}

/** Reports the job of every disk, throws for one that can come no further, and returns how many have not arrived. */
export async function inspectJobs<P extends Plan>(
  context: StepContext<P>,
  started: readonly DiskPlan[],
  { look, hasArrived, idOf = jobId }: Pick<LongJobs, 'look' | 'hasArrived' | 'idOf'>,
): Promise<number> {
  if (started.length === 0) return 0;
  const table = await context.jobs.list(started.map(idOf));
  let underWay = 0;
  for (const disk of started) {
    const job = look(table, disk);
    if (!hasArrived(job)) underWay += 1;
    reportJob(context, disk, job);
  }
  return underWay;
}

/** Tells those who watch the saga how far the job of a disk is. */
export function reportJob(
  context: Pick<StepContext, 'report'>,
  { disk }: Pick<DiskPlan, 'disk'>,
  job: JobInfo,
): void {
  context.report({
    disk,
    job: job.id,
    status: job.status,
    currentBytes: job['current-progress'],
    totalBytes: job['total-progress'],
  });
}

function jobId({ names }: DiskPlan): string {
  return names.job;
}

/** The argument that limits a job; none where nothing does. */
export function limitedTo(bytesPerSecond: number): { readonly speed?: number } {
  return bytesPerSecond > 0 ? { speed: bytesPerSecond } : {};
}

/** The job of a disk, or an error that says how it ended. */
export function jobAlive(table: JobTable, disk: DiskPlan, id = jobId(disk)): JobInfo {
  const job = table.get(id);
  if (job === undefined) {
    throw new BlocksagaError(
      'JOB_VANISHED',
      `the job of disk ${disk.disk} is gone from QEMU, and how it ended cannot be told`,
      { disk: disk.disk },
    );
  }
  if (job.status === 'concluded' || job.status === 'aborting' || job.status === 'null') {
    throw jobFailed(disk, job);
  }
  return job;
}

/** The error for a job that ended badly, in QEMU's own words where it said any. */
export function jobFailed(disk: DiskPlan, { type, error }: Pick<JobInfo, 'type' | 'error'>): BlocksagaError {
  const command = COMMANDS[type] ?? type;
  const words = error ?? 'a third party has completed or cancelled it';
  return new BlocksagaError('JOB_FAILED', `the ${command} job of disk ${disk.disk} failed: ${words}`, {
    disk: disk.disk,
    qmp: { command, class: 'JobError', desc: words },
  });
}

/** The command that begins a job of each type. */
const COMMANDS: Readonly<Record<string, string>> = {
  mirror: 'blockdev-mirror',
  commit: 'block-commit',
  stream: 'block-stream',
};
