/** The verbs for a saga's jobs, as the QEMU that its plan was made for knows them. Asks nothing. */

import type { DiskPlan, Plan } from '../plan/plan.ts';
import type { QmpClient } from '../qmp/client.ts';
import { createJobs, type Jobs } from '../qmp/jobs.ts';
import { createPassingJobs } from '../qmp/passing-jobs.ts';
import type { Graph } from './graph.ts';

/** Over one client; what was heard of jobs that pass is remembered with the connection. */
export function jobsOfPlan(plan: Plan, client: QmpClient): Jobs {
  const { jobsVanishOnEnd, capabilities, disks } = plan;
  if (jobsVanishOnEnd === undefined) return createJobs(client);
  const disksOfJobs = new Map(
    jobsVanishOnEnd === 'byId'
      ? []
      : disks.flatMap(({ names, drive }) => [names.job, names.undoJob].map(job => [job, drive] as const)),
  );
  return createPassingJobs(client, {
    nameOf: id => disksOfJobs.get(id) ?? id,
    forces: capabilities.includes('block-job-pause'),
  });
}

/** What QEMU calls the job of a disk. */
export function jobName({ jobsVanishOnEnd }: Plan, { names, drive }: DiskPlan): string {
  return jobsVanishOnEnd === 'byDisk' ? drive : names.job;
}

/** The argument that names a job; none where it is called by its disk. */
export function named({ jobsVanishOnEnd }: Plan, job: string): { readonly 'job-id'?: string } {
  return jobsVanishOnEnd === 'byDisk' ? {} : { 'job-id': job };
}

/** How a command calls a disk: by its drive, which every QEMU knows, or by the node in front of it. */
export function deviceOf({ drive }: DiskPlan, front: string): string {
  return drive === '' ? front : drive;
}

/** The root node above an image that a disk is on, which `block-commit` and `blockdev-mirror` want for their device. */
export function rootAbove({ filters }: Pick<DiskPlan, 'filters'>, image: string): string {
  return filters?.[0]?.node ?? image;
}

/** The same for an undo: the guest may be on some of the filters only by now, or on none. */
export function rootNow(graph: Pick<Graph, 'frontName'>, disk: DiskPlan, image: string): string {
  const front = graph.frontName(disk);
  return disk.filters?.find(({ node }) => node === front)?.node ?? image;
}

/** What a mirror puts its target in the place of: without it, of its device, which may be a filter of the user's. */
export function replacing({ filters }: DiskPlan, image: string): { readonly replaces?: string } {
  return filters === undefined ? {} : { replaces: image };
}
