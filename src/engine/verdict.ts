/** The decision of a saga, as far as its journal is known to hold it. Writes it, and decides nothing itself. */
import { BlocksagaError } from '../errors.ts';
import type { Step } from '../steps/step.ts';
import { decision } from './history.ts';
import type { HostParts } from './host-parts.ts';

export class Verdict {
  readonly #parts: Pick<HostParts, 'journal' | 'lease'>;
  #last: 'forward' | 'back' | undefined;
  /** Whether a later one may have been written. */
  #isUnsure = false;

  constructor(parts: Pick<HostParts, 'journal' | 'lease' | 'history'>) {
    this.#parts = parts;
    this.#last = parts.history.decision;
  }

  get isForward(): boolean {
    return this.#last === 'forward';
  }

  /** Whether a failure of this step strands the saga: it is not given up for one refusal then. */
  isPastReturn(step: Step): boolean {
    if (step.window === 'closes' || step.onlyForward) return true;
    return this.isForward && (step.decision === undefined || 'irreversible' in step);
  }

  /** The last decision that is durable, or that nobody can say which it is. */
  get known(): 'forward' | 'back' | 'unsure' | undefined {
    return this.#isUnsure ? 'unsure' : this.#last;
  }

  /** It went with other records, which are durable. */
  wasWritten(verdict: 'forward'): void {
    this.#last = verdict;
  }

  /** Durable on return. */
  decide(step: string, verdict: 'forward' | 'back'): void {
    if (this.known === verdict) return;
    const { journal, lease } = this.#parts;
    this.#isUnsure = true;
    try {
      journal.appendSync(lease, [decision(step, verdict)]);
    } catch (error) {
      this.#isUnsure = !(error instanceof BlocksagaError && error.outcome === 'notApplied');
      throw error;
    }
    this.#isUnsure = false;
    this.#last = verdict;
  }
}
