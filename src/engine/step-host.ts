/**
 * Runs steps durably for one saga: the intent is written before the first byte is sent, the outcome before the machine
 * moves, the decision before the guest may write to the new side. An attempt that follows one with an unknown end
 * begins with a probe. It knows nothing of the order of steps; that is the machine's.
 */
import { BlocksagaError, invariant } from '../errors.ts';
import type { NewRecord } from '../journal/journal.ts';
import type { StepOutput } from '../machines/saga-parts.ts';
import type { QmpClient } from '../qmp/client.ts';
import { createJobs } from '../qmp/jobs.ts';
import type { Json } from '../qmp/transport.ts';
import { ALL_STEPS, GUEST_FIRST, type StepName } from '../steps/all-steps.ts';
import { expectMark } from '../steps/mark-qemu.ts';
import { inAnyCase, type Step, type StepContext } from '../steps/step.ts';
import { alongside } from './alongside.ts';
import { Fence } from './fence.ts';
import { decision, failedOutcome, intent, outcome, type PastStep, RESCUE, type Settled } from './history.ts';
import type { HostParts } from './host-parts.ts';
import { missing } from './missing.ts';
import { ANY, HASTY, type Judge, PATIENT, retry, STUBBORN, TRANSIENT } from './retry.ts';
import { recordSides } from './sides.ts';

export class StepHost {
  readonly #parts: HostParts;
  readonly #fence: Fence;
  readonly #signals = { abort: new AbortController(), pivot: new AbortController() };
  readonly #outcomes = new Map<string, Json>();
  readonly #observed = new Map<StepName, Json>();
  readonly #rounds = new Map<StepName, number>();
  #decision: 'forward' | 'back' | undefined;
  /** The connection on which QEMU was last known to be the one that the saga works in. */
  #known: QmpClient | undefined;
  #inWindow = false;
  /** Whether the guest was looked at since the saga came back into a window that an earlier life had opened. */
  #reentered = true;
  /** `unsure`: it ran when this life came back to its pause, which may not have come about before. */
  #guest: 'still' | 'ran' | 'unsure' = 'still';
  #windowOpenedMs = 0;
  /** The longest time that the guest stood still for a switch, or that a snapshot's transaction took; milliseconds. */
  blackoutMs: number | null = null;

  constructor(parts: HostParts) {
    this.#parts = parts;
    this.#fence = new Fence(parts);
    this.#decision = parts.history.decision;
    for (const signal of ['abort', 'pivot'] as const) {
      if (parts.history.asked[signal]) this.signal(signal);
    }
  }

  /** Tells the running step, and those to come, what the saga was asked; they look at their next safe point. */
  signal(signal: 'abort' | 'pivot'): void {
    this.#signals[signal].abort();
  }

  /**
   * QEMU says that the guest runs again. While the saga holds it that was somebody else, and what the guest writes from
   * now on may be on one side only; the saga's own `cont` comes when nothing hangs on this any more.
   */
  guestRuns(): void {
    if (!this.#inWindow) return;
    this.#guest = 'ran';
    // Whoever let it run wants it to run: it is the saga's now to let it run again.
    this.#outcomes.set('pauseGuest', { byUs: true });
  }

  /** Brings one step about, or gives back from the journal what it came to. */
  async run(name: StepName): Promise<StepOutput> {
    const step: Step = ALL_STEPS[name];
    this.#rounds.set(name, (this.#rounds.get(name) ?? 0) + 1);
    const past = this.#parts.history.take(name);
    const observed = past === undefined ? await this.#begin(name, step) : past.observed;
    this.#observed.set(name, observed);
    if (step.window === 'opens') this.#openWindow(past !== undefined);
    const settled = past?.settled ?? (await this.#settle(name, step, past));
    if (!settled.ok) throw BlocksagaError.fromRecord(settled.error);
    this.#outcomes.set(name, settled.value);
    if (step.window === 'closes') this.#closeWindow();
    return { abort: settled.abort };
  }

  /** Takes one step back, as often as it is asked. */
  async undo(name: StepName): Promise<StepOutput> {
    const step: Step = ALL_STEPS[name];
    invariant('undo' in step, `${name} has an undo, or the machine would not ask for it`);
    const key = `undo.${name}`;
    const past = this.#parts.history.take(key);
    if (past?.settled === undefined) {
      const observed = past === undefined ? await this.#beginUndo(name, step, key) : past.observed;
      await this.#recordFailure(key, () =>
        this.#retry(async () => {
          await this.#reenterWindow(step, (await this.#context(name)).qmp);
          const context = await this.#context(name);
          const seen = step.observeUndo === undefined ? context : { ...context, observed };
          await step.undo(seen, this.#outcomes.get(name));
        }, ANY),
      );
      if (step.decision !== undefined && this.#decision === 'forward') this.#decide(name, 'back');
      if (step.window === 'opens') this.#closeWindow();
      await this.#write([outcome(key, null, false)]);
    } else {
      if (!past.settled.ok) throw BlocksagaError.fromRecord(past.settled.error);
      if (step.window === 'opens') this.#closeWindow();
    }
    this.#outcomes.delete(name);
    this.#observed.delete(name);
    return { abort: false };
  }

  /** Lets the guest run and thaws it, whatever else is wrong; throws the first failure after having tried all. */
  async rescueGuest(): Promise<StepOutput> {
    this.#closeWindow();
    const failures: unknown[] = [];
    await this.#write([intent(RESCUE, null)]).catch(error => {
      if (!isUnwritten(error)) throw error;
      failures.push(error); // the guest is not to pay for a disk that is full
    });
    for (const [name, over] of GUEST_FIRST) {
      const step: Step = ALL_STEPS[name];
      if (!this.#observed.has(name) || this.#outcomes.has(over) || !('undo' in step)) continue;
      const attempt = async () => {
        const context = await this.#context(name);
        await inAnyCase(context.recordSides(), () => step.undo(context, this.#outcomes.get(name)));
      };
      await this.#retry(attempt, ANY).catch(error => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
    return { abort: false };
  }

  async #begin(name: StepName, step: Step): Promise<Json> {
    const observed =
      step.observe === undefined
        ? null
        : await this.#retry(async () => step.observe?.(await this.#context(name)) ?? null);
    const records = [intent(name, observed)];
    if (step.decision === 'before') records.push(decision(name, 'forward'));
    await this.#write(records);
    if (step.decision === 'before') this.#decision = 'forward';
    return observed;
  }

  /** Durable also while the guest stands still: a saga that has begun to go back must not go forward in its next life. */
  async #beginUndo(name: StepName, step: Extract<Step, { undo: unknown }>, key: string): Promise<Json> {
    const look = async () => step.observeUndo?.(await this.#context(name)) ?? null;
    const observed = step.observeUndo === undefined ? null : await this.#retry(look, ANY);
    const { journal, lease } = this.#parts;
    await journal.append(lease, [intent(key, observed)], { durable: true }).catch(error => {
      // A journal that cannot be written still says that nothing was decided: back is then true without a word of it.
      if (!isUnwritten(error) || !this.#inWindow || this.#decision === 'forward') throw error;
    });
    return observed;
  }

  async #settle(name: StepName, step: Step, past: PastStep | undefined): Promise<Settled> {
    const unknown = past !== undefined || (this.#parts.history.resumed && this.#inWindow);
    const value = await this.#recordFailure(name, () =>
      this.#deciding(name, step, decide =>
        this.#retry(
          async number => {
            const untouched = !unknown && number === 1;
            const context = await this.#context(name, untouched);
            await this.#reenterWindow(step, context.qmp);
            const todo = untouched ? context.plan.disks : await missing(step, context);
            if (this.#guest === 'unsure' && step.window === undefined) {
              this.#guest = todo.length === context.plan.disks.length ? 'still' : 'ran';
            }
            if (todo.length === 0) return (await step.adopt?.(context)) ?? null;
            const began = this.#parts.clock.now();
            const work = step.do(context, todo);
            if (step.decision === 'alongside') await alongside(work, decide);
            const settled = await work;
            if (step.stallsGuest) this.#measure(began);
            await step.verify?.(context);
            return settled;
          },
          this.#isPastReturn(step) ? ANY : TRANSIENT,
          step.insists ? STUBBORN : undefined,
        ),
      ),
    );
    if (step.window === 'closes') this.#closeWindow();
    const abort = this.#signals.abort.signal.aborted;
    await this.#write([outcome(name, value, abort)]);
    return { ok: true, value, abort };
  }

  /** Writes the decision when the step asks for it; `undo` revokes it when the step is taken back after all. */
  async #deciding(name: StepName, step: Step, act: (decide: () => void) => Promise<Json>): Promise<Json> {
    const decide = () => this.#decide(name, 'forward');
    const value = await act(decide);
    if (step.decision !== undefined && (step.decides?.(this.#parts.plan) ?? true)) decide();
    return value;
  }

  /** Where a failure strands the saga: these steps are not given up for one refusal. */
  #isPastReturn(step: Step): boolean {
    if (step.window === 'closes') return true;
    return this.#decision === 'forward' && (step.decision === undefined || 'irreversible' in step);
  }

  #decide(name: StepName, verdict: 'forward' | 'back'): void {
    const { journal, lease } = this.#parts;
    if (this.#decision === verdict) return;
    journal.appendSync(lease, [decision(name, verdict)]);
    this.#decision = verdict;
  }

  /** Runs `act`; what it throws is recorded as the outcome, with its place, before anybody hears of it. */
  async #recordFailure<T>(key: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof BlocksagaError)) throw error;
      const placed = error.at({ saga: this.#parts.lease.saga, step: key });
      await this.#write([failedOutcome(key, placed.toJSON())]);
      throw placed;
    }
  }

  #retry<T>(
    attempt: (number: number) => Promise<T>,
    isWorthIt: Judge = TRANSIENT,
    policy = this.#inWindow ? HASTY : PATIENT,
  ): Promise<T> {
    return retry(policy, this.#parts.clock, attempt, isWorthIt);
  }

  /** While the guest stands still nothing waits for the disk: those records ride with the decision or the end. */
  #write(records: readonly NewRecord[]): Promise<void> {
    return this.#parts.journal.append(this.#parts.lease, records, { durable: !this.#inWindow });
  }

  async #context(name: StepName, untouched = false): Promise<StepContext> {
    const { plan, monitor, files, clock, publish, report } = this.#parts;
    const qmp = this.#fence.client(await monitor.client());
    const marked = this.#outcomes.has('markQemu') && name !== 'markQemu' && name !== 'unmarkQemu';
    if (qmp !== this.#known && marked) await expectMark(qmp, plan);
    this.#known = qmp;
    return {
      plan,
      qmp,
      jobs: createJobs(qmp),
      files: files === null ? null : this.#fence.files(files),
      clock,
      abort: this.#signals.abort.signal,
      pivot: this.#signals.pivot.signal,
      guestStill: () => this.#guest === 'still',
      observed: this.#observed.get(name) ?? null,
      round: this.#rounds.get(name) ?? 1,
      untouched,
      decided: this.#decision === 'forward',
      outcomes: this.#outcomes,
      recordSides: () => recordSides(this.#parts, name, qmp),
      expectHeld: this.#fence.expectHeld,
      publish,
      report,
    };
  }

  /**
   * A saga that died between stopping the guest and letting it run goes on with a guest that stands still. Where
   * somebody has let it run, it is stopped again, and the steps are told: what it wrote may not be on the new side.
   * Where the pause itself has no known end, the step after it tells: nothing of it is there, so nothing was held.
   */
  async #reenterWindow(step: Step, qmp: QmpClient): Promise<void> {
    if (!this.#inWindow || this.#reentered) return;
    this.#reentered = true;
    const { running } = await qmp.execute('query-status');
    if (!running) return;
    this.#guest = step.window === 'opens' ? 'unsure' : 'ran';
    if (step.window !== undefined) return;
    await qmp.execute('stop');
    // Whoever let it run wants it to run: it is the saga's now to let it run again.
    this.#outcomes.set('pauseGuest', { byUs: true });
  }

  #openWindow(inEarlierLife: boolean): void {
    this.#inWindow = true;
    this.#reentered = !inEarlierLife;
    this.#guest = 'still';
    this.#windowOpenedMs = this.#parts.clock.now();
  }

  #closeWindow(): void {
    if (this.#inWindow) this.#measure(this.#windowOpenedMs);
    this.#inWindow = false;
  }

  #measure(sinceMs: number): void {
    this.blackoutMs = Math.max(this.blackoutMs ?? 0, this.#parts.clock.now() - sinceMs);
  }
}

/** Whether the journal is as it was because it cannot be written (a full disk), not because the saga is another's now. */
function isUnwritten(error: unknown): boolean {
  return error instanceof BlocksagaError && error.code === 'JOURNAL' && error.outcome === 'notApplied';
}
