/**
 * How far the job of each disk is: what was heard of it last, told to the machine's actor for the job, which an inspector sees, and
 * to those who listen to the saga. While the guest is paused that waits: its events come by the dozen then, and who only looks on is
 * told of them when it runs again. Nothing is decided on it.
 */
import type { AnyActorRef } from 'xstate';
import { jobActorId } from '../../machines/saga-setup.ts';
import type { QmpEvent } from '../../qmp/client.ts';
import type { JobProgress } from '../../steps/step/step.ts';
import type { Announcements } from './notices.ts';

/** More is not kept for later. */
const HELD_MAX = 1_000;

export class JobsProgress {
  readonly #last = new Map<string, JobProgress>();
  readonly #followers: () => Readonly<Record<string, AnyActorRef | undefined>>;
  readonly #announcements: Pick<Announcements, 'progress' | 'place'>;
  /** What has not been told yet, in its order. */
  readonly #held: JobProgress[] = [];

  constructor(
    followers: () => Readonly<Record<string, AnyActorRef | undefined>>,
    announcements: Pick<Announcements, 'progress' | 'place'>,
  ) {
    this.#followers = followers;
    this.#announcements = announcements;
  }

  get ofDisks(): readonly JobProgress[] {
    return [...this.#last.values()];
  }

  report(progress: JobProgress): void {
    this.#last.set(progress.disk, progress);
    this.#held.push(progress);
    if (!this.#announcements.place.guestPaused || this.#held.length >= HELD_MAX) this.tell();
  }

  /** Tells what has been heard since the guest was paused. */
  tell(): void {
    for (const progress of this.#held.splice(0)) this.#tellOne(progress);
  }

  #tellOne(progress: JobProgress): void {
    const { disk, status, currentBytes, totalBytes } = progress;
    const follower = this.#followers()[jobActorId(disk)];
    follower?.send({ type: `job.${status}`, currentBytes, totalBytes });
    this.#announcements.progress(progress);
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
