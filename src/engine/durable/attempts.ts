/**
 * Attempts of steps, each with the disks that the guest still has, and whether a step is begun at all. How often one is made
 * is not decided here.
 */
import { BlocksagaError, definedOnly } from '../../errors.ts';
import type { StepName } from '../../steps/all-steps.ts';
import { findWrongNames, leadsElsewhere } from '../../steps/prepare/expect-names.ts';
import type { Step, StepContext } from '../../steps/step/step.ts';
import type { Contexts } from './contexts.ts';
import type { Decision } from './decision.ts';
import type { PastStep } from './history.ts';
import type { HostParts } from './host-parts.ts';
import type { Pause } from './pause.ts';
import { SNAPSHOTS, type Stand } from './unplugged.ts';

/** What is attempted: whether the saga continues where a disk has left the guest, and what is known of earlier attempts. */
interface Kind {
  readonly continues: () => boolean;
  readonly isUndoing?: boolean;
  readonly mayBeThere?: boolean;
}

export class Attempts {
  readonly #parts: Pick<HostParts, 'plan' | 'history' | 'unplugged' | 'retried' | 'sidesOf'>;
  readonly #pause: Pause;
  readonly #decision: Decision;
  readonly #begun: ReadonlyMap<StepName, unknown>;
  readonly #outcomes: Contexts['outcomes'];
  readonly #files: Contexts['files'];
  readonly #context: (name: StepName) => Promise<StepContext>;

  constructor(
    parts: Pick<HostParts, 'plan' | 'history' | 'unplugged' | 'retried' | 'sidesOf'>,
    pause: Pause,
    decision: Decision,
    { observed, outcomes, files }: Pick<Contexts, 'observed' | 'outcomes' | 'files'>,
    context: (name: StepName) => Promise<StepContext>,
  ) {
    this.#parts = parts;
    this.#pause = pause;
    this.#decision = decision;
    this.#begun = observed;
    this.#outcomes = outcomes;
    this.#files = files;
    this.#context = context;
  }

  /**
   * Attempts of a step. When one has failed because a disk has left the guest, the next one does without that disk;
   * while the saga can still roll back, there is no next one.
   */
  of<T>(
    name: StepName,
    { continues, isUndoing = false, mayBeThere = true }: Kind,
    act: (number: number) => Promise<T>,
  ): (number: number) => Promise<T> {
    const { unplugged, retried } = this.#parts;
    const stand = () => this.#stand(isUndoing);
    const look = () => this.#context(name);
    return number => {
      if (number > 1) retried?.(name);
      const attempt = { continues, mayBeThere: mayBeThere || number > 1, stand, look };
      return unplugged.during(() => act(number), attempt);
    };
  }

  /**
   * Why the saga rolls back before this step does anything: it was asked to, and the step would decide against that, or
   * it lacks a disk. Undefined where it continues, as behind its decision.
   */
  whyNotStart(
    name: StepName,
    step: Step,
    past: PastStep | undefined,
    isAskedBack: boolean,
  ): BlocksagaError | undefined {
    if (!this.#mayRollBack(step, past)) return undefined;
    if (isAskedBack) return new BlocksagaError('ABORTED', 'the saga was asked to roll back');
    return this.#parts.unplugged.whyNotBegin(name, step, this.#parts.plan);
  }

  /** The same, also for a step of which a process before had begun something. */
  async whyNotRun(
    name: StepName,
    step: Step,
    past: PastStep | undefined,
    isAskedBack: boolean,
    decides: boolean,
  ): Promise<BlocksagaError | undefined> {
    const why = this.whyNotStart(name, step, past, isAskedBack);
    return why ?? (decides ? this.#whyNotDecide(step, past) : undefined);
  }

  /**
   * Why the saga does not decide: the names of its images lead elsewhere by now. The process that had looked at them may have died,
   * who knows when; this one asks no QEMU, which may not answer either.
   */
  async #whyNotDecide(step: Step, past: PastStep | undefined): Promise<BlocksagaError | undefined> {
    if (!this.#parts.history.resumed || !this.#mayRollBack(step, past)) return undefined;
    const { plan } = this.#parts.unplugged.given(this.#parts.plan, step);
    const looked = { files: this.#files, plan, outcomes: this.#outcomes };
    const [wrong] = await findWrongNames(looked, 'claimed');
    if (wrong === undefined) return undefined;
    const error = leadsElsewhere(wrong);
    return past === undefined
      ? BlocksagaError.fromRecord({ ...error.toJSON(), effect: 'notApplied' })
      : error;
  }

  #mayRollBack({ rollsBack }: Step, past: PastStep | undefined): boolean {
    if (past?.settled !== undefined || this.#decision.isForward) return false;
    return rollsBack !== 'never' && !(rollsBack === 'unlessBegun' && past !== undefined);
  }

  /** Where a stage stands that the next one begins in; undefined once its snapshot is taken. */
  standOfOpen(): Stand | undefined {
    return this.#hasTaken ? undefined : this.#stand(false);
  }

  /** Where a stage stands behind which one before it cleans up; undefined until it has decided to switch. */
  standOfDecided(): Stand | undefined {
    return this.#decision.isForward ? this.#stand(false) : undefined;
  }

  get #hasTaken(): boolean {
    return SNAPSHOTS.some(name => this.#outcomes.has(name));
  }

  /** When a saga has ended: for disks that have left unseen behind its last step. */
  end(): Promise<void> {
    return this.#parts.unplugged.end(this.#stand(false), () => this.#context('closeOldNodes'));
  }

  #stand(isUndoing: boolean): Stand {
    return {
      ...definedOnly({ sidesOf: this.#parts.sidesOf?.() }),
      isUndoing,
      plan: this.#parts.plan,
      decided: this.#decision.isForward,
      isStill: this.#pause.isOpen && this.#pause.pausedThroughout(),
      hasTaken: this.#hasTaken,
      hasBegun: (step: StepName) => this.#begun.has(step),
    };
  }
}

/** An undo goes on with the disks that are there. */
export const UNDO: Kind = { continues: () => true, isUndoing: true };
