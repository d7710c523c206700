/**
 * The journal between two processes, and an older copy of it that is put back as a restored backup is: what that says of
 * the saga ends earlier.
 */
import type { MemoryJournalState } from '../../journal/memory.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { SAGA } from '../scenario/wish-request.ts';

const WHOLE_PERMILLE = 1_000;

/** What is durable while no process runs. */
export class KeptJournal {
  state: MemoryJournalState | undefined;
  isRestored = false;
  readonly #restored: Scenario['restored'];
  readonly #notes: { note(what: string): void };

  constructor({ restored }: Pick<Scenario, 'restored'>, notes: { note(what: string): void }) {
    this.#restored = restored;
    this.#notes = notes;
  }

  get hasSaga(): boolean {
    return this.state?.sagas.some(({ row }) => row.id === SAGA) ?? false;
  }

  /** Puts the older copy back where the scenario has that after so many deaths; gives whether it did. */
  putBack(deaths: number): boolean {
    if (this.#restored === undefined || this.isRestored || this.state === undefined) return false;
    if (deaths < this.#restored.death || !this.hasSaga) return false;
    this.state = earlierJournal(this.state, this.#restored.permille);
    this.isRestored = true;
    this.#notes.note('an older copy of the journal is put back');
    return true;
  }
}

/** The journal as it was when the saga had written a share of its records; what others wrote stays. */
function earlierJournal(state: MemoryJournalState, permille: number): MemoryJournalState {
  const sagas = state.sagas.map(({ row, records }) => {
    if (row.id !== SAGA) return { row, records };
    const kept = Math.floor((records.length * permille) / WHOLE_PERMILLE);
    const open = { ...row, state: 'open', result: null, endedAtMs: null } as const;
    return { row: open, records: records.slice(0, kept) };
  });
  const vm = sagas.find(({ row }) => row.id === SAGA)?.row.vm;
  const claims = state.claims.map(([name, claim]) =>
    name === vm ? ([name, { ...claim, saga: SAGA }] as const) : ([name, claim] as const),
  );
  return { ...state, sagas, claims };
}
