/**
 * Shortens chains below their active images where QEMU cannot hold a job in PENDING (before 3.1): a job changes its
 * chain by itself when its work is done, and what became of it is read from the chain. So the first disk's job is the
 * decision: before it nothing has changed, and after it the others only roll forward, however many attempts that takes.
 */
import { BlocksagaError } from '../../errors.ts';
import { blockOf, chainFiles } from '../../guest/graph.ts';
import { deviceOf, named } from '../../guest/jobs-of-plan.ts';
import { expectNotMigrating, lookAtGuest } from '../../guest/migration.ts';
import { expectPluggedIn } from '../../guest/unplugged.ts';
import { leavingImages } from '../../plan/chain-of-image.ts';
import type { DiskPlan, RewritePlan } from '../../plan/plan.ts';
import type { Command } from '../../qmp/client.ts';
import { isConcluded } from '../jobs/await-jobs.ts';
import { dismissJobs } from '../jobs/dismiss-jobs.ts';
import { limitedTo, reportJob } from '../jobs/run-jobs.ts';
import { expectNames } from '../prepare/expect-names.ts';
import { askAgain, firstError } from '../step/replies.ts';
import { type Probe, probeDisks, type Step, type StepContext } from '../step/step.ts';
import { noteMergedElsewhere } from './note-merged-elsewhere.ts';
import { isShortened, opensByName } from './rewrite-chains.ts';
import { rewriteOf } from './rewrite-of.ts';

const JOB_DEADLINE_MS = 14 * 24 * 60 * 60_000;
const CANCEL_DEADLINE_MS = 60_000;

export const rewriteFirst: Step<RewritePlan> = {
  name: 'rewriteFirst',
  decision: 'afterwards',
  rollsBack: 'unlessBegun',

  probe: context => probeShortened(context, firstOf(context.plan)),

  async do(context) {
    const disks = firstOf(context.plan);
    if (context.nothingSentYet) expectNotMigrating(await lookAtGuest(context.qmp));
    try {
      await shorten(context, disks);
    } catch (error) {
      if (!(error instanceof BlocksagaError) || !GIVES_UP.has(error.code)) throw error;
      // A job that kept running would change the chain behind the saga's back: how it ended decides between rolling
      // forward and back.
      await cancel(context, disks);
      if (!(await isDone(context, disks))) throw error;
      await tryToFlushPulled(context, disks);
    }
    return null;
  },

  async adopt(context) {
    await noteMergedElsewhere(context, firstOf(context.plan));
    return null;
  },

  async undo(context) {
    const disks = firstOf(context.plan);
    // It has left the guest, and its job has been seen to.
    if (disks.length === 0) return;
    await cancel(context, disks);
    if (!(await isDone(context, disks))) return;
    throw new BlocksagaError(
      'FOREIGN',
      'the job had shortened the chain before it could be cancelled: the guest reads the same, and that stays so',
    );
  },
};

export const rewriteRest: Step<RewritePlan> = {
  name: 'rewriteRest',
  irreversible: 'the guest reads the same from a chain before and after; a job that failed is run again',
  insists: true,

  probe: context =>
    probeShortened(
      context,
      context.plan.disks.filter(({ index }) => index > 0),
    ),

  async do(context, todo) {
    const { parallel } = context.plan;
    const rest = todo.filter(({ index }) => index > 0);
    await noteMergedElsewhere(context, restOf(context.plan, todo));
    for (let at = 0; at < rest.length; at += parallel) await shorten(context, rest.slice(at, at + parallel));
    return null;
  },

  async adopt(context) {
    await noteMergedElsewhere(context, restOf(context.plan));
    return null;
  },
};

/** Those of the second step, but for some. */
function restOf({ disks }: RewritePlan, but: readonly DiskPlan[] = []): readonly DiskPlan[] {
  return disks.filter(disk => disk.index > 0 && !but.includes(disk));
}

function firstOf({ disks }: RewritePlan): readonly DiskPlan[] {
  return disks.filter(({ index }) => index === 0);
}

async function probeShortened({ qmp }: StepContext<RewritePlan>, disks: readonly DiskPlan[]): Promise<Probe> {
  const [reply] = await qmp.pipeline([{ execute: 'query-block' }]);
  if (!reply.ok) throw askAgain(reply.error);
  const blocks = reply.value;
  expectPluggedIn(blocks, disks);
  return probeDisks(disks, disk => (isShortened(chainFiles(blocks, disk), disk) ? 'present' : 'absent'));
}

/** Runs the jobs of these disks to their ends, joining those that run; throws why one has not done what it was to do. */
async function shorten(context: StepContext<RewritePlan>, disks: readonly DiskPlan[]): Promise<void> {
  const { jobs, plan, qmp } = context;
  const ids = jobsOf(disks);
  const table = await jobs.list(ids);
  await dismissJobs(
    context,
    ids.filter(id => table.get(id)?.status === 'concluded'),
  );
  const missing = disks.filter(({ names }) => isConcluded(table.get(names.job)));
  if (missing.length > 0 && context.signals.abort.aborted && !context.decided)
    throw new BlocksagaError('ABORTED', 'the saga was asked to roll back before its job was begun');
  const [blocks] = await qmp.pipeline([{ execute: 'query-block' }]);
  if (!blocks.ok) throw askAgain(blocks.error);
  // A commit wants the root: an overlay of a third party, where that has put one there.
  const rootOf = (disk: DiskPlan) => blockOf(blocks.value, disk)?.inserted?.['node-name'] ?? disk.node;
  const commands = missing.map(disk =>
    startJob(plan, disk, plan.operation === 'pull' ? disk.node : rootOf(disk), context.speed()),
  );
  if (opensByName(context)) await expectNames(context, 'opened');
  const refused = firstError(missing, await qmp.pipeline(commands));
  if (refused !== undefined) throw refused;
  await awaitEnd(context, disks);
  await noteMergedElsewhere(context, disks);
  await tryToFlushPulled(context, disks);
}

/** Throws why a job did not do what it was to do. */
async function awaitEnd(context: StepContext<RewritePlan>, disks: readonly DiskPlan[]): Promise<void> {
  const ended = await context.jobs.awaitAll(jobsOf(disks), isConcluded, {
    deadlineMs: JOB_DEADLINE_MS,
    ...(context.decided ? {} : { signal: context.signals.abort }),
    onChange: table => {
      for (const disk of disks) {
        const job = table.get(disk.names.job);
        if (job !== undefined) reportJob(context, disk, job);
      }
    },
  });
  const reason = [...ended.values()].find(({ error }) => error !== undefined)?.error;
  await dismissJobs(context, [...ended.keys()]);
  if (await isDone(context, disks)) return;
  throw new BlocksagaError(
    'JOB_FAILED',
    `the job has ended and the chain is as it was: ${reason ?? 'this QEMU does not keep the reason'}`,
    { disk: disks[0]?.disk ?? '' },
  );
}

/** After these a step would end: the job must have ended first. Others are tried again. */
const GIVES_UP: ReadonlySet<string> = new Set(['ABORTED', 'DEADLINE', 'QMP_COMMAND']);

async function cancel({ jobs }: StepContext<RewritePlan>, disks: readonly DiskPlan[]): Promise<void> {
  try {
    await jobs.remove(jobsOf(disks), { deadlineMs: CANCEL_DEADLINE_MS });
  } catch (error) {
    throw error instanceof BlocksagaError && GIVES_UP.has(error.code) ? askAgain(error) : error;
  }
}

/** How the job ended must be known before anything is undone: a look that QEMU refuses is no answer. */
async function isDone({ qmp }: StepContext<RewritePlan>, disks: readonly DiskPlan[]): Promise<boolean> {
  const [reply] = await qmp.pipeline([{ execute: 'query-block' }]);
  if (!reply.ok) throw askAgain(reply.error);
  const blocks = reply.value;
  expectPluggedIn(blocks, disks);
  return disks.every(disk => isShortened(chainFiles(blocks, disk), disk));
}

/**
 * What was pulled is in the image only when its tables are, which QEMU writes with a flush. Here that can only come after
 * the chain has changed, and only where the monitor has qemu-io (QEMU 1.5): so it is tried, and nothing hangs on it.
 */
async function tryToFlushPulled(
  { qmp, plan }: StepContext<RewritePlan>,
  disks: readonly DiskPlan[],
): Promise<void> {
  if (plan.operation !== 'pull') return;
  await qmp.pipeline(
    disks.map(disk => ({
      execute: 'human-monitor-command' as const,
      arguments: { 'command-line': `qemu-io ${deviceOf(disk, disk.node)} flush` },
    })),
  );
}

/** Images are named by their files: `block-commit` knows nodes from 3.1 on only. */
function startJob(
  plan: RewritePlan,
  disk: DiskPlan,
  node: string,
  speed: number,
): Command<'block-stream'> | Command<'block-commit'> {
  const leaving = leavingImages(disk);
  const top = leaving[0]?.file;
  const last = disk.chain.findIndex(({ file }) => file === leaving.at(-1)?.file);
  const base = disk.chain[last + 1]?.file;
  const { backingFile } = rewriteOf(plan, disk);
  const common = {
    ...named(plan, disk.names.job),
    device: deviceOf(disk, node),
    ...(base === undefined ? {} : { base }),
    ...(backingFile === null ? {} : { 'backing-file': backingFile }),
    ...limitedTo(speed),
  };
  if (plan.operation === 'pull') return { execute: 'block-stream', arguments: common };
  return { execute: 'block-commit', arguments: { ...common, ...(top === undefined ? {} : { top }) } };
}

function jobsOf(disks: readonly DiskPlan[]): readonly string[] {
  return disks.map(disk => disk.names.job);
}
