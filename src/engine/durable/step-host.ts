/**
 * Runs steps durably for one saga: the intent is written before the first byte is sent, the outcome before the machine
 * moves, the decision before the guest may write to the new side. In the pause only that waits for the disk which no later
 * process could find out: the decision, that an undo has begun, that a third party had resumed the guest. An attempt that
 * follows one with an unknown end begins with a probe. The order of steps is the machine's.
 *
 * `Given` hands a step what it works with, `Decider` says when the saga decides, `Verdict` what the journal holds of that, `Window`
 * knows the pause, `Attempts` what is tried again and when not to start, `Insistence` for how long, `Overtaken` what a third party's
 * resume makes of a step, `history` what earlier processes recorded.
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
import { Decider } from './decider.ts';
import { Given } from './given.ts';
import {
  failedOutcome,
  intent,
  isSeen,
  outcome,
  type PastStep,
  REENTRY,
  RESCUE,
  type Settled,
} from './history.ts';
import type { HostParts } from './host-parts.ts';
import { Insistence } from './insistence.ts';
import { inDoubt, missing, notBegun } from './missing.ts';
import { Overtaken } from './overtaken.ts';
import { type Persistence, persistenceOf } from './persistence.ts';
import { isUnwritten, rescueGuest, SOON } from './rescue.ts';
import { SIGNALS, type SignalName, Signals } from './signals.ts';
import { Speed } from './speed.ts';
import { Verdict } from './verdict.ts';
import { Window } from './window.ts';

type ReversibleStep = Extract<Step, { undo: unknown }>;

export class StepHost {
  readonly #parts: HostParts;
  readonly #insistence: Insistence;
  readonly #signals = new Signals();
  readonly #verdict: Verdict;
  readonly #decider: Decider;
  readonly #given: Given;
  readonly #window: Window;
  readonly attempts: Attempts;
  readonly overtaken: Overtaken;
  readonly blackoutMs = (): number | null => this.#window.blackoutMs;
  readonly speed: Speed;
  /** Whether the step that was begun last is given back from the journal. */
  isReplaying = false;

  constructor(parts: HostParts) {
    this.#parts = parts;
    const bound = new PauseBound(parts.clock, parts.plan.maxBlackoutMs);
    this.#window = new Window(parts.clock, parts.plan.maxBlackoutMs);
    this.#insistence = new Insistence(parts.clock, this.#window, bound);
    this.#verdict = new Verdict(parts, this.#window);
    this.speed = new Speed(parts, this.#window, () => this.#verdict.isForward || this.#signals.abort.aborted);
    this.#given = new Given(parts, bound, {
      window: this.#window,
      verdict: this.#verdict,
      signals: this.#signals,
      speed: this.speed,
      recordRun: this.#recordRun,
    });
    this.overtaken = new Overtaken(this.#verdict, this.#window, this.#given.to);
    const { outcomes } = this.#given;
    this.#decider = new Decider(parts.plan, this.#verdict, this.#window, this.overtaken, outcomes);
    this.attempts = new Attempts(parts, this.#window, this.#verdict, this.#given, this.#given.to);
    for (const signal of SIGNALS) if (parts.history.asked[signal]) this.#signals.heard(signal);
  }

  /** Tells the running step and those to come, once it is written. */
  ask(signal: SignalName, written: Promise<void>): Promise<void> {
    return this.#signals.ask(signal, written);
  }

  /** QEMU says that the guest runs. In the saga's pause a third party has resumed it: at its end the guest has to run. */
  guestRuns(): void {
    if (this.#window.guestRuns())
      this.#given.outcomes.set('pauseGuest', ranInside(this.#given.outcomes.get('pauseGuest')));
  }

  /** Brings one step about, or gives back from the journal what it came to. */
  async run(name: StepName): Promise<StepOutput> {
    const step: Step = ALL_STEPS[name];
    this.#given.rounds.set(name, (this.#given.rounds.get(name) ?? 0) + 1);
    const past = this.#parts.history.take(name);
    this.isReplaying = past?.settled !== undefined;
    const decides = past?.settled === undefined && this.#decider.decidesAt(step);
    if (decides) await this.#signals.settled(this.#parts.clock, this.#window.within.withinMs);
    const leaves = await this.attempts.whyNotRun(name, step, past, this.#isAskedBack(step), decides);
    if (leaves !== undefined) await this.#failUnstarted(name, past, leaves);
    const observed = isSeen(past, step.observe) ? past.observed : await this.#begin(name, step);
    this.#given.observed.set(name, observed);
    if (step.pause === 'begins')
      this.#insistence.openWindow(past !== undefined, this.#parts.history.rescued, observed);
    const settled = past?.settled ?? (await this.#settle(name, step, past));
    if (past?.reheld) this.guestRuns(); // this outcome is older than that
    if (!settled.ok) {
      this.#given.failures.set(name, settled.error);
      throw BlocksagaError.fromRecord(settled.error);
    }
    if (!past?.reheld) this.#given.outcomes.set(name, settled.value);
    if (step.pause === 'ends') this.#window.close();
    return { abort: settled.abort, value: settled.value };
  }

  /** Undoes one step, as often as it is asked. */
  async undo(name: StepName): Promise<StepOutput> {
    const step: Step = ALL_STEPS[name];
    invariant('undo' in step, `${name} has an undo, or the machine would not ask for it`);
    const key = `undo.${name}`;
    const past = this.#parts.history.take(key);
    this.isReplaying = past?.settled !== undefined;
    const undone = past?.settled ?? (await this.#settleUndo(name, step, past));
    if (!undone.ok) throw BlocksagaError.fromRecord(undone.error);
    if (step.pause === 'begins') this.#window.close();
    this.#given.outcomes.set(key, undone.value);
    this.#given.outcomes.delete(name);
    this.#given.observed.delete(name);
    return { abort: false };
  }

  /** Resumes and thaws the guest, whatever else is wrong; throws the first failure after having tried all. */
  async rescueGuest(): Promise<StepOutput> {
    this.#window.close();
    await rescueGuest({
      decision: this.#verdict.known,
      outcomes: this.#given.outcomes,
      hasBegun: name => this.#given.observed.has(name),
      context: this.#given.to,
      insist: act => this.#insistence.retry(act, ANY),
      record: () => this.#parts.journal.append(this.#parts.lease, [intent(RESCUE, null)], SOON),
    });
    return { abort: false };
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
      const why = this.attempts.whyNotStart(name, step, undefined, this.#isAskedBack(step));
      if (why !== undefined) await this.#failUnstarted(name, undefined, why);
    }
    await this.#write([intent(name, observed), ...this.#decider.recordsWith(name, step)]);
    this.#decider.wereWritten(step);
    return observed;
  }

  async #settle(name: StepName, step: Step, past: PastStep | undefined): Promise<Settled> {
    const persistence = persistenceOf(step, this.#verdict.isPastReturn(step));
    const attempt = this.#attemptOf(name, step, past, persistence);
    const endsPause = step.pause === 'ends';
    const act = () => this.#insistence.retry(attempt, persistence.effect, persistence.policy, endsPause);
    const qmp = async () => (await this.#given.to(name)).qmp;
    const value = await this.#recordFailure(name, () => this.#decider.during(name, step, qmp, act));
    if (endsPause) this.#window.close();
    const abort = this.#signals.abort.aborted;
    await this.#write([outcome(name, value, abort)]);
    return { ok: true, value, abort };
  }

  /** Attempts to bring a step about; where something of it may be there, each begins with a probe. */
  #attemptOf(name: StepName, step: Step, past: PastStep | undefined, persistence: Persistence) {
    const mayBeThere = past !== undefined || this.#window.isResumed;
    const continues = () => this.#verdict.isForward || this.#verdict.isPastReturn(step);
    return this.attempts.of(name, { continues, mayBeThere }, async number => {
      const nothingSentYet = !mayBeThere && number === 1;
      const { context, todo } = await this.#look(name, step, nothingSentYet, persistence);
      this.#window.found(step, todo.length === context.plan.disks.length);
      if (todo.length === 0) return (await step.adopt?.(context)) ?? null;
      const began = this.#parts.clock.now();
      const value = await this.#decider.alongside(name, step, step.do(context, todo));
      if (step.pause === 'stalls') this.#window.measure(began);
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
      const context = await this.#given.to(name, nothingSentYet);
      await this.#window.reenter(step, context, this.#recordRun);
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
      await this.#window.reenter(step, await this.#given.to(name), this.#recordRun);
      const context = await this.#given.to(name, past === undefined && number === 1);
      const given = step.observeUndo === undefined ? {} : { observed };
      came = await step.undo({ ...context, ...given, unlinked }, this.#given.outcomes.get(name));
    });
    await this.#decider.beforeUndo(name, step);
    await this.#recordFailure(key, () => this.#insistence.beyondPause(attempt, () => this.#given.to(name)));
    await this.#decider.afterUndo(name, step);
    if (step.pause === 'begins') this.#window.close();
    const value = step.undone?.(observed, this.#given.outcomes.get(name), came) ?? null;
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
      const isBack = (this.#verdict.known ?? 'back') === 'back';
      if (!isUnwritten(error) || !this.#window.isOpen || !isBack) throw error;
    });
    return observed;
  }

  /** A look that fails is a failure of the step: recorded, so that a replay takes the same way. */
  async #observe(name: StepName, key: string, look: Step['observe']): Promise<Json> {
    if (look === undefined) return null;
    const judge = key !== name || this.#verdict.isPastReturn(ALL_STEPS[name]) ? ANY : TRANSIENT;
    const kind = { continues: () => judge === ANY, isUndoing: key !== name };
    const attempt = this.attempts.of(name, kind, async () => look(await this.#given.to(name)));
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
      this.#given.failures.set(key, placed.toJSON());
      await this.#write([...before, failedOutcome(key, placed.toJSON())]);
      throw placed;
    }
  }

  /** While the guest is paused nothing waits for the disk: those records ride with the decision or the end. */
  #write(records: readonly NewRecord[], durable = !this.#window.isOpen): Promise<void> {
    return this.#parts.journal.append(this.#parts.lease, records, { durable, ...this.#window.within });
  }

  /** The guest ran in the pause and was stopped again; this saga has to resume it, in this process or a later one. */
  readonly #recordRun = async (waits = true): Promise<void> => {
    await this.#write([intent(REENTRY, null)], waits || !this.#window.isOpen);
    this.guestRuns();
  };
}
