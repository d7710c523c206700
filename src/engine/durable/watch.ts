/**
 * Watches, for a saga that copies, that its disks stay where its journal says, and notes until when that was so: now and then,
 * and when the connection to QEMU ends. A recovery without QEMU tells by that an ordinary crash from a disk that a third party
 * switched while no process was there. It never decides or repairs anything; the steps find out for themselves.
 */

import { jobsOfPlan } from '../../guest/jobs-of-plan.ts';
import type { Journal, JournalRecord, Lease } from '../../journal/journal.ts';
import { ownRecords } from '../../journal/taken-over.ts';
import { hasMirrors, type Plan } from '../../plan/plan.ts';
import type { QmpEvent } from '../../qmp/client.ts';
import type { Clock } from '../../qmp/clock.ts';
import { type Stage, splitKey, stagesOf, UNDO } from '../../steps/stages.ts';
import type { Monitor } from '../connection/monitor.ts';
import type { Stages } from './stages.ts';
import { watched } from './watched.ts';

/** The first time between two notes; later it is a hundredth of the saga's age, so that a long one has not too many. */
export const WATCH_MS = 10_000;
const AGE_SHARE = 100;

interface WatchParts {
  readonly plan: Plan;
  readonly monitor: Monitor;
  readonly journal: Journal;
  readonly lease: Lease;
  readonly clock: Clock;
  /** What was there when this process began: it has not watched what happened before it. */
  readonly records: readonly JournalRecord[];
  readonly stages: Stages;
  /** Told of what a look or a note has failed with; the saga's own steps meet the same. */
  readonly failed: (error: unknown) => void;
}

export class Watch {
  readonly #parts: WatchParts;
  readonly #begunMs: number;
  readonly #mirrored: readonly Stage[];
  readonly #jobs: ReadonlySet<string>;
  /** Those that have been heard of: QEMU lets no device be set to what a job writes to. */
  readonly #begun = new Set<string>();
  #cancel: (() => void) | undefined;
  /** Whether it has looked, and so found each job at work if it is sure. */
  #looked = false;
  /** Whether nothing was heard since disks were known to be where the journal says that could have switched one. */
  #isSure: boolean;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#begunMs = parts.journal.saga(parts.lease.saga)?.createdAtMs ?? parts.clock.epochMs();
    const mirrored = stagesOf(parts.plan).filter(({ plan }) => hasMirrors(plan));
    this.#mirrored = mirrored;
    this.#jobs = new Set(mirrored.flatMap(({ plan }) => plan.disks.map(disk => disk.names.job)));
    this.#isSure = mirrored.length > 0 && ownRecords(parts.records).length === 0;
    if (mirrored.length > 0) this.#wait();
  }

  /** A job that leaves its work may switch a disk, even if a third party asked for that. */
  hear({ event, data }: QmpEvent): void {
    if (event === 'BLOCK_JOB_COMPLETED' || event === 'BLOCK_JOB_CANCELLED') this.#isSure = false;
    const isOurs = event === 'JOB_STATUS_CHANGE' && this.#jobs.has(String(data['id']));
    if (isOurs) this.#begun.add(String(data['id']));
    if (isOurs && LEAVES.has(String(data['status']))) this.#isSure = false;
  }

  /** The connection has ended, with QEMU or without it: until now all was seen. */
  lost(): void {
    if (this.#isSure && !this.#mayHaveBeenMoved()) this.#note(0);
    this.#isSure = false;
  }

  /** A third party can set a drive to an image that no job writes to yet, or any more: nothing tells of that. */
  #mayHaveBeenMoved(): boolean {
    const { journal, lease, plan } = this.#parts;
    const begun = journal.records(lease.saga).filter(({ kind }) => kind === 'intent');
    const steps = new Set(begun.map(({ step }) => splitKey(step).step));
    if ([...steps].some(step => step.startsWith(UNDO))) return true;
    const isHeard = this.#looked || [...this.#jobs].every(job => this.#begun.has(job));
    return steps.has('createImages') && !isHeard && plan.jobsVanishOnEnd === undefined;
  }

  end(): void {
    this.#cancel?.();
    this.#isSure = false;
  }

  get #everyMs(): number {
    return Math.max(WATCH_MS, (this.#parts.clock.epochMs() - this.#begunMs) / AGE_SHARE);
  }

  #wait(): void {
    this.#cancel = this.#parts.clock.after(this.#everyMs, () => {
      this.#wait();
      this.#look().catch(this.#parts.failed);
    });
  }

  async #look(): Promise<void> {
    const { stages, monitor } = this.#parts;
    // In the guest's pause it neither looks nor waits for a record.
    if (stages.isStill) return;
    const qmp = await monitor.client();
    this.#isSure = true;
    this.#looked = true;
    for (const { plan } of this.#mirrored) {
      const names = plan.disks.map(disk => disk.names.job);
      const rows = await jobsOfPlan(plan, qmp).list(names);
      if (!names.every(name => FOLLOWS.has(rows.get(name)?.status ?? ''))) this.#isSure = false;
    }
    if (this.#isSure && !stages.isStill) this.#note(this.#everyMs);
  }

  #note(nextMs: number): void {
    this.#parts.stages.note(watched(this.#parts.clock.epochMs(), nextMs)).catch(this.#parts.failed);
  }
}

/** A mirror that is at work has switched nothing. Nodes are not listed for that: some QEMUs die of it beside a stream. */
const FOLLOWS: ReadonlySet<string> = new Set(['running', 'ready', 'paused', 'standby']);
const LEAVES: ReadonlySet<string> = new Set(['waiting', 'pending', 'aborting', 'concluded', 'null']);
