/** A block job as a QEMU process knows it: its status, what it does, and what has been asked of it. A value that is replaced whole. */
import type { Arguments } from './arguments.ts';

export type JobStatus =
  | 'undefined'
  | 'created'
  | 'running'
  | 'paused'
  | 'ready'
  | 'standby'
  | 'waiting'
  | 'pending'
  | 'aborting'
  | 'concluded'
  | 'null';

/** What a job does; the fields of its kind. */
export type JobWork =
  | {
      readonly kind: 'mirror';
      /** The node under the filter, the filter, the target, and the node that is replaced at the pivot. */
      readonly source: string;
      readonly filter: string;
      readonly target: string;
      readonly replaces: string | undefined;
      /** An active commit: the target is the base, the nodes between go. */
      readonly commit: boolean;
      readonly base: string | undefined;
      readonly baseWasReadOnly: boolean;
      readonly between: readonly string[];
      readonly writeBlocking: boolean;
      readonly granularity: number;
      /** drive-mirror opened the target itself and gives it this backing node at the pivot. */
      readonly backing: string | undefined;
      readonly opensTarget: boolean;
      readonly onTargetError: string;
      readonly onSourceError: string;
    }
  | {
      readonly kind: 'commit';
      readonly top: string;
      readonly base: string;
      readonly filter: string;
      readonly overlay: string;
      readonly between: readonly string[];
      readonly backingFile: string | undefined;
      readonly baseWasReadOnly: boolean;
      readonly overlayWasReadOnly: boolean;
    }
  | {
      readonly kind: 'stream';
      readonly node: string;
      readonly base: string | undefined;
      readonly between: readonly string[];
      readonly backingFile: string | undefined;
      readonly wasReadOnly: boolean;
    }
  | {
      readonly kind: 'backup';
      readonly source: string;
      readonly filter: string;
      readonly target: string;
      readonly sync: 'full' | 'top' | 'none' | 'bitmap';
      /** A bitmap of the source, and what becomes of it. */
      readonly bitmap:
        | { readonly name: string; readonly mode: 'on-success' | 'never' | 'always' }
        | undefined;
    }
  | { readonly kind: 'create'; readonly options: CreateOptions };

export interface CreateOptions {
  readonly driver: string;
  readonly filename: string | undefined;
  readonly file: string | undefined;
  readonly sizeBytes: number;
  readonly backingFile: string | undefined;
  readonly backingFormat: string | undefined;
  /** As they were given. */
  readonly given: Arguments;
}

export class Job {
  readonly id: string;
  readonly type: 'mirror' | 'commit' | 'stream' | 'backup' | 'create';
  readonly status: JobStatus;
  readonly work: JobWork;
  readonly speed: number;
  readonly autoFinalize: boolean;
  readonly autoDismiss: boolean;
  readonly userPaused: boolean;
  readonly ioStatus: 'ok' | 'failed' | 'nospace';
  readonly cancelled: 'no' | 'soft' | 'force';
  readonly completeAsked: boolean;
  readonly error: string | undefined;
  /** Of jobs that end all or none. */
  readonly group: string | undefined;
  /** Goes up when its speed changes: what it was to do later is due at another time then. */
  readonly pace: number;
  /** Tells one use of an id from the next. */
  readonly serial: number;

  constructor(fields: Omit<Job, 'with'>) {
    this.id = fields.id;
    this.type = fields.type;
    this.status = fields.status;
    this.work = fields.work;
    this.speed = fields.speed;
    this.autoFinalize = fields.autoFinalize;
    this.autoDismiss = fields.autoDismiss;
    this.userPaused = fields.userPaused;
    this.ioStatus = fields.ioStatus;
    this.cancelled = fields.cancelled;
    this.completeAsked = fields.completeAsked;
    this.error = fields.error;
    this.group = fields.group;
    this.pace = fields.pace;
    this.serial = fields.serial;
  }

  with(changes: Partial<Omit<Job, 'with'>>): Job {
    return Object.assign(new Job(this), changes);
  }
}
