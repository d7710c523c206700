/** The calls on a block job that is there: end it, ask how far it is, change its speed. They begin none. */

import { jobName } from '../guest/jobs-of-plan.ts';
import { type Bandwidth, bytesPerSecond } from './bandwidth.ts';
import { type BlockJob, failureOf } from './block-job.ts';
import { type DomainCore, expectName } from './domain-core.ts';
import { refuse, translated } from './errors.ts';
import { BLOCK_JOB_ABORT, BLOCK_JOB_INFO, BLOCK_JOB_SPEED, type Flags, readFlags } from './flags.ts';
import { type BlockJobInfo, type BlockJobType, translateJob } from './job-info.ts';

/** A block job of this domain, with QEMU's name of its part for one disk. */
interface OwnJob {
  readonly job: BlockJob;
  readonly kind: BlockJobType;
  readonly id: string;
}

export async function blockJobAbort(
  core: DomainCore,
  disk: string,
  given: Flags<typeof BLOCK_JOB_ABORT>,
): Promise<void> {
  const flags = readFlags('blockJobAbort', BLOCK_JOB_ABORT, given);
  expectName('blockJobAbort', 'the disk', disk);
  const pivot = flags.has('PIVOT');
  const result = await core.inTurn(async () => {
    const own = await jobOf(core, disk);
    if (own === undefined) return refuse('INVALID_ARG', `disk ${disk} has no block job`);
    const { job } = own;
    if (job.isEnding)
      refuse('OPERATION_INVALID', `the ${job.kind} job of disk ${disk} is being ended already`);
    if (pivot && !job.isReady)
      refuse('BLOCK_COPY_ACTIVE', `the ${job.kind} job of disk ${disk} is not ready yet`);
    job.isEnding = true;
    const ending = endingOf(job, pivot);
    ending.catch(() => undefined); // the call that waits for it, or the event, tells
    return { ending };
  });
  if (flags.has('ASYNC')) return;
  const { outcome, ...rest } = await translated(() => result.ending);
  const reached = pivot ? outcome === 'committed' : outcome !== 'needsRecovery';
  if (reached) return;
  const error = failureOf({ outcome, ...rest });
  refuse(
    'OPERATION_FAILED',
    `the job of disk ${disk} could not be ${pivot ? 'pivoted' : 'ended'}: ${error.message}`,
  );
}

/** A copy that is ready and is not switched to stays, as a copy of that moment; what is not ready is rolled back. */
function endingOf({ saga, kind, isReady }: BlockJob, pivot: boolean): ReturnType<BlockJob['saga']['pivot']> {
  if (pivot) return saga.pivot();
  return kind === 'COPY' && isReady ? saga.keepCopies() : saga.abort();
}

/** Null where the disk has no job of this domain. */
export async function blockJobInfo(
  core: DomainCore,
  disk: string,
  given: Flags<typeof BLOCK_JOB_INFO>,
): Promise<BlockJobInfo | null> {
  const flags = readFlags('blockJobInfo', BLOCK_JOB_INFO, given);
  expectName('blockJobInfo', 'the disk', disk);
  return core.inTurn(async () => {
    const own = await jobOf(core, disk);
    if (own === undefined) return null;
    const { kind, id } = own;
    const jobs = await core.ask(qmp => qmp.execute('query-block-jobs'));
    const raw = jobs.find(({ device }) => device === id);
    const becomesReady = kind === 'COPY' || kind === 'ACTIVE_COMMIT';
    const told = raw && { ...raw, ready: becomesReady ? raw.ready : undefined };
    return translateJob(kind, told, flags.has('BANDWIDTH_BYTES') ? 'bytes' : 'MiB');
  });
}

export async function blockJobSetSpeed(
  core: DomainCore,
  disk: string,
  bandwidth: Bandwidth,
  given: Flags<typeof BLOCK_JOB_SPEED>,
): Promise<void> {
  const flags = readFlags('blockJobSetSpeed', BLOCK_JOB_SPEED, given);
  expectName('blockJobSetSpeed', 'the disk', disk);
  const speed = bytesPerSecond(bandwidth, flags.has('BANDWIDTH_BYTES') ? 'bytes' : 'MiB');
  await core.inTurn(async () => {
    const own = await jobOf(core, disk);
    if (own === undefined) return refuse('INVALID_ARG', `disk ${disk} has no block job`);
    await own.job.saga.setSpeed(speed);
  });
}

/** The domain's own job on a disk. Throws INVALID_ARG for a disk that is not there. */
async function jobOf(core: DomainCore, disk: string): Promise<OwnJob | undefined> {
  const found = core.diskOf(await core.look(), disk);
  const job = core.open;
  const part = job?.partOf(found);
  if (job === undefined || part === undefined || job.kind === 'SNAPSHOT') return undefined;
  return { job, kind: job.kind, id: jobName(job.saga.plan, part) };
}
