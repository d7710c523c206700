/**
 * Draws into the targets that are to stand on an image further down what lies between that image and the active one. Those
 * images do not change while the saga runs, so that a stream can take its time; a mirror of the active image alone follows.
 */
import { definedOnly } from '../../errors.ts';
import { readGraph } from '../../guest/graph.ts';
import { filledDisks } from '../../plan/filled-disks.ts';
import type { CopyPlan, DiskPlan } from '../../plan/plan.ts';
import type { Command } from '../../qmp/client.ts';
import type { JobInfo, JobTable } from '../../qmp/jobs.ts';
import { hasConcludedWell, isConcluded } from '../jobs/await-jobs.ts';
import { dismissJobs } from '../jobs/dismiss-jobs.ts';
import { jobAlive, jobFailed, limitedTo, runJobs } from '../jobs/run-jobs.ts';
import { throwFirst } from '../step/replies.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';
import { closeNode } from './close-images.ts';
import { openFormat } from './create-images.ts';

const REMOVE_DEADLINE_MS = 60_000;
const FINALIZE_DEADLINE_MS = 60_000;

export const streamIntoTargets: Step<CopyPlan> = {
  name: 'streamIntoTargets',
  withoutDevices: true,

  /** Jobs that are there are joined and dismissed; a target whose job is gone is filled again, which finds nothing to draw. */
  async probe({ plan }) {
    return probeDisks(filledDisks(plan), () => 'absent');
  },

  async do(context) {
    const { jobs, plan } = context;
    const disks = filledDisks(plan);
    const table = await jobs.list(disks.map(idOf));
    // An earlier attempt may have closed some when all jobs were gone; beside one that has ended QEMU is not asked for its nodes.
    if (!context.nothingSentYet && table.size === 0) await openOnBases(context, disks);
    const missing = disks.filter(disk => !table.has(idOf(disk)));
    await runJobs(context, missing, {
      what: 'all targets to hold what lies above their backing images',
      parallel: plan.parallel,
      disks,
      idOf,
      start: disk => startStream(plan, disk, context.speed(disk)),
      look: aliveOrDone,
      hasArrived: job => job.status === 'pending' || hasConcludedWell(job),
    });
    await finalizeAll(context, disks);
    await openAnew(context, disks);
    return null;
  },

  async undo({ jobs, plan }) {
    await jobs.remove(filledDisks(plan).map(idOf), { deadlineMs: REMOVE_DEADLINE_MS });
  },
};

/**
 * All at once, and dismissed right behind: QEMU 6.0 to 9.2 die when a client lists their nodes while an ended stream is
 * there, which is why none ends before the last is done.
 */
async function finalizeAll({ jobs }: StepContext<CopyPlan>, disks: readonly DiskPlan[]): Promise<void> {
  const table = await jobs.list(disks.map(idOf));
  const pending = disks.filter(disk => table.get(idOf(disk))?.status === 'pending');
  const replies = await jobs.finalize(pending.map(idOf));
  const ended = await jobs.awaitAll(disks.map(idOf), isConcluded, { deadlineMs: FINALIZE_DEADLINE_MS });
  await dismissJobs({ jobs }, [...ended.keys()]);
  throwFirst(pending, replies);
  for (const disk of disks) aliveOrDone(ended, disk);
}

function onBase(disk: DiskPlan): DiskPlan {
  const { openedOn: _, ...image } = disk.image;
  return { ...disk, image };
}

/** On what they stand on by then: a node that is opened anew has no writes, so that those of a guest will show. */
async function openAnew({ qmp }: StepContext<CopyPlan>, disks: readonly DiskPlan[]): Promise<void> {
  const graph = await readGraph(qmp);
  const open = disks.filter(({ names }) => graph.node(names.image) !== undefined);
  throwFirst(open, await qmp.pipeline(open.map(({ names }) => closeNode(names.image))));
  throwFirst(disks, await qmp.pipeline(disks.map(disk => openFormat(onBase(disk)))));
}

/** Those that are not open. */
async function openOnBases({ qmp }: StepContext<CopyPlan>, disks: readonly DiskPlan[]): Promise<void> {
  const graph = await readGraph(qmp);
  const closed = disks.filter(({ names }) => graph.node(names.image) === undefined);
  throwFirst(closed, await qmp.pipeline(closed.map(disk => openFormat(onBase(disk)))));
}

function idOf({ names }: DiskPlan): string {
  return names.fillJob;
}

function startStream(
  { capabilities }: CopyPlan,
  { names, image }: DiskPlan,
  speed: number,
): Command<'block-stream'> {
  return {
    execute: 'block-stream',
    arguments: {
      'job-id': names.fillJob,
      device: names.image,
      ...definedOnly({
        'base-node': image.backing?.node ?? undefined,
        'backing-file': image.backingName ?? image.backing?.file,
        // Where a raw image is open without a format node QEMU would call its format by the protocol.
        'backing-mask-protocol':
          image.backing?.driver === 'raw' && capabilities.includes('backing-mask-protocol')
            ? true
            : undefined,
      }),
      ...limitedTo(speed),
      'auto-finalize': false,
      'auto-dismiss': false,
    },
  };
}

function aliveOrDone(table: JobTable, disk: DiskPlan): JobInfo {
  const job = table.get(idOf(disk));
  if (job !== undefined && hasConcludedWell(job)) return job;
  if (job?.status === 'concluded') throw jobFailed(disk, job);
  return jobAlive(table, disk, idOf(disk));
}
