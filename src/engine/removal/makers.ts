/** Which saga of the journal made what is found in QEMU, and whether a process still works on it. It only looks. */
import type { Processes, SagaRow } from '../../journal/journal.ts';
import { sagaToken, tokenOf } from '../../plan/names.ts';

/** Whose a name in QEMU is. */
export class Makers {
  readonly #byToken: ReadonlyMap<string, SagaRow>;
  readonly #processes: Processes;

  constructor(rows: readonly SagaRow[], processes: Processes) {
    this.#byToken = new Map(rows.map(row => [sagaToken(row.id), row]));
    this.#processes = processes;
  }

  of(name: string): SagaRow | undefined {
    const token = tokenOf(name);
    return token === undefined ? undefined : this.#byToken.get(token);
  }

  /** Whether no process works on a saga that has not ended. */
  isDead({ state, holder }: SagaRow): boolean {
    return state === 'needsRecovery' || (state === 'open' && !this.#processes.isAlive(holder));
  }

  isRunning(row: SagaRow): boolean {
    return row.state === 'open' && !this.isDead(row);
  }
}
