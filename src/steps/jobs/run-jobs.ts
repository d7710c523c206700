/**
 * Runs one long job per disk, a few at a time, until each has come as far as it should: it reports progress, leaves when
 * asked to, and on another attempt joins the jobs that still run. It decides nothing on how a job ended.
 */
import { BlocksagaError } from '../../errors.ts';
import type { DiskPlan, Plan } from '../../plan/plan.ts';
import type { Command } from '../../qmp/client.ts';
import type { JobInfo, JobTable } from '../../qmp/jobs.ts';
import type { Quota } from '../step/quota.ts';
import { throwFirst } from '../step/replies.ts';
import type { StepContext } from '../step/step.ts';

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
  /** Looks whether these may be started now, and throws where one may not. */
  beforeStart?(disks: readonly DiskPlan[]): Promise<void>;
  start(disk: DiskPlan): Command;
  look(table: JobTable, disk: DiskPlan): JobInfo;
  hasArrived(job: JobInfo): boolean;
  /** Throws where the names that a job opens files by lead elsewhere; looked at in front of each start, and right behind it. */
  expectNames?(): Promise<void>;
}

/** The status of a disk whose job may not begin yet. */
export const QUEUED = 'queued';

/** Throws the first refusal, what `look` throws, DEADLINE, and ABORTED when the saga is asked to leave. */
export async function runJobs<P extends Plan>(
  context: StepContext<P>,
  todo: readonly DiskPlan[],
  jobs: LongJobs,
): Promise<void> {
  const waiting = [...todo];
  const started = jobs.disks.filter(disk => !todo.includes(disk));
  // What was decided waits for no others.
  const quota = context.decided ? undefined : context.quota;
  for (const disk of started) quota?.joins(disk);
  const pace = new Pace(context, jobs);
  const seen = { ...jobs, look: releasing(jobs, quota) };
  const check = async () => {
    const underWay = await inspectJobs(context, started, seen);
    await pace.keep(started, quota);
    if (waiting.length === 0) return underWay === 0 ? true : undefined;
    const batch: DiskPlan[] = [];
    for (const disk of [...waiting]) {
      if (batch.length >= jobs.parallel - underWay) break;
      if (quota !== undefined && !quota.admit(disk)) reportQueued(context, disk, jobs);
      else batch.push(...waiting.splice(waiting.indexOf(disk), 1));
    }
    await jobs.beforeStart?.(batch);
    if (batch.length > 0) await jobs.expectNames?.();
    started.push(...batch);
    throwFirst(batch, await context.qmp.pipeline(batch.map(jobs.start)));
    if (batch.length > 0 && !context.decided) await jobs.expectNames?.();
    return undefined;
  };
  try {
    await until(context, jobs, check);
  } finally {
    for (const disk of jobs.disks) quota?.release(disk);
  }
}

/** The same look, which lets others begin once a job has arrived. */
function releasing(jobs: LongJobs, quota: Quota | undefined): LongJobs['look'] {
  return (table, disk) => {
    const job = jobs.look(table, disk);
    if (jobs.hasArrived(job)) quota?.release(disk);
    return job;
  };
}

/** Tells that a disk waits until the engine's limits let it begin. */
function reportQueued(
  context: Pick<StepContext, 'report'>,
  disk: DiskPlan,
  { idOf = jobId }: LongJobs,
): void {
  const none = { currentBytes: 0, totalBytes: 0 };
  context.report({ disk: disk.disk, job: idOf(disk), status: QUEUED, ...none });
}

/** Keeps jobs at their share of the bandwidth, as others come and go. */
class Pace {
  readonly #context: Pick<StepContext, 'speed' | 'jobs'>;
  readonly #idOf: (disk: DiskPlan) => string;
  readonly #told = new Map<DiskPlan, string>();

  constructor(context: Pick<StepContext, 'speed' | 'jobs'>, { idOf = jobId }: LongJobs) {
    this.#context = context;
    this.#idOf = idOf;
  }

  /** A job that is at its end refuses; that is no failure of it. */
  async keep(started: readonly DiskPlan[], quota: Quota | undefined): Promise<void> {
    for (const disk of started) {
      const share = quota?.share(disk) ?? 0;
      const known = this.#told.get(disk);
      // With what was asked for the job too: another speed that was asked for has set it anew.
      const due = `${share} of ${this.#context.speed()}`;
      if (known === due || (known === undefined && share === 0)) continue;
      this.#told.set(disk, due);
      await this.#context.jobs.setSpeed([this.#idOf(disk)], this.#context.speed(disk));
    }
  }
}

async function until<P extends Plan>(
  context: StepContext<P>,
  { what }: LongJobs,
  check: () => Promise<true | undefined>,
): Promise<void> {
  await context.qmp.until(what, check, {
    wakeOn: ['JOB_STATUS_CHANGE', 'BLOCK_JOB_READY', 'BLOCK_JOB_COMPLETED', 'BLOCK_JOB_CANCELLED'],
    deadlineMs: DEADLINE_MS,
    pollMs: POLL_MS,
    // What was decided is brought to its end, whatever is asked meanwhile.
    ...(context.decided ? {} : { signal: context.signals.abort }),
  });
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
