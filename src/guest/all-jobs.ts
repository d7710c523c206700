/**
 * All jobs of a QEMU, those of third parties too, under the names that it knows them by, which tell what a saga has left in it.
 * QEMU before 3.0 has no `query-jobs`, and tells of block jobs that have not ended only. It only asks.
 */
import type { QmpClient, Reply } from '../qmp/client.ts';
import type { JobInfo } from '../qmp/jobs.ts';
import { valueIfKnown } from '../qmp/reply-values.ts';
import type { BlockJobInfo } from '../qmp/schema.generated.ts';

export interface AnyJob extends Pick<JobInfo, 'id' | 'type' | 'status' | 'error'> {
  /** The command that ends it without a switch. */
  readonly endedBy: 'job-cancel' | 'block-job-cancel';
}

/** Throws as `execute`. */
export async function allJobs(qmp: QmpClient): Promise<readonly AnyJob[]> {
  const [reply] = await qmp.pipeline([{ execute: 'query-jobs' }]);
  return allJobsBy(qmp, reply);
}

/** The same, behind a `query-jobs` that was sent together with other questions. */
export async function allJobsBy(
  qmp: QmpClient,
  reply: Reply<readonly JobInfo[]>,
): Promise<readonly AnyJob[]> {
  const jobs = valueIfKnown(reply);
  if (jobs !== undefined) return jobs.map(job => ({ ...job, endedBy: 'job-cancel' }));
  const [older] = await qmp.pipeline([{ execute: 'query-block-jobs' }]);
  return (valueIfKnown<readonly OlderJob[]>(older) ?? []).map(({ device, type, status, ready, error }) => ({
    id: device,
    type: type as JobInfo['type'],
    status: status ?? (ready === true ? 'ready' : 'running'),
    ...(error === undefined ? {} : { error }),
    endedBy: 'block-job-cancel',
  }));
}

/** What is not told of a job before 2.2 (`ready`) and 2.12 (`status`). */
type OlderJob = Pick<BlockJobInfo, 'device' | 'type' | 'error'> & Partial<BlockJobInfo>;
