/**
 * One saga that runs: a machine, its step hosts, and what people hear of it. It turns signals into journal records and
 * machine events, and the machine's end into a result.
 */
import type { SnapshotFrom } from 'xstate';
import { BlocksagaError, definedOnly, type ErrorRecord } from '../../errors.ts';
import { useLease } from '../../journal/in-use.ts';
import type { Lease } from '../../journal/journal.ts';
import { Crash } from '../../machines/error-of.ts';
import type { SagaMachine, SagaOutput } from '../../machines/saga-setup.ts';
import type { Plan } from '../../plan/plan.ts';
import type { QmpEvent } from '../../qmp/client.ts';
import type { JobProgress } from '../../steps/step/step.ts';
import { seize } from '../connection/fence.ts';
import { isolatedInspector, tellerOf } from '../connection/isolate.ts';
import type { Monitor } from '../connection/monitor.ts';
import { Counted } from '../durable/counted.ts';
import { detached, Leash } from '../durable/leash.ts';
import { lookAtDevices } from '../durable/seen-on.ts';
import { Stages } from '../durable/stages.ts';
import { Watch } from '../durable/watch.ts';
import { Asking, expectKnown } from './asking.ts';
import { bothFailures } from './both-failures.ts';
import { JobsProgress } from './jobs-progress.ts';
import { type HoldsGuest, seeToGuestOf } from './last-resort.ts';
import { Announcements } from './notices.ts';
import { createSagaActor, hostIn } from './provided-machines.ts';
import { readAtEnd } from './read-at-end.ts';
import { crashedResult, type Outcome, readResult, resultAsJson, type SagaResult } from './result.ts';
import { mayBeLeft, noticesOf, untilOf } from './saga-face.ts';
import type { SagaParts as Parts } from './saga-parts.ts';
import type { Metadata, Saga, SagaNotice } from './saga-types.ts';
import { traceWire } from './trace-wire.ts';

export type { Inspect, Saga, SagaNotice } from './saga-types.ts';

export type SagaParts = Parts<RunningSaga>;

export type { RunningSaga };

export function runSaga(parts: SagaParts): RunningSaga {
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
  readonly vm: string;
  readonly operation: string;
  readonly metadata: Metadata | undefined;
  readonly plan: Plan;
  readonly #parts: Omit<SagaParts, 'journal'> & { readonly journal: Leash };
  readonly #stages: Stages;
  readonly #watch: Watch;
  readonly #announcements: Announcements;
  readonly #leash: Leash;
  readonly #endUse: () => void;
  readonly #actor;
  readonly #ready = Promise.withResolvers<SagaResult>();
  readonly #finished = Promise.withResolvers<SagaResult>();
  readonly result = mayBeLeft(this.#ready.promise);
  readonly ended = mayBeLeft(this.#finished.promise, () => !this.#wasReady);
  readonly #progress: JobsProgress;
  #endListening = () => {};
  readonly #forgetGuest: () => void;
  #hasLeft = false;
  /** `result` has said that it waits: only `ended` tells what comes of it. */
  #wasReady = false;
  #end: { readonly outcome: Outcome; readonly error: ErrorRecord | null } | undefined;
  readonly #asking: Asking;

  constructor(given: SagaParts) {
    const records = given.journal.records(given.lease.saga);
    const counted = new Counted(records);
    const leash = new Leash(given.journal, counted);
    const parts = { ...given, journal: leash };
    this.id = parts.lease.saga;
    this.vm = parts.lease.vm;
    this.operation = parts.plan.operation;
    this.metadata = parts.metadata;
    this.plan = parts.plan;
    this.#parts = parts;
    this.#leash = leash;
    const { id: saga, vm, metadata } = this;
    this.#announcements = new Announcements({ saga, vm, ...definedOnly({ metadata }) }, parts);
    this.#endUse = useLease(parts.lease);
    this.#progress = new JobsProgress(() => this.#actor.getSnapshot().children, this.#announcements);
    this.#stages = new Stages({ ...parts, counted, report: progress => this.#progress.report(progress) });
    this.#watch = new Watch({ ...parts, records, stages: this.#stages, failed: expectKnown });
    parts.monitor.listen(event => this.#hear(event));
    traceWire(this.id, parts, () => this.#announcements.place.state);
    parts.monitor.onLost(() => this.#watch.lost());
    this.#finished.promise.then(this.#ready.resolve, this.#ready.reject);
    const tell = tellerOf(parts.onListenerError, { listener: 'inspect', saga });
    const inspect = parts.inspect && isolatedInspector(parts.inspect, tell);
    this.#actor = createSagaActor(saga, parts.plan, this.#stages, inspect);
    this.#asking = new Asking({
      ...parts,
      stages: this.#stages,
      end: () => this.#end,
      // A machine that has just ended takes no more; who asks is answered by its end.
      send: type => {
        if (this.#actor.getSnapshot().status === 'active') this.#actor.send({ type });
      },
    });
    this.#actor.subscribe({
      next: snapshot => this.#moved(snapshot),
      error: error =>
        this.#crash(error instanceof Crash ? error.cause : error).then(
          this.#finished.reject,
          this.#finished.reject,
        ),
    });
    this.#forgetGuest = seeToGuestOf(this);
    this.#actor.start();
    this.#endListening = parts.journal.listen(this.id, records.at(-1)?.seq ?? 0, asked =>
      this.#asking.hear(asked),
    );
  }

  get monitor(): Monitor {
    return this.#parts.monitor;
  }

  get holdsGuest(): boolean {
    return !this.#hasLeft && (this.#stages.isStill || this.#parts.monitor.held.isHeld);
  }

  async beginAgain(): Promise<HoldsGuest> {
    const { journal: leash, clock, monitor, inspect: _, ...parts } = this.#parts;
    const journal = leash.inner;
    this.#forgetGuest();
    this.#stages.leaveGroup();
    monitor.close();
    const lease = await seize(journal, this.id, true, clock);
    const again = new RunningSaga({
      ...parts,
      ...{ journal, clock, lease, monitor: monitor.again(), inspect: undefined },
      barrier: parts.lateBarrier,
    });
    parts.onAgain(again);
    // Its journal says whether it may still roll back; the guest is resumed either way.
    again.abort().catch(expectKnown);
    return again;
  }

  detach(): boolean {
    if (this.#hasLeft) return true;
    if (this.holdsGuest || this.#end !== undefined) return false;
    this.#leash.cut();
    this.#parts.monitor.held.cut();
    this.#actor.stop();
    this.#leave();
    this.#finished.reject(detached(this.id));
    return true;
  }

  get lease(): Lease {
    return this.#parts.lease;
  }

  /** How far each disk's job is. */
  get progress(): readonly JobProgress[] {
    return this.#progress.ofDisks;
  }

  /** Whether it waits for a signal. */
  get isWaiting(): boolean {
    return this.#announcements.place.state.split('.').at(-1) === 'awaitSignal';
  }

  until(what: 'ready' | 'ended'): Promise<SagaResult> {
    return untilOf(this, what);
  }

  [Symbol.asyncIterator](): AsyncIterator<SagaNotice> {
    return noticesOf(this);
  }

  subscribe(listener: (notice: SagaNotice) => void): () => void {
    return this.#announcements.subscribe(listener);
  }

  async pivot(): Promise<SagaResult> {
    await this.#asking.signal('pivot');
    return this.#finished.promise;
  }

  async abort(): Promise<SagaResult> {
    await this.#asking.signal('abort');
    return this.#finished.promise;
  }

  async keepCopies(): Promise<SagaResult> {
    await this.#asking.signal('keepCopies');
    return this.#finished.promise;
  }

  async keepSnapshot(): Promise<SagaResult> {
    await this.#asking.signal('keepSnapshot');
    return this.#finished.promise;
  }

  setSpeed(bytesPerSecond: number): Promise<void> {
    return this.#asking.setSpeed(bytesPerSecond);
  }

  #moved(snapshot: SnapshotFrom<SagaMachine>): void {
    const { output: end, context } = snapshot;
    const state = pathOf(snapshot.value);
    if (state === this.#announcements.place.state) return;
    const replayed = end === undefined && this.#stages.isReplaying;
    const guestPaused = snapshot.hasTag('guestPaused');
    this.#announcements.entered({ state, guestPaused, replayed });
    if (!guestPaused) this.#progress.tell();
    if (end !== undefined) this.#finish(end).then(this.#finished.resolve, this.#finished.reject);
    else if (state === 'ready.awaitSignal' && !this.#asking.wasAsked)
      this.#read('ready', context.failure, false).then(result => {
        this.#wasReady = true;
        this.#ready.resolve(result);
      }, this.#ready.reject);
  }

  async #finish({ outcome, failure, undoFailure, kept }: SagaOutput): Promise<SagaResult> {
    const error = bothFailures(failure, undoFailure);
    this.#end = { outcome, error };
    const { journal, lease } = this.#parts;
    try {
      const result = await readAtEnd(() => this.#read(outcome, error, kept), this.#stages);
      if (result.outcome === 'needsRecovery') await this.#noteImages();
      if (result.outcome !== 'ready') await journal.end(lease, result.outcome, resultAsJson(result));
      return result;
    } finally {
      this.#leave();
    }
  }

  /** A recovery without QEMU is told which images the guest is on. Where QEMU cannot be asked any more it asks the images alone. */
  async #noteImages(): Promise<void> {
    const look = async () => this.#stages.note(await lookAtDevices(await this.#parts.monitor.client()));
    await look().catch(expectKnown);
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
    this.#stages.leaveGroup();
    this.#endUse();
    this.#watch.end();
    hostIn(this.#actor.system, undefined);
    this.#endListening();
    this.#forgetGuest();
    this.#parts.monitor.close();
    this.#parts.onEnd(this);
  }

  #read(outcome: Outcome, error: ErrorRecord | null, kept: boolean): Promise<SagaResult> {
    return readResult({ id: this.id, kept, ...this.#parts }, outcome, error, this.#stages.blackoutMs);
  }

  #hear(event: QmpEvent): void {
    this.#watch.hear(event);
    if (event.event === 'RESUME' || event.event === 'WAKEUP') this.#stages.guestRuns();
    if (event.event === 'STOP') this.#stages.guestStops();
    if (event.event === 'BLOCK_JOB_COMPLETED') this.#stages.diskChanged();
    if (this.#end === undefined) this.#progress.hear(event);
  }
}

/** `{ switching: 'pauseGuest' }` as `switching.pauseGuest`. */
function pathOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([state, below]) => `${state}.${pathOf(below)}`)
    .join(',');
}
