/**
 * One block job as libvirt knows it, over one saga: whether it has started, is ready, is being ended, and how it ended.
 * It tells of each by an event. It never ends a saga by itself.
 */

import type { SagaResult } from '../engine/running/result.ts';
import type { Saga } from '../engine/running/saga.ts';
import { BlocksagaError } from '../errors.ts';
import type { GuestDisk } from '../operations/survey.ts';
import type { DiskPlan } from '../plan/plan.ts';
import { inLibvirtTerms, LibvirtError, ofRecord } from './errors.ts';
import type { BlockJobType } from './job-info.ts';

/** What has become of a block job, as libvirt's block job event tells it. */
export interface BlockJobEvent {
  readonly saga: string;
  /** The disk, as the call named it. */
  readonly disk: string;
  readonly type: BlockJobType;
  readonly status: 'READY' | 'COMPLETED' | 'FAILED' | 'CANCELED';
  /** Why it failed. */
  readonly error?: LibvirtError;
}

/** The kind of work: a block job, or a snapshot, which is none. */
export type WorkKind = BlockJobType | 'SNAPSHOT';

/** A job that was begun but came to nothing counts as begun: its end is told by an event. */
const FAILS_LATER: ReadonlySet<string> = new Set(['JOB_FAILED', 'JOB_VANISHED', 'ABORTED']);

export class BlockJob {
  readonly kind: WorkKind;
  readonly saga: Saga;
  /** Resolves when QEMU works on it, rejects when it came to nothing before that. */
  readonly started: Promise<void>;
  /** How it ended, also where that was a failure. */
  readonly ended: Promise<BlockJobEvent['status']>;
  isReady = false;
  /** `blockJobAbort` was called for it. */
  isEnding = false;

  constructor(kind: WorkKind, saga: Saga, tell: (event: BlockJobEvent) => void) {
    this.kind = kind;
    this.saga = saga;
    this.started = new Promise((resolve, reject) => {
      saga.subscribe(notice => notice.type === 'progress' && resolve());
      saga.result.then(
        result => {
          const failed = result.error !== null && !FAILS_LATER.has(result.error.code);
          if (failed && result.outcome !== 'committed') reject(failureOf(result));
          else resolve();
        },
        (error: unknown) => reject(inLibvirtTerms(error)),
      );
    });
    this.started.catch(() => undefined); // the call that began the job hears of it; a later owner need not
    const event = (status: BlockJobEvent['status'], error?: LibvirtError): BlockJobEvent['status'] => {
      if (kind !== 'SNAPSHOT') {
        const failure = error === undefined ? {} : { error };
        for (const { disk } of saga.plan.disks) tell({ saga: saga.id, disk, type: kind, status, ...failure });
      }
      return status;
    };
    saga.result.then(
      ({ outcome }) => {
        if (outcome !== 'ready') return;
        this.isReady = true;
        event('READY');
      },
      () => undefined, // `ended` tells of it
    );
    this.ended = saga.ended.then(
      result => {
        this.isReady = false;
        // A copy that stays beside the guest's disk is one that was not switched to, whatever QEMU calls its job's end.
        const isBeside = kind === 'COPY' && result.strategy === null;
        if (result.outcome === 'committed') return event(isBeside ? 'CANCELED' : 'COMPLETED');
        const asked = result.outcome === 'rolledBack' && (result.error?.code ?? 'ABORTED') === 'ABORTED';
        return asked ? event('CANCELED') : event('FAILED', failureOf(result));
      },
      (error: unknown) => {
        const inTerms = inLibvirtTerms(error);
        if (!(inTerms instanceof LibvirtError)) throw inTerms;
        return event('FAILED', inTerms);
      },
    );
  }

  /** Its part for this disk, by the device, since the node in front changes; undefined when it does not work on it. */
  partOf({ qdev, drive, node }: GuestDisk): DiskPlan | undefined {
    return this.saga.plan.disks.find(disk =>
      qdev === null && drive === '' ? disk.node === node : disk.qdev === qdev && disk.drive === drive,
    );
  }
}

/** The error of a saga that did not come to what was asked. */
export function failureOf({ error, saga, outcome }: SagaResult): LibvirtError {
  if (error !== null) return ofRecord(error);
  return new LibvirtError('OPERATION_FAILED', `the saga ${saga} ended as ${outcome}`, {
    cause: new BlocksagaError('ABORTED', 'the saga was asked to roll back', { saga }),
  });
}
