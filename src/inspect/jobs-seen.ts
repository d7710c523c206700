/** A block job as QEMU tells it now. Types only; also for browsers. */

export interface JobSeen {
  readonly job: string;
  readonly status: string;
  readonly currentBytes: number;
  readonly totalBytes: number;
}

/** What QEMU says, or why it cannot be asked. */
export interface JobsSeen {
  readonly jobs: readonly JobSeen[];
  readonly trouble: string | null;
  /** When it was asked: the rates are by that. */
  readonly atMs: number;
}
