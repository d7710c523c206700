/** Which saga of the journal made what is found in QEMU, and whether a process still works on it. It only looks. */
import type { Processes, SagaRow } from '../../journal/journal.ts';
import { mayRun } from '../../journal/lease.ts';
import { sagaToken, tokenOf } from '../../plan/names.ts';

/** Whose a name in QEMU is. */
export class Makers {
  readonly #byToken: ReadonlyMap<string, SagaRow>;
  readonly #processes: Processes;
  readonly #nowMs: number;

  constructor(rows: readonly SagaRow[], processes: Processes, nowMs: number) {
    this.#byToken = new Map(rows.map(row => [sagaToken(row.id), row]));
    this.#processes = processes;
    this.#nowMs = nowMs;
  }

  of(name: string): SagaRow | undefined {
    const token = tokenOf(name);
    return token === undefined ? undefined : this.#byToken.get(token);
  }

  /** Whether no process works on a saga that has not ended. */
  isDead(row: SagaRow): boolean {
    return (
      row.state === 'needsRecovery' || (row.state === 'open' && !mayRun(row, this.#processes, this.#nowMs))
    );
  }

  isRunning(row: SagaRow): boolean {
    return row.state === 'open' && !this.isDead(row);
  }
}
