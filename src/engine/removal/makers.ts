/** Which saga of the journal made what is found in QEMU, and whether a process still works on it. It only looks. */
import type { Journal, Processes, SagaRow } from '../../journal/journal.ts';
import { mayRun } from '../../journal/lease.ts';
import { sagaToken, tokenOf } from '../../plan/names.ts';
import { sortedRows } from '../durable/checked-journal.ts';

/** The saga whose names in QEMU have this form; undefined where the journal has none, or cannot read it. */
export function makerIn(journal: Pick<Journal, 'sagas'>, name: string): SagaRow | undefined {
  const token = tokenOf(name);
  if (token === undefined) return undefined;
  // A journal of the caller's own may know fewer filters.
  const rows = journal.sagas({ token }).filter(row => sagaToken(row.id) === token);
  return sortedRows(rows).rows[0];
}

/** Whose a name in QEMU is. */
export class Makers {
  readonly #journal: Pick<Journal, 'sagas'>;
  readonly #processes: Processes;
  readonly #nowMs: number;

  constructor(journal: Pick<Journal, 'sagas'>, processes: Processes, nowMs: number) {
    this.#journal = journal;
    this.#processes = processes;
    this.#nowMs = nowMs;
  }

  of(name: string): SagaRow | undefined {
    return makerIn(this.#journal, name);
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
