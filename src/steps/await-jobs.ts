/**
 * Acts on the disks' jobs and waits for what comes of it, with the first look right behind the commands on the wire: in
 * the window every round trip is time that the guest stands still.
 */
import type { Reply } from '../qmp/client.ts';
import type { JobInfo, JobTable } from '../qmp/jobs.ts';
import type { DiskPlan } from './plan.ts';
import { firstError, type StepContext } from './step.ts';

/** An event that is lost must not cost the guest a whole second. */
const POLL_MS = 20;

/** Throws the first refusal, and DEADLINE; a job that is gone is absent from the table. */
export async function awaitJobs(
  jobs: StepContext['jobs'],
  disks: readonly DiskPlan[],
  act: (ids: readonly string[]) => Promise<readonly Reply[]>,
  done: (job: JobInfo | undefined) => boolean,
  deadlineMs: number,
): Promise<JobTable> {
  const ids = disks.map(disk => disk.names.mirrorJob);
  const refusal = new AbortController();
  const acted = act(ids);
  const table = jobs.awaitAll(ids, done, { deadlineMs, pollMs: POLL_MS, signal: refusal.signal });
  const settled = table.then(
    () => undefined,
    () => undefined,
  );
  const refused = firstError(disks, await acted);
  if (refused === undefined) return table;
  refusal.abort();
  await settled;
  throw refused;
}

export function isConcluded(job: JobInfo | undefined): boolean {
  return job === undefined || job.status === 'concluded';
}
