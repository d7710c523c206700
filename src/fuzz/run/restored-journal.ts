/**
 * The journal between two processes, and an older copy of it that is put back as a restored backup is: what that says of
 * the saga ends earlier.
 */

import { unansweredResult } from '../../engine/running/result.ts';
import { BlocksagaError, type ErrorRecord } from '../../errors.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import {
  type MemoryBeside,
  type MemoryJournal,
  type MemoryJournalState,
  memoryJournal,
} from '../../journal/memory.ts';
import type { Plan } from '../../plan/plan.ts';
import type { Clock } from '../../qmp/clock.ts';
import type { End } from '../account/process.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { SAGA } from '../scenario/wish-request.ts';

const WHOLE_PERMILLE = 1_000;

/** What is durable while no process runs. */
export class KeptJournal {
  state: MemoryJournalState | undefined;
  isRestored = false;
  /** When the saga had ended well before the older copy was put back. */
  endedMs: number | undefined;
  /** What a journal on disk has beside it. */
  readonly #beside: MemoryBeside = { written: undefined };
  readonly #restored: Scenario['restored'];
  readonly #notes: { note(what: string): void };

  constructor({ restored }: Pick<Scenario, 'restored'>, notes: { note(what: string): void }) {
    this.#restored = restored;
    this.#notes = notes;
  }

  get hasSaga(): boolean {
    return this.state?.sagas.some(({ row }) => row.id === SAGA) ?? false;
  }

  get records(): readonly JournalRecord[] {
    return this.state?.sagas.find(({ row }) => row.id === SAGA)?.records ?? [];
  }

  /** Puts the older copy back where the scenario has that after so many deaths; gives whether it did. */
  putBack(deaths: number): boolean {
    if (this.#restored === undefined || this.isRestored || this.state === undefined) return false;
    if (deaths < this.#restored.death || !this.hasSaga) return false;
    const { permille, beside } = this.#restored;
    const row = this.state.sagas.find(each => each.row.id === SAGA)?.row;
    if (row?.state === 'committed' || row?.state === 'rolledBack') this.endedMs = row.endedAtMs ?? undefined;
    this.state = earlierJournal(this.state, permille);
    if (beside === 'restored') this.#beside.written = this.state.generation;
    if (beside === 'lost') this.#beside.written = undefined;
    this.isRestored = true;
    this.#notes.note('an older copy of the journal is put back');
    return true;
  }

  /** For the next process. */
  open(clock: Clock): MemoryJournal {
    return memoryJournal(this.state, { clock, beside: this.#beside });
  }

  /** An older copy is known to be one before anything is done: the saga is as it was, and needs an administrator. */
  refused(refusal: ErrorRecord): End {
    const row = this.state?.sagas.find(each => each.row.id === SAGA)?.row;
    if (!this.isRestored || refusal.code !== 'JOURNAL_BEHIND' || row === undefined) return { refusal };
    const plan = row.plan as object as Plan;
    return { result: unansweredResult(SAGA, plan, BlocksagaError.fromRecord(refusal)) };
  }
}

/** The journal as it was when the saga had written a share of its records; what others wrote stays. */
function earlierJournal(state: MemoryJournalState, permille: number): MemoryJournalState {
  let lost = 0;
  const sagas = state.sagas.map(({ row, records }) => {
    if (row.id !== SAGA) return { row, records };
    const kept = Math.floor((records.length * permille) / WHOLE_PERMILLE);
    lost = records.length - kept + (row.state === 'open' ? 0 : 1);
    const open = { ...row, state: 'open', result: null, endedAtMs: null } as const;
    return { row: open, records: records.slice(0, kept) };
  });
  const vm = sagas.find(({ row }) => row.id === SAGA)?.row.vm;
  const claims = state.claims.map(([name, claim]) =>
    name === vm ? ([name, { ...claim, saga: SAGA }] as const) : ([name, claim] as const),
  );
  return { ...state, sagas, claims, generation: (state.generation ?? 0) - lost };
}
