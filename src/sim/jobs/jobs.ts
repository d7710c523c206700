/**
 * The life of a block job: created, running, perhaps ready, waiting, pending, concluded (job.c, blockjob.c). What a kind
 * of job does to images and graph is its driver's business, in a file of its own.
 */

import { invariant } from '../../errors.ts';
import { removeUser } from '../graph/graph.ts';
import type { Context, JobTask } from '../state/context.ts';
import { Job, type JobStatus } from '../state/job.ts';
import { accepts, mayFollow } from '../state/job-table.ts';
import { refuse } from '../state/refusal.ts';
import type { BlockNode } from '../state/state.ts';
import { blockEvent } from './job-progress.ts';

/** What a kind of job adds to the common life. */
export interface JobDriver {
  /** Continues the work; calls `workDone` or `workFailed` when it ends. */
  work(ctx: Context, job: Job): void;
  /** The point of no return: changes the graph. Gives an error text when that is refused. */
  prepare(ctx: Context, job: Job): string | undefined;
  /** Leaves the graph as it was before the job. */
  abort(ctx: Context, job: Job): void;
  /** Soft cancel and complete have a meaning once READY. */
  readonly completes: boolean;
  /** Until when the job blocks its nodes and refers to them: a stream does so until it is dismissed. */
  readonly holds: 'untilConcluded' | 'untilDismissedOnSuccess' | 'untilDismissed';
}

const drivers = new Map<string, JobDriver>();

/** Makes a kind of job known; called once by each driver's file. */
export function registerDriver(kind: Job['work']['kind'], driver: JobDriver): void {
  drivers.set(kind, driver);
}

export function driverOf(job: Job): JobDriver {
  const driver = drivers.get(job.work.kind);
  invariant(driver, `a job driver for ${job.work.kind}`);
  return driver;
}

type NewJob = Pick<Job, 'id' | 'type' | 'work'> &
  Partial<Pick<Job, 'speed' | 'autoFinalize' | 'autoDismiss' | 'group'>>;

/** The id rules come before anything else that a job's command checks. */
export function refuseBadJobId(ctx: Context, id: string): void {
  if (!/^[A-Za-z][A-Za-z0-9._-]*$/.test(id)) refuse(`Invalid job ID '${id}'`);
  if (ctx.q.jobs.get(id) !== undefined) refuse(`Job ID '${id}' already in use`);
}

/** created, running, and the first piece of work a moment later. */
export function startJob(ctx: Context, fields: NewJob): Job {
  createJob(ctx, fields);
  return runJob(ctx, fields.id);
}

/** A job that does not run yet. */
export function createJob(ctx: Context, fields: NewJob): Job {
  const job = new Job({
    speed: 0,
    autoFinalize: true,
    autoDismiss: true,
    group: undefined,
    ...fields,
    status: 'undefined',
    userPaused: false,
    ioStatus: 'ok',
    cancelled: 'no',
    completeAsked: false,
    error: undefined,
    pace: 0,
    serial: ctx.q.serial++,
  });
  ctx.q.edit('jobs').set(job.id, job);
  return enter(ctx, job.id, 'created');
}

export function runJob(ctx: Context, id: string): Job {
  const running = enter(ctx, id, 'running');
  ctx.later(ctx.timing.queryMs, task(running, 'work'));
  return running;
}

export function task(job: Job, phase: JobTask['phase']): JobTask {
  return { job: job.id, serial: job.serial, pace: job.pace, phase };
}

export function patchJob(ctx: Context, id: string, changes: Parameters<Job['with']>[0]): Job {
  const job = ctx.q.jobs.get(id);
  invariant(job, `a job ${id} to change`);
  const changed = job.with(changes);
  ctx.q.edit('jobs').set(id, changed);
  return changed;
}

export function enter(ctx: Context, id: string, status: JobStatus): Job {
  const job = ctx.q.jobs.get(id);
  invariant(job, `a job ${id} to enter ${status}`);
  invariant(mayFollow(job.status, status), `job ${id} cannot go from ${job.status} to ${status}`);
  if (job.status !== status) ctx.emit('JOB_STATUS_CHANGE', { status, id });
  return patchJob(ctx, id, { status });
}

/** The work succeeded: wait for the others of the group, if it has one, then for finalize unless automatic. */
export function workDone(ctx: Context, id: string): void {
  const job = enter(ctx, id, 'waiting');
  const all = groupOf(ctx, job);
  if (all.some(({ status }) => status !== 'waiting')) return;
  const isAutomatic = all.every(({ autoFinalize }) => autoFinalize);
  for (const each of all) {
    enter(ctx, each.id, 'pending');
    const isTold = !each.autoFinalize && each.type !== 'create';
    if (isTold) ctx.emit('BLOCK_JOB_PENDING', { type: each.type, id: each.id });
  }
  if (isAutomatic) finalize(ctx, id);
}

/** Those that end with a job, all or none; itself among them. */
function groupOf(ctx: Context, job: Job): readonly Job[] {
  if (job.group === undefined) return [job];
  return [...ctx.q.jobs.values()].filter(({ group }) => group === job.group);
}

/** The work ended badly. */
export function workFailed(ctx: Context, id: string, error: string): void {
  patchJob(ctx, id, { error });
  abort(ctx, id);
}

/** The graph changes here, or the job fails; with it the others of its group. */
export function finalize(ctx: Context, id: string): void {
  const job = ctx.q.jobs.get(id);
  invariant(job, `a job ${id} to finalize`);
  for (const each of groupOf(ctx, job)) finalizeOne(ctx, each);
}

function finalizeOne(ctx: Context, job: Job): void {
  const { id } = job;
  const refused = driverOf(job).prepare(ctx, job);
  if (refused !== undefined) {
    patchJob(ctx, id, { error: refused });
    abort(ctx, id, false);
    return;
  }
  if (driverOf(job).holds === 'untilConcluded') release(ctx, id);
  else thaw(ctx, id);
  blockEvent(ctx, id, 'BLOCK_JOB_COMPLETED');
  conclude(ctx, id);
}

/** Ends a job without its effect on the graph. */
export function abort(ctx: Context, id: string, undo = true): void {
  const job = enter(ctx, id, 'aborting');
  if (undo) driverOf(job).abort(ctx, job);
  if (driverOf(job).holds === 'untilDismissed') thaw(ctx, id);
  else release(ctx, id);
  blockEvent(ctx, id, job.cancelled === 'force' ? 'BLOCK_JOB_CANCELLED' : 'BLOCK_JOB_COMPLETED');
  const others = groupOf(ctx, job).filter(({ status }) => UNENDED.has(status));
  conclude(ctx, id);
  for (const other of others) cancelWith(ctx, other.id);
}

const UNENDED: ReadonlySet<JobStatus> = new Set(['created', 'running', 'paused', 'waiting', 'pending']);

/** A job whose group cannot succeed any more. */
function cancelWith(ctx: Context, id: string): void {
  const job = ctx.q.jobs.get(id);
  if (job === undefined || !UNENDED.has(job.status)) return;
  wake(ctx, patchJob(ctx, id, { cancelled: 'force', userPaused: false }));
  abort(ctx, id);
}

function conclude(ctx: Context, id: string): void {
  const job = ctx.q.jobs.get(id);
  if (job?.cancelled === 'force' && job.error === undefined) {
    patchJob(ctx, id, { error: 'Operation canceled' });
  }
  const concluded = enter(ctx, id, 'concluded');
  if (concluded.autoDismiss) dismiss(ctx, id);
}

export function dismiss(ctx: Context, id: string): void {
  release(ctx, id);
  enter(ctx, id, 'null');
  forget(ctx, id);
}

export function forget(ctx: Context, id: string): void {
  ctx.q.edit('jobs').delete(id);
  ctx.onSuccess(() => ctx.tracks.delete(id));
}

/** A job that could not start after all: created, null. */
export function withdraw(ctx: Context, id: string): void {
  ctx.emit('JOB_STATUS_CHANGE', { status: 'created', id });
  ctx.emit('JOB_STATUS_CHANGE', { status: 'null', id });
}

/** Frozen links may change again, and guests may write. */
function thaw(ctx: Context, id: string): void {
  for (const node of [...ctx.q.nodes.values()]) {
    if (!node.frozenBy.includes(id) && !node.drainedBy.includes(id)) continue;
    ctx.q.edit('nodes').set(
      node.name,
      node.with({
        frozenBy: node.frozenBy.filter(job => job !== id),
        drainedBy: node.drainedBy.filter(job => job !== id),
      }),
    );
  }
}

/** Lets go of every node: blockers, bitmap, frozen links, drain, references. */
export function release(ctx: Context, id: string): void {
  if (ctx.q.jobs.get(id)?.type === 'create') return; // it refers to none
  for (const node of [...ctx.q.nodes.values()]) {
    if (!isHeld(node, id)) continue;
    ctx.q.edit('nodes').set(
      node.name,
      node.with({
        blockedBy: node.blockedBy.filter(blocker => blocker.job !== id),
        trackedBy: node.trackedBy.filter(job => job !== id),
        frozenBy: node.frozenBy.filter(job => job !== id),
        drainedBy: node.drainedBy.filter(job => job !== id),
      }),
    );
  }
  for (const name of [...ctx.q.nodes.keys()]) {
    for (const kind of ['job', 'blk'] as const) {
      if (ctx.q.nodes.get(name)?.parents.some(edge => edge.kind === kind && edge.parent === id))
        removeUser(ctx, name, kind, id);
    }
  }
}

function isHeld(node: BlockNode, id: string): boolean {
  return (
    node.blockedBy.some(blocker => blocker.job === id) ||
    node.trackedBy.includes(id) ||
    node.frozenBy.includes(id) ||
    node.drainedBy.includes(id)
  );
}

/** What a job does at a moment that was agreed before; nothing when it is no longer that job. */
export function runTask(ctx: Context, { job: id, serial, pace, phase }: JobTask): void {
  const job = ctx.q.jobs.get(id);
  if (job === undefined || job.serial !== serial) return;
  switch (phase) {
    case 'work':
      if (job.pace !== pace) return;
      if (job.status === 'running' || job.status === 'ready') {
        if (job.cancelled === 'no' || job.status === 'ready') driverOf(job).work(ctx, job);
      }
      return;
    case 'pause':
      if (job.userPaused && job.status === 'running') enter(ctx, id, 'paused');
      else if (job.userPaused && job.status === 'ready') enter(ctx, id, 'standby');
      return;
    case 'resume':
      if (job.userPaused) return;
      wake(ctx, job);
      ctx.later(0, task(job, 'work'));
      return;
    case 'cancel':
      if (accepts(job.status, 'cancel')) {
        wake(ctx, job);
        abort(ctx, id);
      }
  }
}

/** A job that is paused is as it was before. */
export function wake(ctx: Context, job: Job): void {
  if (job.status === 'paused') enter(ctx, job.id, 'running');
  else if (job.status === 'standby') enter(ctx, job.id, 'ready');
}
