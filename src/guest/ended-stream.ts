/**
 * Whether QEMU may be asked for its nodes. One with an ended stream that was not dismissed keeps the stream's
 * filter without anything below it, and QEMU 6.0 to 9.2 die of listing that (`bdrv_block_device_info`, block/qapi.c; seen
 * on 7.2). It only asks, and only what QEMU survives.
 */
import { BlocksagaError } from '../errors.ts';
import type { QmpClient } from '../qmp/client.ts';
import type { JobInfo } from '../qmp/jobs.ts';

/** A stream that has ended and is not dismissed. */
export async function endedStream(qmp: QmpClient): Promise<JobInfo | undefined> {
  const [reply] = await qmp.pipeline([{ execute: 'query-jobs' }]);
  if (reply.ok) return reply.value.find(({ type, status }) => type === 'stream' && ENDED.has(status));
  if (reply.error.qmp?.class === 'CommandNotFound') return undefined; // jobs end by themselves there
  throw reply.error;
}

const ENDED: ReadonlySet<string> = new Set(['aborting', 'concluded']);

/** Throws DISK_BUSY while there is one. */
export async function expectNoEndedStream(qmp: QmpClient): Promise<void> {
  const job = await endedStream(qmp);
  if (job === undefined) return;
  throw new BlocksagaError(
    'DISK_BUSY',
    `the stream "${job.id}" has ended and was not dismissed; some QEMUs die when they are asked for their nodes before that. ` +
      'Dismiss it (QMP: job-dismiss), or let its saga do so with "blocksaga resume"',
  );
}
