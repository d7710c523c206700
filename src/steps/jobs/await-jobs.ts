/**
 * Acts on the disks' jobs and waits for what comes of it, with the first look in the same write as the commands: in the
 * pause every round trip lengthens it.
 */
import { BlocksagaError } from '../../errors.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import type { Command } from '../../qmp/client.ts';
import type { Clock } from '../../qmp/clock.ts';
import type { ActAndLook, EndingVerb, JobInfo, Jobs, JobTable } from '../../qmp/jobs.ts';
import { firstError } from '../step/replies.ts';
import { jobAlive } from './run-jobs.ts';

/**
 * How jobs are waited for while the guest is paused: a refusal, or an event that is lost, must not cost it a whole
 * second.
 */
export const WHILE_PAUSED = { deadlineMs: 30_000, pollMs: 20 };

/** The same for what may take a part of the permitted blackout only: that is time of the guest, whatever kept us from running. */
export function withinPause(deadlineMs: number, pollMs = WHILE_PAUSED.pollMs) {
  return { deadlineMs, pollMs, byWallClock: true } as const;
}

/** Throws the first refusal, and DEADLINE; a job that is gone is absent from the table. `ahead` is sent in front, in the same write. */
export async function awaitJobs(
  jobs: Jobs,
  disks: readonly DiskPlan[],
  verb: EndingVerb,
  done: (job: JobInfo | undefined) => boolean,
  deadlineMs: number,
  ahead: readonly Command[] = [],
): Promise<JobTable> {
  const ids = disks.map(disk => disk.names.job);
  return awaitActed(jobs, disks, await jobs.actAndLook(verb, ids, ahead), done, deadlineMs);
}

/** The same for what was asked of them already. */
export async function awaitActed(
  jobs: Jobs,
  disks: readonly DiskPlan[],
  { replies, table }: ActAndLook,
  done: (job: JobInfo | undefined) => boolean,
  deadlineMs: number,
): Promise<JobTable> {
  const ids = disks.map(disk => disk.names.job);
  const refused = firstError(disks, replies);
  if (refused !== undefined) {
    // What became of the job says more than that QEMU would not act on it.
    const at = replies.findIndex(reply => !reply.ok);
    const disk = disks[at];
    if (table !== undefined && disk !== undefined) jobAlive(table, disk);
    throw refused;
  }
  if (table !== undefined && ids.every(id => done(table.get(id)))) return table;
  return jobs.awaitAll(ids, done, withinPause(deadlineMs));
}

/** Waits for all to settle, with what was sent beside; throws the error of `act` before any other. */
export async function withBeside<T>(beside: readonly Promise<unknown>[], act: Promise<T>): Promise<T> {
  const [acted, ...others] = await Promise.allSettled([act, ...beside]);
  if (acted.status === 'rejected') throw acted.reason;
  for (const other of others) if (other.status === 'rejected') throw other.reason;
  return acted.value;
}

export function isConcluded(job: JobInfo | undefined): boolean {
  return job === undefined || job.status === 'concluded';
}

/** It has done what it was to do; a job that vanished did not say so. */
export function hasConcludedWell(job: JobInfo | undefined): boolean {
  return job?.status === 'concluded' && job.error === undefined;
}

export function isPendingOrConcluded(job: JobInfo | undefined): boolean {
  return isConcluded(job) || job?.status === 'pending';
}

/**
 * Whether a mirror is READY or over, for `awaitAll`; throws DEADLINE where one has not come nearer for so long. Its guest then
 * writes faster than it copies, a third party has paused it, or its storage hangs: to wait on would not help.
 */
export function readyWhileNearing(clock: Clock, withinMs: number): (job: JobInfo | undefined) => boolean {
  const nearest = new Map<string, { readonly bytes: number; readonly atMs: number }>();
  return job => {
    if (isConcluded(job) || job === undefined || job.status === 'ready') return true;
    const bytes = job['total-progress'] - job['current-progress'];
    const known = nearest.get(job.id);
    if (known === undefined || bytes < known.bytes) {
      nearest.set(job.id, { bytes, atMs: clock.now() });
    } else if (clock.now() - known.atMs > withinMs) {
      throw new BlocksagaError(
        'DEADLINE',
        `job ${job.id} (${job.status}) has had ${known.bytes} bytes or more left to copy for ${Math.round(withinMs / 60_000)} minutes: let the guest write less, resume the job where it is paused, or look at its storage; then resume the saga`,
      );
    }
    return false;
  };
}
