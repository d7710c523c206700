/**
 * One saga that runs: a machine, its step hosts, and what people hear of it. It turns signals into journal records and
 * machine events, and the machine's end into a result.
 */
import { createActor } from 'xstate';
import { BlocksagaError, type ErrorRecord } from '../../errors.ts';
import type { Files } from '../../images/files.ts';
import type { Asked, Journal, Lease } from '../../journal/journal.ts';
import { Crash } from '../../machines/error-of.ts';
import { jobActorId, type SagaOutput } from '../../machines/saga-setup.ts';
import type { Plan } from '../../plan/plan.ts';
import type { QmpEvent } from '../../qmp/client.ts';
import type { Clock } from '../../qmp/clock.ts';
import type { JobProgress, StepContext } from '../../steps/step/step.ts';
import { seize } from '../connection/fence.ts';
import { isolated, isolatedInspector, type OnListenerError, tellerOf } from '../connection/isolate.ts';
import type { Monitor } from '../connection/monitor.ts';
import { heard, SET_SPEED, setSpeed } from '../durable/history.ts';
import { SIGNALS, type SignalName } from '../durable/signals.ts';
import { Stages } from '../durable/stages.ts';
import { Watch } from '../durable/watch.ts';
import { expectCurrent } from './current-snapshot.ts';
import { hasEnded } from './has-ended.ts';
import { type HoldsGuest, seeToGuestOf } from './last-resort.ts';
import { hostIn, providedMachine } from './provided-machines.ts';
import { readAtEnd } from './read-at-end.ts';
import { crashedResult, type Outcome, readResult, resultAsJson, type SagaResult } from './result.ts';
import type { Inspect, Saga, SagaNotice } from './saga-types.ts';

export type { Inspect, Saga, SagaNotice } from './saga-types.ts';

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
  readonly onListenerError: OnListenerError | undefined;
  readonly onEnd: () => void;
}

export function runSaga(parts: SagaParts): Saga {
  return new RunningSaga(parts);
}

/**
 * The monitor of a saga of this process; undefined for one that runs elsewhere, or has ended. A monitor serves one
 * client, so every question goes through this one.
 */
export function monitorOfSaga(saga: Saga): Monitor | undefined {
  return saga instanceof RunningSaga ? saga.monitor : undefined;
}

class RunningSaga implements Saga, HoldsGuest {
  readonly id: string;
  readonly plan: Plan;
  readonly #parts: SagaParts;
  readonly #stages: Stages;
  readonly #watch: Watch;
  readonly #listeners = new Set<(notice: SagaNotice) => void>();
  readonly #entered: SagaNotice[] = [];
  readonly #actor;
  readonly #ready = Promise.withResolvers<SagaResult>();
  readonly #finished = Promise.withResolvers<SagaResult>();
  readonly #progress = new Map<string, JobProgress>();
  #endListening = () => {};
  readonly #forgetGuest: () => void;
  #state = '';
  #hasLeft = false;
  #end: { readonly outcome: Outcome; readonly error: ErrorRecord | null } | undefined;
  /** Whether it was asked to switch or to roll back: it does not wait then. */
  #asked: boolean;

  constructor(parts: SagaParts) {
    this.id = parts.lease.saga;
    this.plan = parts.plan;
    this.#parts = parts;
    const records = parts.journal.records(this.id);
    this.#stages = new Stages({ ...parts, report: progress => this.#report(progress) });
    this.#asked = this.#stages.wasAsked;
    this.#watch = new Watch({ ...parts, records, stages: this.#stages, failed: expectKnown });
    parts.monitor.listen(event => this.#hear(event));
    parts.monitor.onLost(() => this.#watch.lost());
    this.#finished.promise.then(this.#ready.resolve, this.#ready.reject);
    this.#actor = createActor(providedMachine(parts.plan, parts.inspect !== undefined), {
      id: this.id,
      systemId: this.id,
      input: { plan: parts.plan },
      ...(parts.inspect === undefined
        ? {}
        : { inspect: isolatedInspector(parts.inspect, this.#tellerOf('inspect')) }),
    });
    hostIn(this.#actor.system, this.#stages);
    this.#actor.subscribe({
      next: ({ value, output, context }) => this.#moved(value, output, context.failure),
      error: error =>
        this.#crash(error instanceof Crash ? error.cause : error).then(
          this.#finished.reject,
          this.#finished.reject,
        ),
    });
    this.#forgetGuest = seeToGuestOf(this);
    this.#actor.start();
    this.#endListening = parts.journal.listen(this.id, records.at(-1)?.seq ?? 0, asked =>
      this.#hearAsked(asked),
    );
  }

  get monitor(): Monitor {
    return this.#parts.monitor;
  }

  get holdsGuest(): boolean {
    return !this.#hasLeft && (this.#stages.isStill || this.#parts.monitor.held.isHeld);
  }

  async beginAgain(): Promise<HoldsGuest> {
    const { journal, clock, monitor, inspect: _, ...parts } = this.#parts;
    this.#forgetGuest();
    monitor.close();
    const lease = await seize(journal, this.id, true, clock);
    const again = new RunningSaga({
      ...parts,
      ...{ journal, clock, lease, monitor: monitor.again(), inspect: undefined },
    });
    // Its journal says whether it may still roll back; the guest is resumed either way.
    again.abort().catch(expectKnown);
    return again;
  }

  get result(): Promise<SagaResult> {
    return this.#ready.promise;
  }

  get ended(): Promise<SagaResult> {
    return this.#finished.promise;
  }

  subscribe(listener: (notice: SagaNotice) => void): () => void {
    const entry = isolated(listener, this.#tellerOf('subscribe'));
    for (const notice of this.#entered) entry(notice);
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
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

  /** A request of another process; what cannot be written here fails at the saga's next record, which reports it. */
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

  #moved(value: unknown, end: SagaOutput | undefined, failure: ErrorRecord | null): void {
    const state = pathOf(value);
    if (state === this.#state) return;
    this.#state = state;
    const entered = Object.freeze({ type: 'event', saga: this.id, event: 'entered', state } as const);
    this.#entered.push(entered);
    this.#tell(entered);
    if (end !== undefined) this.#finish(end).then(this.#finished.resolve, this.#finished.reject);
    else if (state === 'ready.awaitSignal' && !this.#asked)
      this.#read('ready', failure, false).then(this.#ready.resolve, this.#ready.reject);
  }

  async #finish({ outcome, failure, undoFailure, kept }: SagaOutput): Promise<SagaResult> {
    const error = failure ?? undoFailure;
    this.#end = { outcome, error };
    const { journal, lease } = this.#parts;
    try {
      const result = await readAtEnd(() => this.#read(outcome, error, kept), this.#stages);
      if (result.outcome !== 'ready') await journal.end(lease, result.outcome, resultAsJson(result));
      return result;
    } finally {
      this.#leave();
    }
  }

  /** A broken assumption of ours crashes, but not while the guest is paused for the saga. Returns that error. */
  async #crash(error: unknown): Promise<unknown> {
    const { journal, lease, plan } = this.#parts;
    const result = crashedResult(this.id, plan, error);
    this.#end = { outcome: 'needsRecovery', error: result.error };
    try {
      await this.#stages.rescueGuest();
      await journal.end(lease, 'needsRecovery', resultAsJson(result));
    } catch (next) {
      if (!(next instanceof BlocksagaError)) return new AggregateError([error, next], String(error));
    } finally {
      this.#leave();
    }
    return error;
  }

  #leave(): void {
    this.#hasLeft = true;
    this.#watch.end();
    hostIn(this.#actor.system, undefined);
    this.#endListening();
    this.#forgetGuest();
    this.#parts.monitor.close();
    this.#parts.onEnd();
  }

  #read(outcome: Outcome, error: ErrorRecord | null, kept: boolean): Promise<SagaResult> {
    return readResult({ id: this.id, kept, ...this.#parts }, outcome, error, this.#stages.blackoutMs);
  }

  #report(progress: JobProgress): void {
    this.#progress.set(progress.disk, progress);
    const { disk, status, currentBytes, totalBytes } = progress;
    const follower = this.#actor.getSnapshot().children[jobActorId(disk)];
    follower?.send({ type: `job.${status}`, currentBytes, totalBytes });
    this.#tell(Object.freeze({ type: 'progress', saga: this.id, ...progress }));
  }

  /** Between queries, QEMU's events keep the picture of each job fresh; nothing is decided on it. */
  #hear(event: QmpEvent): void {
    this.#watch.hear(event);
    if (event.event === 'RESUME' || event.event === 'WAKEUP') this.#stages.guestRuns();
    if (event.event === 'BLOCK_JOB_COMPLETED') this.#stages.diskChanged();
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

  #tellerOf(listener: 'subscribe' | 'inspect') {
    return tellerOf(this.#parts.onListenerError, { listener, saga: this.id });
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
