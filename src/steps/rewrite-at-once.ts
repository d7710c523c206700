/**
 * Shortens one chain below its active image where QEMU cannot hold a job back (before 3.1): the job changes the chain by
 * itself when its work is done, and is gone then. So it is for one disk only, and what became of it is read from the chain.
 */
import { BlocksagaError } from '../errors.ts';
import type { Command } from '../qmp/client.ts';
import { leavingImages } from './chain-of-image.ts';
import { chainFiles } from './graph.ts';
import type { DiskPlan, RewritePlan } from './plan.ts';
import { isShortened, rewriteOf } from './rewrite-chains.ts';
import { firstError, probeDisks, type Step, type StepContext } from './step.ts';

const JOB_DEADLINE_MS = 14 * 24 * 60 * 60_000;
const CANCEL_DEADLINE_MS = 60_000;

export const rewriteAtOnce: Step<RewritePlan> = {
  name: 'rewriteAtOnce',
  decision: 'afterwards',

  async probe({ qmp, plan }) {
    const blocks = await qmp.execute('query-block');
    return probeDisks(plan.disks, disk =>
      isShortened(chainFiles(blocks, disk), disk) ? 'present' : 'absent',
    );
  },

  async do(context, todo) {
    const { jobs, plan, qmp } = context;
    const table = await jobs.list(todo.map(disk => disk.names.job));
    const missing = todo.filter(disk => !table.has(disk.names.job));
    const refused = firstError(missing, await qmp.pipeline(missing.map(disk => startJob(plan, disk))));
    if (refused !== undefined) throw refused;
    const failure = await awaitEnd(context, todo);
    if (failure === undefined) return null;
    // What ended well before it could be cancelled has happened, whatever was asked meanwhile.
    if (await isDone(context, todo)) return null;
    throw failure;
  },

  async undo(context) {
    const { disks } = context.plan;
    await cancel(context, disks);
    if (!(await isDone(context, disks))) return;
    throw new BlocksagaError(
      'FOREIGN',
      'the job had shortened the chain before it could be cancelled: the guest reads the same, and that stays so',
    );
  },
};

/** Why the job did not do what it was to do; undefined when it did. Throws what keeps it from being told. */
async function awaitEnd(
  context: StepContext<RewritePlan>,
  disks: readonly DiskPlan[],
): Promise<BlocksagaError | undefined> {
  try {
    const ids = disks.map(disk => disk.names.job);
    await context.jobs.awaitAll(ids, job => job === undefined, {
      deadlineMs: JOB_DEADLINE_MS,
      signal: context.abort,
      onChange: table => {
        for (const disk of disks) report(context, disk, table.get(disk.names.job));
      },
    });
  } catch (error) {
    if (!(error instanceof BlocksagaError) || !GIVES_UP.has(error.code)) throw error;
    await cancel(context, disks);
    return error;
  }
  if (await isDone(context, disks)) return undefined;
  return new BlocksagaError(
    'JOB_FAILED',
    'the job has ended and the chain is as it was; this QEMU does not keep the reason',
    { disk: disks[0]?.disk ?? '' },
  );
}

/** After these the step ends: what the job has come to must be settled first. Others are tried again. */
const GIVES_UP: ReadonlySet<string> = new Set(['ABORTED', 'DEADLINE', 'QMP_COMMAND']);

async function cancel({ jobs }: StepContext<RewritePlan>, disks: readonly DiskPlan[]): Promise<void> {
  const ids = disks.map(disk => disk.names.job);
  await jobs.remove(ids, { deadlineMs: CANCEL_DEADLINE_MS });
}

async function isDone({ qmp }: StepContext<RewritePlan>, disks: readonly DiskPlan[]): Promise<boolean> {
  const blocks = await qmp.execute('query-block');
  return disks.every(disk => isShortened(chainFiles(blocks, disk), disk));
}

type Job = Parameters<Parameters<StepContext['jobs']['awaitAll']>[1]>[0];

function report(context: StepContext<RewritePlan>, disk: DiskPlan, job: Job): void {
  if (job === undefined) return;
  context.report({
    disk: disk.disk,
    job: job.id,
    status: job.status,
    currentBytes: job['current-progress'],
    totalBytes: job['total-progress'],
  });
}

/** Images are named by their files: `block-commit` knows nodes from 3.1 on only. */
function startJob(plan: RewritePlan, disk: DiskPlan): Command<'block-stream'> | Command<'block-commit'> {
  const { base, backingFile } = rewriteOf(plan, disk);
  const baseFile = disk.chain.find(image => image.node !== null && image.node === base)?.file;
  const common = {
    'job-id': disk.names.job,
    ...(baseFile === undefined ? {} : { base: baseFile }),
    ...(backingFile === null ? {} : { 'backing-file': backingFile }),
    ...(plan.speed > 0 ? { speed: plan.speed } : {}),
  };
  if (plan.operation === 'pull')
    return { execute: 'block-stream', arguments: { device: disk.node, ...common } };
  const top = leavingImages(disk)[0]?.file;
  return {
    execute: 'block-commit',
    arguments: { device: disk.node, ...(top === undefined ? {} : { top }), ...common },
  };
}
