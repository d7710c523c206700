/**
 * When a saga decides: it has the decision written where a step says so, and replaced where that step is undone. In which
 * words the journal holds it, `Decision` knows.
 */

import { expectNotMigrating, lookAtGuest } from '../../guest/migration.ts';
import type { NewRecord } from '../../journal/journal.ts';
import { canUndoSnapshots } from '../../plan/can-undo-snapshots.ts';
import type { QmpClient } from '../../qmp/client.ts';
import type { Json } from '../../qmp/transport.ts';
import type { StepName } from '../../steps/all-steps.ts';
import type { Step, StepContext } from '../../steps/step/step.ts';
import type { Decision } from './decision.ts';
import { decision, sides } from './history.ts';
import type { HostParts } from './host-parts.ts';
import { inDoubt } from './missing.ts';
import type { Overtaken } from './overtaken.ts';
import type { Pause } from './pause.ts';

export class Decider {
  readonly #plan: HostParts['plan'];
  readonly #decision: Decision;
  readonly #pause: Pick<Pause, 'pausedThroughout'>;
  readonly #overtaken: Overtaken;
  readonly #outcomes: StepContext['outcomes'];

  constructor(
    plan: HostParts['plan'],
    decision: Decision,
    pause: Pick<Pause, 'pausedThroughout'>,
    overtaken: Overtaken,
    outcomes: StepContext['outcomes'],
  ) {
    this.#plan = plan;
    this.#decision = decision;
    this.#pause = pause;
    this.#overtaken = overtaken;
    this.#outcomes = outcomes;
  }

  /** Whether the saga decides at this step. */
  decidesAt(step: Step): boolean {
    return step.decision !== undefined && (step.decides?.(this.#plan, this.#outcomes) ?? true);
  }

  /** What is written with the intent of a step; `wereWritten` hears of it. */
  recordsWith(name: StepName, step: Step): readonly NewRecord[] {
    const all = this.#plan.disks.map(({ index }) => index);
    return [
      ...(step.decision === 'before' ? [decision(name, 'forward')] : []),
      ...(this.#isForetoldBy(step) ? [sides(name, all)] : []),
    ];
  }

  wereWritten(step: Step): void {
    if (this.#isForetoldBy(step)) this.#decision.wasForetold();
    if (step.decision === 'before') this.#decision.wasWritten('forward');
  }

  /** Runs what a step does, with its decision at the end, if none was written before. */
  async during(
    name: StepName,
    step: Step,
    qmp: () => Promise<QmpClient>,
    act: () => Promise<Json>,
  ): Promise<Json> {
    try {
      const value = await this.#overtaken.during(name, step, act);
      if (this.decidesAt(step)) await this.#decision.decide(name, 'forward');
      return value;
    } catch (error) {
      if (step.decision !== undefined && !this.#pause.pausedThroughout())
        await this.#decision.tellSides(name, qmp);
      if (step.decision === 'before' && 'irreversible' in step) inDoubt(error);
      throw error;
    }
  }

  /**
   * What a step comes to that is found done on all disks. The attempt that did it may not have come to its look for a migration, which was
   * begun beside it then: nothing is decided without one.
   */
  async adopt(step: Step, context: StepContext): Promise<Json> {
    const isLooked = this.#decision.isForward || !this.decidesAt(step) || step.rollsBack !== undefined;
    const isLeft = this.#plan.operation === 'snapshot' && !canUndoSnapshots(this.#plan);
    if (!isLooked && !isLeft) expectNotMigrating(await lookAtGuest(context.qmp), 'applied');
    return (await step.adopt?.(context)) ?? null;
  }

  /**
   * Waits for the commands of a step; where it decides alongside, the decision is written meanwhile. Where that fails the commands are
   * waited for before anything is undone. Where both fail, their reason counts: the undo goes by what has become of the disks.
   */
  async alongside(name: StepName, step: Step, work: Promise<Json>): Promise<Json> {
    if (step.decision !== 'alongside') return work;
    work.catch(() => undefined); // it is awaited below; until then a rejection is not an unhandled one
    try {
      await this.#decision.decide(name, 'forward');
    } catch (error) {
      await work;
      throw error;
    }
    return work;
  }

  /** The undo of a step that foretold where the guest writes resumes it: by then the journal says that it is on its old images. */
  async beforeUndo(name: StepName, step: Step): Promise<void> {
    if (this.#isForetoldBy(step) && this.#decision.isRevocable) await this.#decision.decide(name, 'back');
  }

  /** The disks are back: the saga has decided against what it decided at this step. */
  async afterUndo(name: StepName, step: Step): Promise<void> {
    if (step.decision !== undefined && this.#decision.isRevocable) await this.#decision.decide(name, 'back');
  }

  #isForetoldBy(step: Step): boolean {
    return step.foretells?.(this.#plan) === true;
  }
}
