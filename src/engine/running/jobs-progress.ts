/**
 * How far the job of each disk is: what was heard of it last, told to the machine's actor for the job, which an inspector sees, and
 * to those who listen to the saga. Nothing is decided on it.
 */
import type { AnyActorRef } from 'xstate';
import { jobActorId } from '../../machines/saga-setup.ts';
import type { QmpEvent } from '../../qmp/client.ts';
import type { JobProgress } from '../../steps/step/step.ts';

export class JobsProgress {
  readonly #last = new Map<string, JobProgress>();
  readonly #followers: () => Readonly<Record<string, AnyActorRef | undefined>>;
  readonly #announce: (progress: JobProgress) => void;

  constructor(
    followers: () => Readonly<Record<string, AnyActorRef | undefined>>,
    announce: (progress: JobProgress) => void,
  ) {
    this.#followers = followers;
    this.#announce = announce;
  }

  get ofDisks(): readonly JobProgress[] {
    return [...this.#last.values()];
  }

  report(progress: JobProgress): void {
    this.#last.set(progress.disk, progress);
    const { disk, status, currentBytes, totalBytes } = progress;
    const follower = this.#followers()[jobActorId(disk)];
    follower?.send({ type: `job.${status}`, currentBytes, totalBytes });
    this.#announce(progress);
  }

  /** Between queries, QEMU's events keep the picture of each job fresh. */
  hear(event: QmpEvent): void {
    if (event.event !== 'JOB_STATUS_CHANGE') return;
    for (const progress of this.#last.values()) {
      if (progress.job === event.data.id && progress.status !== event.data.status)
        this.report({ ...progress, status: event.data.status });
    }
  }
}
