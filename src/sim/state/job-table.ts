/** QEMU's two tables of its block jobs (job.c: JobSTT, JobVerbTable), as the simulator's own copy of the law. */

import type { JobStatus } from './job.ts';

export type JobVerb =
  | 'cancel'
  | 'pause'
  | 'resume'
  | 'set-speed'
  | 'complete'
  | 'finalize'
  | 'dismiss'
  | 'change';

const NEXT: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  undefined: ['created'],
  created: ['running', 'aborting', 'null'],
  running: ['paused', 'ready', 'waiting', 'aborting'],
  paused: ['running'],
  ready: ['standby', 'waiting', 'aborting'],
  standby: ['ready'],
  waiting: ['pending', 'aborting'],
  pending: ['aborting', 'concluded'],
  aborting: ['aborting', 'concluded'],
  concluded: ['null'],
  null: [],
};

const EARLY: readonly JobStatus[] = ['created', 'running', 'paused', 'ready', 'standby'];

const ACCEPTS: Readonly<Record<JobVerb, readonly JobStatus[]>> = {
  cancel: [...EARLY, 'waiting', 'pending'],
  pause: EARLY,
  resume: EARLY,
  'set-speed': EARLY,
  change: EARLY,
  complete: ['ready', 'standby'],
  finalize: ['pending'],
  dismiss: ['concluded'],
};

export function mayFollow(from: JobStatus, to: JobStatus): boolean {
  return NEXT[from].includes(to);
}

export function accepts(status: JobStatus, verb: JobVerb): boolean {
  return ACCEPTS[verb].includes(status);
}
