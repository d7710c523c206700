/** The decision of a saga, as far as its journal is known to hold it. Writes it, and decides nothing itself. */
import { BlocksagaError } from '../../errors.ts';
import type { Within } from '../../journal/journal.ts';
import { whenFree } from '../../journal/waiting.ts';
import type { QmpClient } from '../../qmp/client.ts';
import type { Step } from '../../steps/step/step.ts';
import { decision, ranOnOld } from './history.ts';
import type { HostParts } from './host-parts.ts';
import type { Pause } from './pause.ts';
import { recordSides } from './sides.ts';

export class Decision {
  readonly #parts: Pick<HostParts, 'journal' | 'lease' | 'plan' | 'clock'>;
  readonly #pause: Pick<Pause, 'within'>;
  #last: 'forward' | 'back' | undefined;
  /** Whether a later one may have been written. */
  #isUnsure = false;
  #sidesTold: boolean;
  #written = 0;

  constructor(
    parts: Pick<HostParts, 'journal' | 'lease' | 'plan' | 'clock' | 'history'>,
    pause: Pick<Pause, 'within'>,
  ) {
    this.#parts = parts;
    this.#pause = pause;
    this.#last = parts.history.decision;
    this.#sidesTold = parts.history.sidesTold;
  }

  get isForward(): boolean {
    return this.#last === 'forward';
  }

  /** Whether a failure of this step strands the saga: it is not given up for one refusal then. */
  isPastReturn(step: Step): boolean {
    if (step.pause === 'ends' || step.rollsBack === 'never') return true;
    return this.isForward && (step.decision === undefined || 'irreversible' in step);
  }

  /** The last decision that is durable, or that it cannot be told which it is. */
  get known(): 'forward' | 'back' | 'unsure' | undefined {
    return this.#isUnsure ? 'unsure' : this.#last;
  }

  /** Whether there is a word in the journal that `back` has to revoke. */
  get isRevocable(): boolean {
    return this.isForward || this.#sidesTold;
  }

  /** Another one with each decision that is begun: what was seen before that may not be true any more. */
  get written(): number {
    return this.#written;
  }

  /** It went with other records, which are durable. */
  wasWritten(direction: 'forward'): void {
    this.#last = direction;
    this.#written += 1;
    this.#sidesTold = false;
  }

  /** It was written with other records that the guest may run on its new images before there is a decision. */
  wasForetold(): void {
    this.#sidesTold = true;
  }

  /** Writes on which side each disk is, which a recovery without QEMU believes until the next decision; durable on return. */
  async recordSides(step: string, qmp: QmpClient, isStillTrue = always): Promise<void> {
    const parts = { ...this.#parts, ...this.#pause.within };
    if (await recordSides(parts, step, qmp, isStillTrue)) this.#sidesTold = true;
  }

  /** Writes that a third party has resumed the guest in front of the switch; durable on return. */
  recordRanOnOld(): void {
    this.#parts.journal.appendSync(this.#parts.lease, [ranOnOld()], this.#pause.within);
  }

  /**
   * The same for a step that has failed when the guest had run: it may be writing to either side by now, and the
   * rollback takes long. Its failure tells as well of a QEMU that cannot be asked, or a full journal.
   */
  async tellSides(step: string, ask: () => Promise<QmpClient>, isStillTrue = always): Promise<void> {
    try {
      await this.recordSides(step, await ask(), isStillTrue);
    } catch (error) {
      if (!(error instanceof BlocksagaError)) throw error;
    }
  }

  /**
   * Durable when it resolves; in the pause of the guest, and wherever the journal is free, before it returns. Where the guest
   * runs, another process that has the journal locked is waited for.
   */
  async decide(step: string, direction: 'forward' | 'back'): Promise<void> {
    if (this.known === direction && !this.#sidesTold) return;
    const { journal, lease, clock } = this.#parts;
    const { withinMs } = this.#pause.within;
    const write = (within: Within) => journal.appendSync(lease, [decision(step, direction)], within);
    this.#isUnsure = true;
    this.#written += 1;
    try {
      if (withinMs === undefined) await whenFree(clock, write);
      else write({ withinMs });
    } catch (error) {
      this.#isUnsure = !(error instanceof BlocksagaError && error.effect === 'notApplied');
      throw error;
    }
    this.#isUnsure = false;
    this.#sidesTold = false;
    this.#last = direction;
  }
}

function always(): boolean {
  return true;
}
