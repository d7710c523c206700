/**
 * Shortens the chains below active images that stay in front: data is pulled up into an image, or committed down into
 * one. Every job is held in PENDING, where all can still be cancelled and no chain has changed; then each is finalized.
 * What a finalized job has done cannot be undone, and need not be: the guest reads the same either way.
 */
import { BlocksagaError, definedOnly } from '../../errors.ts';
import { chainFiles, withoutForeignImages } from '../../guest/graph.ts';
import { rootAbove } from '../../guest/jobs-of-plan.ts';
import { expectNotMigrating, lookAtGuest } from '../../guest/migration.ts';
import { expectPluggedIn } from '../../guest/unplugged.ts';
import { chainOfImage } from '../../plan/chain-of-image.ts';
import type { DiskPlan, RewritePlan } from '../../plan/plan.ts';
import type { Command, QmpClient } from '../../qmp/client.ts';
import { hasConcludedWell, isConcluded } from '../jobs/await-jobs.ts';
import { dismissJobs } from '../jobs/dismiss-jobs.ts';
import { jobAlive, jobFailed, limitedTo, runJobs } from '../jobs/run-jobs.ts';
import { expectNames } from '../prepare/expect-names.ts';
import { firstError } from '../step/replies.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';
import { flushPulled } from './flush-pulled.ts';
import { noteMergedElsewhere } from './note-merged-elsewhere.ts';
import { rewriteOf } from './rewrite-of.ts';

const JOB_DEADLINE_MS = 60_000;

export const rewriteChains: Step<RewritePlan> = {
  name: 'rewriteChains',

  /** Present is what is held back: a job that still works is joined, not started again. */
  async probe({ jobs, plan }) {
    const table = await jobs.list(jobsOf(plan));
    return probeDisks(plan.disks, disk =>
      table.get(disk.names.job)?.status === 'pending' ? 'present' : 'absent',
    );
  },

  /** Nothing has been decided while all are held: a migration that has begun meanwhile still rolls the saga back. */
  async do(context) {
    await holdAll(context, context.plan.disks);
    expectNotMigrating(await lookAtGuest(context.qmp));
    return null;
  },

  /** The last look before the decision: the chains that stay are found by their names. */
  verify: context => expectNames(context, 'opened'),

  /** An attempt before has held all of them, and has not come to its look. */
  async adopt(context) {
    if (!context.decided) await expectNames(context, 'opened');
    return null;
  },

  /**
   * Until a stream that was cancelled in PENDING is dismissed the nodes must not be listed: QEMU 7.2 dies of it. Where
   * a third party has finalized one there is no rollback, and the other jobs are left as they are.
   */
  async undo({ jobs, plan, qmp }) {
    await expectNoneShortened(qmp, plan);
    await jobs.remove(jobsOf(plan), { deadlineMs: JOB_DEADLINE_MS });
    await expectNoneShortened(qmp, plan);
  },
};

async function expectNoneShortened(qmp: QmpClient, { disks }: RewritePlan): Promise<void> {
  const blocks = await qmp.execute('query-block');
  expectPluggedIn(blocks, disks);
  // A chain with nothing between its images and the base is as it is to be before anything is done, and tells nothing.
  const telling = disks.filter(disk => !isShortened(filesOf(disk), disk));
  const done = telling.find(disk => isShortened(chainFiles(blocks, disk), disk));
  if (done === undefined) return;
  throw new BlocksagaError(
    'OVERTAKEN',
    `a third party has let the job of disk ${done.disk} take effect: its chain is shortened for good, and the others follow`,
    { disk: done.disk },
  );
}

const filesOf = ({ chain }: DiskPlan): readonly string[] => chain.map(({ file }) => file);

const FORWARD = {
  decision: 'before',
  insists: true,
  irreversible: 'the guest reads the same from a chain before and after; a job that failed is run again',

  /** The job must be gone too: QEMU 7.2 dies when the nodes are listed before an ended stream is dismissed. */
  async probe({ jobs, qmp, plan }: StepContext<RewritePlan>) {
    const table = await jobs.list(jobsOf(plan));
    const blocks = await qmp.execute('query-block');
    return probeDisks(plan.disks, disk =>
      !table.has(disk.names.job) && isShortened(chainFiles(blocks, disk), disk) ? 'present' : 'absent',
    );
  },

  async do(context: StepContext<RewritePlan>, todo: readonly DiskPlan[]) {
    const { jobs } = context;
    const table = await jobs.list(todo.map(disk => disk.names.job));
    const ended = todo.filter(disk => table.get(disk.names.job)?.status === 'concluded');
    await dismissJobs(
      context,
      ended.map(disk => disk.names.job),
    );
    const left = todo.filter(disk => !hasConcludedWell(table.get(disk.names.job)));
    if (left.length === 0) return null;
    await holdAll(context, left);
    // These were begun when all was decided: no look holds that up.
    await noteMergedElsewhere(
      context,
      left.filter(({ names }) => !table.has(names.job)),
    );
    if (context.plan.operation === 'pull') await flushPulled(context, left);
    const ids = left.map(disk => disk.names.job);
    const refused = firstError(left, await jobs.finalize(ids));
    if (refused !== undefined) throw refused;
    const after = await jobs.awaitAll(ids, isConcluded, { deadlineMs: JOB_DEADLINE_MS });
    for (const disk of left) {
      const job = after.get(disk.names.job);
      if (job?.error !== undefined) throw jobFailed(disk, job);
    }
    await dismissJobs(context, ids);
    return null;
  },

  async verify({ qmp, plan }: StepContext<RewritePlan>) {
    const blocks = await qmp.execute('query-block');
    for (const disk of plan.disks) {
      const chain = chainFiles(blocks, disk);
      if (isShortened(chain, disk)) continue;
      throw new BlocksagaError(
        'VERIFY_FAILED',
        `disk ${disk.disk} has the chain ${chain.join(' <- ')} still`,
        {
          disk: disk.disk,
        },
      );
    }
  },
} as const;

export const finalizeRewrites: Step<RewritePlan> = {
  name: 'finalizeRewrites',
  ...FORWARD,

  /** Right in front of the decision: a process may have died since the jobs were held, and the guest have been migrated. */
  async observe({ qmp, decided }) {
    if (!decided) expectNotMigrating(await lookAtGuest(qmp));
    return { isHere: true };
  },
};

/**
 * The same where a third party has finalized one of the jobs before the saga had decided: whatever is asked, it
 * continues.
 */
export const finalizeRest: Step<RewritePlan> = { name: 'finalizeRest', ...FORWARD, rollsBack: 'never' };

/** Runs the jobs of these disks until each is held in PENDING; those that are there already are joined. */
async function holdAll(context: StepContext<RewritePlan>, disks: readonly DiskPlan[]): Promise<void> {
  const { jobs, plan } = context;
  const table = await jobs.list(disks.map(disk => disk.names.job));
  const missing = disks.filter(disk => !table.has(disk.names.job));
  await runJobs(context, missing, {
    what: 'all jobs to be pending',
    parallel: plan.parallel,
    disks,
    start: disk => startJob(plan, disk, context.speed(disk)),
    look: jobAlive,
    hasArrived: ({ status }) => status === 'pending',
    ...(opensByName(context) ? { expectNames: () => expectNames(context, 'opened') } : {}),
  });
}

/**
 * What a job writes to is opened anew by its name (raw_reconfigure_getfd, block/file-posix.c). An image that is pulled into is open
 * for writing mostly; what is decided is not held up for the names of others.
 */
export function opensByName({ plan, decided }: StepContext<RewritePlan>): boolean {
  return plan.operation === 'commit' || !decided;
}

function startJob(
  plan: RewritePlan,
  disk: DiskPlan,
  speed: number,
): Command<'block-stream'> | Command<'block-commit'> {
  const { top, base, backingFile, masksProtocol } = rewriteOf(plan, disk);
  const common = {
    'job-id': disk.names.job,
    ...definedOnly({ 'backing-file': backingFile ?? undefined, 'backing-mask-protocol': masksProtocol }),
    ...(base === null ? {} : disk.identifiedBy ? { base } : { 'base-node': base }),
    ...limitedTo(speed),
    'auto-finalize': false,
    'auto-dismiss': false,
  };
  if (plan.operation === 'pull')
    return { execute: 'block-stream', arguments: { device: disk.identifiedBy ? disk.node : top, ...common } };
  const topmost = disk.identifiedBy ? { top } : { 'top-node': top };
  return {
    execute: 'block-commit',
    arguments: { device: rootAbove(disk, disk.node), ...topmost, ...common },
  };
}

function jobsOf(plan: RewritePlan): readonly string[] {
  return plan.disks.map(disk => disk.names.job);
}

/** Whether QEMU names no image any more that leaves the chain; overlays of a third party above do not count. */
export function isShortened(files: readonly string[], disk: DiskPlan): boolean {
  return withoutForeignImages(files, disk).length <= chainOfImage(disk).length;
}
