/**
 * A step that switches disks while a third party resumes the guest: what the guest writes from then on may be on either
 * side of any disk, and the step itself hears of that late. So the sides are recorded at once, and again with each disk
 * that is switched. It neither stops the step nor decides.
 */
import type { StepName } from '../../steps/all-steps.ts';
import type { Step, StepContext } from '../../steps/step/step.ts';
import type { Verdict } from './verdict.ts';
import type { Window } from './window.ts';

export class Overtaken {
  readonly #verdict: Verdict;
  readonly #window: Window;
  readonly #context: (step: StepName) => Promise<StepContext>;
  /** The step at work, where it is one that decides. */
  #step: StepName | undefined;
  #telling = Promise.resolve();
  /** What broke while the sides were written down; the step ends with it. */
  #broken: { readonly error: unknown } | undefined;

  constructor(verdict: Verdict, window: Window, context: (step: StepName) => Promise<StepContext>) {
    this.#verdict = verdict;
    this.#window = window;
    this.#context = context;
  }

  /** Runs what a step does, up to its decision. */
  async during<T>(name: StepName, { decision }: Step, act: () => Promise<T>): Promise<T> {
    this.#step = decision === undefined ? undefined : name;
    try {
      const value = await act();
      if (this.#broken !== undefined) throw this.#broken.error;
      return value;
    } finally {
      this.#step = undefined;
    }
  }

  /** The guest runs, or a disk was switched. */
  changed(): void {
    const step = this.#step;
    if (step === undefined || !this.#window.isOpen || this.#window.pausedThroughout()) return;
    const verdict = this.#verdict;
    const { written } = verdict;
    const isTrue = () => this.#step === step && verdict.written === written;
    const client = async () => (await this.#context(step)).qmp;
    this.#telling = this.#telling
      .then(() => (isTrue() ? verdict.tellSides(step, client, isTrue) : undefined))
      .catch(error => {
        this.#broken ??= { error };
      });
  }
}
