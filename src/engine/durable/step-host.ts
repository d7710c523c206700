/**
 * Runs steps durably for one saga: the intent is written before the first byte is sent, the outcome before the machine
 * moves, the decision before the guest may write to the new side. In the pause only that waits for the disk which no later
 * process could find out: the decision, that an undo has begun, that a third party had resumed the guest. An attempt that
 * follows one with an unknown end begins with a probe. The order of steps is the machine's.
 *
 * Its parts know: `history` what earlier processes recorded, `Contexts` what each step works with, `Pause` the pause of the guest,
 * `Decision` what the journal holds of the decision, `Decider` when that is written, `Attempts` for which disks a step is tried and
 * whether it may start, `Insistence` how often, `Overtaken` the sides of the disks when a third party resumes the guest in a step.
 */
import { BlocksagaError, invariant } from '../../errors.ts';
import { ranInside } from '../../guest/hold-guest.ts';
import type { NewRecord } from '../../journal/journal.ts';
import type { StepOutput } from '../../machines/saga-setup.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import type { Json } from '../../qmp/transport.ts';
import { ALL_STEPS, type StepName } from '../../steps/all-steps.ts';
import type { Step, StepContext } from '../../steps/step/step.ts';
import { PauseBound } from '../connection/pause-bound.ts';
import { ANY, TRANSIENT } from '../connection/retry.ts';
import { Attempts, UNDO } from './attempts.ts';
import { Contexts } from './contexts.ts';
import { Decider } from './decider.ts';
import { Decision } from './decision.ts';
import { failedOutcome, intent, isSeen, outcome, type PastStep, REENTRY, type Settled } from './history.ts';
import type { HostParts } from './host-parts.ts';
import { Insistence } from './insistence.ts';
import { inDoubt, missing, notBegun } from './missing.ts';
import { Overtaken } from './overtaken.ts';
import { Pause } from './pause.ts';
import { type Persistence, persistenceOf } from './persistence.ts';
import { isUnwritten, rescueGuest, SOON } from './rescue.ts';
import { SIGNALS, type SignalName, Signals } from './signals.ts';
import { Speed } from './speed.ts';

type ReversibleStep = Extract<Step, { undo: unknown }>;

export class StepHost {
  readonly #parts: HostParts;
  readonly #insistence: Insistence;
  readonly #signals = new Signals();
  readonly #decision: Decision;
  readonly #decider: Decider;
  readonly #contexts: Contexts;
  readonly #pause: Pause;
  readonly attempts: Attempts;
  readonly overtaken: Overtaken;
  readonly blackoutMs = (): number | null => this.#pause.blackoutMs;
  readonly speed: Speed;
  /** Whether the step that was begun last is given back from the journal. */
  isReplaying = false;

  constructor(parts: HostParts) {
    this.#parts = parts;
    const bound = new PauseBound(parts.clock, parts.plan.maxBlackoutMs);
    this.#pause = new Pause(parts.clock, parts.plan.maxBlackoutMs);
    this.#insistence = new Insistence(parts.clock, this.#pause, bound);
    this.#decision = new Decision(parts, this.#pause);
    this.speed = new Speed(parts, this.#pause, () => this.#decision.isForward || this.#signals.abort.aborted);
    this.#contexts = new Contexts(parts, bound, {
      pause: this.#pause,
      decision: this.#decision,
      signals: this.#signals,
      speed: this.speed,
      recordRun: this.#recordRun,
    });
    this.overtaken = new Overtaken(this.#decision, this.#pause, this.#contexts.of);
    const { outcomes } = this.#contexts;
    this.#decider = new Decider(parts.plan, this.#decision, this.#pause, this.overtaken, outcomes);
    this.attempts = new Attempts(parts, this.#pause, this.#decision, this.#contexts, this.#contexts.of);
    for (const signal of SIGNALS) if (parts.history.asked[signal]) this.#signals.heard(signal);
  }

  /** Tells the running step and those to come, once it is written. */
  ask(signal: SignalName, written: Promise<void>): Promise<void> {
    return this.#signals.ask(signal, written);
  }

  /** QEMU says that the guest runs. In the saga's pause a third party has resumed it: at its end the guest has to run. */
  guestRuns(): void {
    this.#pause.guestRuns();
    this.#guestRan();
  }

  guestStops(): void {
    this.#pause.guestStops();
  }

  /** Brings one step about, or gives back from the journal what it came to. */
  async run(name: StepName): Promise<StepOutput> {
    const step: Step = ALL_STEPS[name];
    this.#contexts.rounds.set(name, (this.#contexts.rounds.get(name) ?? 0) + 1);
    const past = this.#takePast(name);
    await this.#expectToRun(name, step, past);
    const observed = isSeen(past, step.observe) ? past.observed : await this.#begin(name, step);
    this.#contexts.observed.set(name, observed);
    if (step.pause === 'begins') this.#insistence.openPause(past, this.#parts.history.rescued, observed);
    const settled = past?.settled ?? (await this.#settle(name, step, past));
    if (past?.reheld) this.#guestRan(); // this outcome is older than that
    if (!settled.ok) {
      this.#contexts.failures.set(name, settled.error);
      throw BlocksagaError.fromRecord(settled.error);
    }
    if (!past?.reheld) this.#contexts.outcomes.set(name, settled.value);
    if (step.pause === 'ends') this.#pause.close();
    return { abort: settled.abort, value: settled.value };
  }

  /** Undoes one step, as often as it is asked. */
  async undo(name: StepName): Promise<StepOutput> {
    const step: Step = ALL_STEPS[name];
    invariant('undo' in step, `${name} has an undo, or the machine would not ask for it`);
    const key = `undo.${name}`;
    const past = this.#takePast(key);
    const undone = past?.settled ?? (await this.#settleUndo(name, step, past));
    if (!undone.ok) throw BlocksagaError.fromRecord(undone.error);
    if (step.pause === 'begins') this.#pause.close();
    this.#contexts.outcomes.set(key, undone.value);
    this.#contexts.outcomes.delete(name);
    this.#contexts.observed.delete(name);
    return { abort: false };
  }

  /** Resumes and thaws the guest, whatever else is wrong; throws the first failure after having tried all. */
  async rescueGuest(): Promise<StepOutput> {
    this.#pause.close();
    await rescueGuest({
      decision: this.#decision.known,
      outcomes: this.#contexts.outcomes,
      hasBegun: name => this.#contexts.observed.has(name),
      context: this.#contexts.of,
      insist: act => this.#insistence.retry(act, ANY),
      record: what => this.#parts.journal.append(this.#parts.lease, [what], SOON),
    });
    return { abort: false };
  }

  /** What earlier processes recorded of the step, or undo, that comes next. */
  #takePast(key: string): PastStep | undefined {
    const past = this.#parts.history.take(key);
    this.isReplaying = past?.settled !== undefined;
    return past;
  }

  /** Throws where the saga rolls back instead of running this step. */
  async #expectToRun(name: StepName, step: Step, past: PastStep | undefined): Promise<void> {
    const decides = past?.settled === undefined && this.#decider.decidesAt(step);
    if (decides) await this.#signals.allWritten(this.#parts.clock, this.#pause.within.withinMs);
    const whyNot = await this.attempts.whyNotRun(name, step, past, this.#isAskedBack(step), decides);
    if (whyNot !== undefined) await this.#failUnstarted(name, past, whyNot);
  }

  /** Ends a step before it does anything in this process, for a replay to take the same way. */
  async #failUnstarted(name: StepName, past: PastStep | undefined, why: BlocksagaError): Promise<never> {
    const error = why.at({ saga: this.#parts.lease.saga, step: name });
    await this.#write([...(past ? [] : [intent(name, null)]), failedOutcome(name, error.toJSON())]);
    throw error;
  }

  /** Whether a step would decide against what the saga was asked. */
  #isAskedBack(step: Step): boolean {
    return this.#signals.abort.aborted && this.#decider.decidesAt(step);
  }

  async #begin(name: StepName, step: Step): Promise<Json> {
    const observed = await this.#observe(name, name, step.observe);
    if (step.decision === 'before') {
      // Asked once more: the look took time.
      const whyNot = this.attempts.whyNotStart(name, step, undefined, this.#isAskedBack(step));
      if (whyNot !== undefined) await this.#failUnstarted(name, undefined, whyNot);
    }
    await this.#write([intent(name, observed), ...this.#decider.recordsWith(name, step)]);
    this.#decider.wereWritten(step);
    return observed;
  }

  async #settle(name: StepName, step: Step, past: PastStep | undefined): Promise<Settled> {
    const persistence = persistenceOf(step, this.#decision.isPastReturn(step));
    const attempt = this.#attemptOf(name, step, past, persistence);
    const endsPause = step.pause === 'ends';
    const act = () => this.#insistence.retry(attempt, persistence.effect, persistence.policy, endsPause);
    const qmp = async () => (await this.#contexts.of(name)).qmp;
    const value = await this.#recordFailure(name, () => this.#decider.during(name, step, qmp, act));
    if (endsPause) this.#pause.close();
    const abort = this.#signals.abort.aborted;
    await this.#write([outcome(name, value, abort)]);
    return { ok: true, value, abort };
  }

  /** Attempts to bring a step about; where something of it may be there, each begins with a probe. */
  #attemptOf(name: StepName, step: Step, past: PastStep | undefined, persistence: Persistence) {
    const mayBeThere = past !== undefined || this.#pause.isResumed;
    const continues = () => this.#decision.isForward || this.#decision.isPastReturn(step);
    return this.attempts.of(name, { continues, mayBeThere }, async number => {
      const nothingSentYet = !mayBeThere && number === 1;
      const { context, todo } = await this.#look(name, step, nothingSentYet, persistence);
      this.#pause.found(step, todo.length === context.plan.disks.length);
      if (todo.length === 0) return this.#decider.adopt(step, context);
      const began = this.#parts.clock.now();
      const value = await this.#decider.alongside(name, step, step.do(context, todo));
      if (step.pause === 'stalls') this.#pause.measure(began);
      await step.verify?.(context).catch(inDoubt);
      return value;
    });
  }

  /** What is left to do of a step. */
  async #look(
    name: StepName,
    step: Step,
    nothingSentYet: boolean,
    { firstLook, lookInDoubt }: Persistence,
  ): Promise<{ readonly context: StepContext; readonly todo: readonly DiskPlan[] }> {
    const look = async () => {
      const context = await this.#contexts.of(name, nothingSentYet);
      await this.#pause.reenter(step, context, this.#recordRun);
      return { context, todo: nothingSentYet ? context.plan.disks : await missing(step, context) };
    };
    if (!nothingSentYet) return this.#insistence.retry(look, lookInDoubt).catch(inDoubt);
    return firstLook === null ? look() : this.#insistence.retry(look, firstLook);
  }

  async #settleUndo(name: StepName, step: ReversibleStep, past: PastStep | undefined): Promise<Settled> {
    const key = `undo.${name}`;
    const observed = isSeen(past, step.observeUndo) ? past.observed : await this.#beginUndo(name, step, key);
    const unlinked = past === undefined ? new Set<string>() : null;
    let came: unknown;
    const attempt = this.attempts.of(name, UNDO, async number => {
      await this.#pause.reenter(step, await this.#contexts.of(name), this.#recordRun);
      const context = await this.#contexts.of(name, past === undefined && number === 1);
      const given = step.observeUndo === undefined ? {} : { observed };
      came = await step.undo({ ...context, ...given, unlinked }, this.#contexts.outcomes.get(name));
    });
    await this.#decider.beforeUndo(name, step);
    await this.#recordFailure(key, () =>
      this.#insistence.beyondPause(attempt, () => this.#contexts.of(name)),
    );
    await this.#decider.afterUndo(name, step);
    if (step.pause === 'begins') this.#pause.close();
    const value = step.undone?.(observed, this.#contexts.outcomes.get(name), came) ?? null;
    await this.#write([outcome(key, value, false)]);
    return { ok: true, value, abort: false };
  }

  /**
   * Durable even while the guest is paused: a saga that has begun to roll back must not roll forward in its next
   * process.
   */
  async #beginUndo(name: StepName, step: ReversibleStep, key: string): Promise<Json> {
    const observed = await this.#observe(name, key, step.observeUndo);
    await this.#write([intent(key, observed)], true).catch(error => {
      // A journal that cannot be written must not keep the guest paused. With no decision on disk a later process probes
      // each step of the pause: it rolls back where this undo took away what the next step needs, and may roll forward else.
      const isBack = (this.#decision.known ?? 'back') === 'back';
      if (!isUnwritten(error) || !this.#pause.isOpen || !isBack) throw error;
    });
    return observed;
  }

  /** A look that fails is a failure of the step: recorded, so that a replay takes the same way. */
  async #observe(name: StepName, key: string, look: Step['observe']): Promise<Json> {
    if (look === undefined) return null;
    const judge = key !== name || this.#decision.isPastReturn(ALL_STEPS[name]) ? ANY : TRANSIENT;
    const kind = { continues: () => judge === ANY, isUndoing: key !== name };
    const attempt = this.attempts.of(name, kind, async () => look(await this.#contexts.of(name)));
    const act = () => this.#insistence.retry(attempt, judge);
    const looked = () => (key === name ? act().catch(notBegun) : act());
    return this.#recordFailure(key, looked, [intent(key, null)]);
  }

  /** Runs `act`; what it throws is recorded as the outcome, with its place, before it is thrown on. */
  async #recordFailure<T>(key: string, act: () => Promise<T>, before: readonly NewRecord[] = []): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof BlocksagaError)) throw error;
      const placed = error.at({ saga: this.#parts.lease.saga, step: key });
      this.#contexts.failures.set(key, placed.toJSON());
      await this.#write([...before, failedOutcome(key, placed.toJSON())]);
      throw placed;
    }
  }

  /** While the guest is paused nothing waits for the disk: those records ride with the decision or the end. */
  #write(records: readonly NewRecord[], durable = !this.#pause.isOpen): Promise<void> {
    return this.#parts.journal.append(this.#parts.lease, records, { durable, ...this.#pause.within });
  }

  /** The guest ran in the pause and was stopped again; this saga has to resume it, in this process or a later one. */
  readonly #recordRun = async (waits = true): Promise<void> => {
    await this.#write([intent(REENTRY, null)], waits || !this.#pause.isOpen);
    this.#guestRan();
  };

  #guestRan(): void {
    if (this.#pause.guestRan())
      this.#contexts.outcomes.set('pauseGuest', ranInside(this.#contexts.outcomes.get('pauseGuest')));
  }
}
