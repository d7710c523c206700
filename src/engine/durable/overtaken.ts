/**
 * A step that switches disks while a third party resumes the guest: what the guest writes from then on may be on either
 * side of any disk, and the step itself hears of that late. So the sides are recorded at once, and again with each disk
 * that is switched. It neither stops the step nor decides.
 */
import type { StepName } from '../../steps/all-steps.ts';
import type { Step, StepContext } from '../../steps/step/step.ts';
import type { Decision } from './decision.ts';
import type { Pause } from './pause.ts';

export class Overtaken {
  readonly #decision: Decision;
  readonly #pause: Pause;
  readonly #context: (step: StepName) => Promise<StepContext>;
  /** The step at work, where it is one that decides. */
  #step: StepName | undefined;
  #telling = Promise.resolve();
  /** Whether the journal says of this step that the guest has run in front of it. */
  #isTold = false;
  /** What broke while the sides were written down; the step ends with it. */
  #broken: { readonly error: unknown } | undefined;

  constructor(decision: Decision, pause: Pause, context: (step: StepName) => Promise<StepContext>) {
    this.#decision = decision;
    this.#pause = pause;
    this.#context = context;
  }

  /** Runs what a step does, up to its decision. */
  async during<T>(name: StepName, { decision }: Step, act: () => Promise<T>): Promise<T> {
    this.#step = decision === undefined ? undefined : name;
    this.#isTold = false;
    try {
      const value = await act();
      if (this.#broken !== undefined) throw this.#broken.error;
      return value;
    } finally {
      this.#step = undefined;
    }
  }

  /** At once: the decision may be written already, and who goes on by it could not tell any more that the new images lack something. */
  #tellRanOnOld(): void {
    if (this.#isTold || !this.#pause.ofSteps.ranBeforeSwitch()) return;
    this.#isTold = true;
    try {
      this.#decision.recordRanOnOld();
    } catch (error) {
      this.#broken ??= { error };
    }
  }

  /** The guest runs, or a disk was switched. */
  changed(): void {
    const step = this.#step;
    if (step === undefined || !this.#pause.isOpen || this.#pause.pausedThroughout()) return;
    const decision = this.#decision;
    this.#tellRanOnOld();
    const { written } = decision;
    const isTrue = () => this.#step === step && decision.written === written;
    const client = async () => (await this.#context(step)).qmp;
    this.#telling = this.#telling
      .then(() => (isTrue() ? decision.tellSides(step, client, isTrue) : undefined))
      .catch(error => {
        this.#broken ??= { error };
      });
  }
}
