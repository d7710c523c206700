/** The mirrors of an undo, whether QEMU or the saga opened the images: how they are started and completed, and when they would lose writes. */
import { BlocksagaError } from '../../errors.ts';
import type { DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import type { Command } from '../../qmp/client.ts';
import { isConcluded, readyWhileNearing, WHILE_PAUSED } from '../jobs/await-jobs.ts';
import { dismissJobs } from '../jobs/dismiss-jobs.ts';
import { throwFirst } from '../step/replies.ts';
import type { StepContext } from '../step/step.ts';

const COPY_BACK_DEADLINE_MS = 24 * 60 * 60_000;
/** A copy that comes no nearer for so long is begun again, and given up in the end. */
const NEARER_WITHIN_MS = 60 * 60_000;

export type BackCommand = Command<'blockdev-mirror'> | Command<'drive-mirror'> | Command<'block-commit'>;

/** The guest's writes since a merge are in the lower images, which no overlay may hide again. */
export function ranSinceMerged(): BlocksagaError {
  return new BlocksagaError(
    'OVERTAKEN',
    'the guest may have written to some of its disks since they were merged: that is in the lower images, which stay in front',
  );
}

/** Throws OVERTAKEN, in front of what puts overlays back, where the guest may have written below them since the last look. */
export async function expectNotRunSince(
  { recordSides }: Pick<StepContext<SwitchPlan>, 'recordSides'>,
  { ranSince }: Return,
): Promise<void> {
  if (!ranSince()) return;
  await recordSides();
  throw ranSinceMerged();
}

/** The next attempt ends these mirrors, finds both sides apart, and copies all. */
function ranBesideMirrors(): BlocksagaError {
  return new BlocksagaError(
    'FOREIGN',
    'a third party resumed the guest while its disks were being put back: what it wrote is to be copied first',
    { retryable: true, effect: 'unknown' },
  );
}

/**
 * How disks are put back: whether both sides hold the same; if not, what resumes the guest while they are copied, and
 * stops it.
 */
export interface Return {
  /** Whether a third party has resumed the guest since both sides were found to hold the same. */
  ranSince(): boolean;
  readonly isAlike: boolean;
  /** Resumes the guest for as long as `copying` takes, where it is not its administrator who has paused it. */
  resume(copying: () => Promise<unknown>): Promise<void>;
}

/** Starts the mirrors of an undo, resumes the guest for as long as they copy, and completes them. */
export async function runMirrorsBack(
  { jobs, qmp, clock, likeness, plan }: StepContext<SwitchPlan>,
  switched: readonly DiskPlan[],
  commands: readonly BackCommand[],
  { isAlike, resume }: Return,
): Promise<void> {
  const ids = switched.map(disk => disk.names.undoJob);
  let ranFirst = false;
  const replies = await qmp.pipeline(commands, {
    // From the answer on what the guest writes is copied too; what it wrote before, where nothing else is copied, is not.
    onReply: () => {
      ranFirst = likeness() === 'apart';
    },
  });
  if (isAlike && ranFirst && plan.operation !== 'commit') throw ranBesideMirrors();
  throwFirst(switched, replies);
  const isReady = readyWhileNearing(clock, NEARER_WITHIN_MS);
  await resume(() =>
    jobs.awaitAll(ids, isReady, isAlike ? WHILE_PAUSED : { deadlineMs: COPY_BACK_DEADLINE_MS }),
  );
  throwFirst(switched, await jobs.pivot(ids));
  await jobs.awaitAll(ids, isConcluded, WHILE_PAUSED);
  await dismissJobs({ jobs }, ids);
}
