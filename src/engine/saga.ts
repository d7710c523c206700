/**
 * One saga that runs: a machine, its step hosts, and what people hear of it. It turns signals into journal records and
 * machine events, and the machine's end into a result.
 */
import { createActor, type InspectionEvent, type Observer } from 'xstate';
import { BlocksagaError, type ErrorRecord } from '../errors.ts';
import type { Asked, Journal, Lease } from '../journal/journal.ts';
import { machineNameOf } from '../machines/of-plan.ts';
import { jobActorId, type SagaContext } from '../machines/saga-parts.ts';
import type { QmpEvent } from '../qmp/client.ts';
import type { Clock } from '../qmp/clock.ts';
import type { Files } from '../steps/files.ts';
import type { Plan } from '../steps/plan.ts';
import type { JobProgress, StepContext } from '../steps/step.ts';
import { expectCurrent } from './current-snapshot.ts';
import { hasEnded } from './ended-saga.ts';
import { heard, SET_SPEED, setSpeed } from './history.ts';
import type { Monitor } from './monitor.ts';
import { hostIn, SEEN, UNSEEN } from './provided-machines.ts';
import { type Outcome, readResult, resultAsJson, type SagaResult } from './result.ts';
import { SIGNALS, type SignalName } from './signals.ts';
import { Stages } from './stages.ts';

/** What a listener hears: every state that is entered, and how far the block jobs are. */
export type SagaNotice =
  | { readonly type: 'event'; readonly saga: string; readonly event: 'entered'; readonly state: string }
  | ({ readonly type: 'progress'; readonly saga: string } & JobProgress);

/** What hears XState's own inspection events: a function or an observer, as `createActor` takes. */
export type Inspect = Observer<InspectionEvent> | ((event: InspectionEvent) => void);

/** A saga under way. */
export interface Saga {
  readonly id: string;
  readonly plan: Plan;
  /** Resolves at the end, or when it waits at `ready`. Rejects with JOURNAL, or VM_BUSY when another process has it. */
  readonly result: Promise<SagaResult>;
  /** Resolves at the end also where `result` was that it waits; it may end by itself then. Rejects as `result` does. */
  readonly ended: Promise<SagaResult>;
  /** Calls back for every state entered so far, then for every notice as it comes; returns what unsubscribes. */
  subscribe(listener: (notice: SagaNotice) => void): () => void;
  /** Lets a saga that waits at `ready` switch; resolves at its end. Throws SAGA_STATE when it has ended. */
  pivot(): Promise<SagaResult>;
  /**
   * Ends a copy that waits at `ready` without a switch: the copies are one consistent cut of all disks, and the guest stays
   * where it is. Resolves at its end. Throws SAGA_STATE when it has ended, is being switched, or is no copy that waits.
   */
  keepCopies(): Promise<SagaResult>;
  /**
   * Takes the mirrors of a snapshot away and keeps the snapshot, where nothing has been switched yet; resolves at its end.
   * Throws SAGA_STATE when it has ended, or is no snapshot with mirrors that has been taken.
   */
  keepSnapshot(): Promise<SagaResult>;
  /** Takes the saga back if its decision has not been taken; resolves at its end. Throws SAGA_STATE when it has ended. */
  abort(): Promise<SagaResult>;
  /**
   * Limits each of its jobs from now on, in bytes per second; 0 lifts the limit. It is kept in the journal for a resume.
   * Throws SAGA_STATE when nothing copies any more, or the guest stands still for the switch.
   */
  setSpeed(bytesPerSecond: number): Promise<void>;
}

/** What a saga is run with. */
export interface SagaParts {
  readonly plan: Plan;
  readonly monitor: Monitor;
  readonly journal: Journal;
  readonly lease: Lease;
  readonly files: Files | null;
  readonly clock: Clock;
  readonly openAgent: StepContext['openAgent'];
  readonly publish: StepContext['publish'];
  readonly inspect: Inspect | undefined;
  readonly onEnd: () => void;
}

export function runSaga(parts: SagaParts): Saga {
  return new RunningSaga(parts);
}

/**
 * The monitor of a saga of this process; undefined for one that runs elsewhere, or has ended. A monitor serves one client,
 * so whoever has a question asks through this one.
 */
export function monitorOfSaga(saga: Saga): Monitor | undefined {
  return saga instanceof RunningSaga ? saga.monitor : undefined;
}

class RunningSaga implements Saga {
  readonly id: string;
  readonly plan: Plan;
  readonly #parts: SagaParts;
  readonly #stages: Stages;
  readonly #listeners = new Set<(notice: SagaNotice) => void>();
  readonly #entered: SagaNotice[] = [];
  readonly #actor;
  readonly #ready = Promise.withResolvers<SagaResult>();
  readonly #finished = Promise.withResolvers<SagaResult>();
  readonly #progress = new Map<string, JobProgress>();
  #endListening = () => {};
  #state = '';
  #end: { readonly outcome: Outcome; readonly error: ErrorRecord | null } | undefined;
  /** Whether it was told to go on or back: it does not wait then. */
  #asked: boolean;

  constructor(parts: SagaParts) {
    this.id = parts.lease.saga;
    this.plan = parts.plan;
    this.#parts = parts;
    const records = parts.journal.records(this.id);
    this.#stages = new Stages({ ...parts, report: progress => this.#report(progress) });
    this.#asked = this.#stages.wasAsked;
    parts.monitor.listen(event => this.#hear(event));
    this.#finished.promise.then(this.#ready.resolve, this.#ready.reject);
    const machines = parts.inspect === undefined ? UNSEEN : SEEN;
    this.#actor = createActor(machines[machineNameOf(parts.plan)], {
      id: this.id,
      systemId: this.id,
      input: { plan: parts.plan },
      ...(parts.inspect === undefined ? {} : { inspect: parts.inspect }),
    });
    hostIn(this.#actor.system, this.#stages);
    this.#actor.subscribe({
      next: snapshot => this.#moved(snapshot.value, snapshot.context, snapshot.status === 'done'),
      error: error => this.#finished.reject(error),
    });
    this.#actor.start();
    this.#endListening = parts.journal.listen(this.id, records.at(-1)?.seq ?? 0, asked =>
      this.#hearAsked(asked),
    );
  }

  get monitor(): Monitor {
    return this.#parts.monitor;
  }

  get result(): Promise<SagaResult> {
    return this.#ready.promise;
  }

  get ended(): Promise<SagaResult> {
    return this.#finished.promise;
  }

  subscribe(listener: (notice: SagaNotice) => void): () => void {
    for (const notice of this.#entered) listener(notice);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  pivot(): Promise<SagaResult> {
    return this.#signal('pivot');
  }

  abort(): Promise<SagaResult> {
    return this.#signal('abort');
  }

  keepCopies(): Promise<SagaResult> {
    return this.#signal('keepCopies');
  }

  keepSnapshot(): Promise<SagaResult> {
    return this.#signal('keepSnapshot');
  }

  async setSpeed(bytesPerSecond: number): Promise<void> {
    if (this.#end !== undefined) throw hasEnded(this.id, this.#end.outcome, this.#end.error?.message ?? null);
    await this.#stages.setSpeed(bytesPerSecond);
    await this.#stages.note(setSpeed(bytesPerSecond));
  }

  /** Somebody in another process asks; what cannot be written here fails at the saga's next record, where it is told. */
  #hearAsked(asked: Asked): void {
    if (this.#end !== undefined) return;
    this.#heed(asked)
      .then(() => null, expectKnown)
      .then(error => this.#stages.note(heard(asked.seq, error)))
      .catch(expectKnown);
  }

  async #heed({ signal, value }: Asked): Promise<void> {
    if (signal === SET_SPEED) return this.#stages.setSpeed(Number(value));
    const known = SIGNALS.find(name => name === signal);
    if (known !== undefined) await this.#ask(known, () => Promise.resolve());
  }

  async #signal(signal: SignalName): Promise<SagaResult> {
    if (this.#end !== undefined) throw hasEnded(this.id, this.#end.outcome, this.#end.error?.message ?? null);
    const { journal, lease } = this.#parts;
    const record = { kind: 'signal', step: signal, body: null } as const;
    await this.#ask(signal, () => journal.append(lease, [record], { durable: true }));
    return this.#finished.promise;
  }

  /** `write` makes it durable, where it is not already. */
  async #ask(signal: SignalName, write: () => Promise<void>): Promise<void> {
    const records = this.#parts.journal.records(this.id);
    await expectCurrent({ id: this.id, plan: this.plan, records, signal }, () =>
      this.#parts.monitor.client(),
    );
    await this.#stages.ask(signal, write());
    this.#asked = true;
    this.#actor.send({ type: signal });
  }

  #moved(value: unknown, context: SagaContext, done: boolean): void {
    const state = pathOf(value);
    if (state === this.#state) return;
    this.#state = state;
    const entered = { type: 'event', saga: this.id, event: 'entered', state } as const;
    this.#entered.push(entered);
    this.#tell(entered);
    const error = context.failure ?? context.undoFailure;
    if (done)
      this.#finish(state as Outcome, error, context.kept).then(this.#finished.resolve, this.#finished.reject);
    else if (state === 'ready.awaitSignal' && !this.#asked)
      this.#read('ready', error, false).then(this.#ready.resolve, this.#ready.reject);
  }

  async #finish(outcome: Outcome, error: ErrorRecord | null, kept: boolean): Promise<SagaResult> {
    this.#end = { outcome, error };
    const { journal, lease, monitor } = this.#parts;
    try {
      const result = await this.#read(outcome, error, kept);
      if (result.outcome !== 'ready') await journal.end(lease, result.outcome, resultAsJson(result));
      return result;
    } finally {
      hostIn(this.#actor.system, undefined);
      this.#endListening();
      monitor.close();
      this.#parts.onEnd();
    }
  }

  #read(outcome: Outcome, error: ErrorRecord | null, kept: boolean): Promise<SagaResult> {
    return readResult({ id: this.id, kept, ...this.#parts }, outcome, error, this.#stages.blackoutMs);
  }

  #report(progress: JobProgress): void {
    this.#progress.set(progress.disk, progress);
    const { disk, status, currentBytes, totalBytes } = progress;
    const follower = this.#actor.getSnapshot().children[jobActorId(disk)];
    follower?.send({ type: `job.${status}`, currentBytes, totalBytes });
    this.#tell({ type: 'progress', saga: this.id, ...progress });
  }

  /** Between queries, QEMU's events keep the picture of each job fresh; nothing is decided on it. */
  #hear(event: QmpEvent): void {
    if (event.event === 'RESUME') this.#stages.guestRuns();
    if (event.event !== 'JOB_STATUS_CHANGE') return;
    for (const progress of this.#progress.values()) {
      if (
        progress.job === event.data.id &&
        progress.status !== event.data.status &&
        this.#end === undefined
      ) {
        this.#report({ ...progress, status: event.data.status });
      }
    }
  }

  #tell(notice: SagaNotice): void {
    for (const listener of this.#listeners) listener(notice);
  }
}

/** A misbehaving world as a record; a broken assumption crashes. */
function expectKnown(error: unknown): ErrorRecord {
  if (error instanceof BlocksagaError) return error.toJSON();
  throw error;
}

/** `{ switching: 'pauseGuest' }` as `switching.pauseGuest`. */
function pathOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([state, below]) => `${state}.${pathOf(below)}`)
    .join(',');
}
