/** Clears QEMU's table of jobs whose verdicts have been read. Ends no job that still runs: that is an undo's business. */
import type { JobWaitOptions } from '../../qmp/jobs.ts';
import type { StepContext } from '../step/step.ts';

const UNHURRIED: JobWaitOptions = { deadlineMs: 60_000 };

/** Dismisses concluded jobs in one write; looks again, and insists for as long as `wait` says, only where QEMU refused one. */
export async function dismissJobs(
  { jobs }: Pick<StepContext, 'jobs'>,
  ids: readonly string[],
  wait = UNHURRIED,
): Promise<void> {
  const replies = await jobs.dismiss(ids);
  if (replies.every(reply => reply.ok)) return;
  await jobs.remove(ids, wait);
}
