/** Lets a person watch a run while it runs, and hold its time: what it is at one moment. It changes nothing of the run. */
import type { ProgressNotice } from '../../engine/running/saga-types.ts';
import type { JournalRecord, SagaRow } from '../../journal/journal.ts';
import type { MemoryJournal, MemoryJournalState } from '../../journal/memory.ts';
import type { Clock } from '../../qmp/clock.ts';
import type { VirtualClockOptions } from '../../sim/host/virtual-clock.ts';
import { SAGA } from '../scenario/wish-request.ts';

export interface Onlooker {
  /** Asked before anything happens: time stands until what it gives has settled. */
  pace(atMs: number): Promise<void> | undefined;
  /** Told where to look; what that gives is of the moment at which it is asked. */
  sees(look: () => RunSight): void;
}

/** A run at one moment. */
export interface RunSight {
  readonly atMs: number;
  readonly epochMs: number;
  readonly row: SagaRow | undefined;
  /** What the saga has handed to its journal, also what would be lost with its process now. */
  readonly records: readonly JournalRecord[];
  readonly isRunning: boolean;
  readonly jobs: readonly ProgressNotice[];
}

/** For the clock of a run. */
export function pacedBy(onlooker: Onlooker | undefined): Pick<VirtualClockOptions, 'pace'> {
  return onlooker === undefined ? {} : { pace: atMs => onlooker.pace(atMs) };
}

/** What is known of the process that runs now, or ran last. */
export class Sightings {
  readonly #clock: Clock;
  readonly #jobs = new Map<string, ProgressNotice>();
  #journal: MemoryJournal | undefined;
  #kept: MemoryJournalState | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begun(journal: MemoryJournal): void {
    this.#journal = journal;
    this.#jobs.clear();
  }

  ended(kept: MemoryJournalState): void {
    this.#journal = undefined;
    this.#kept = kept;
  }

  progress(notice: ProgressNotice): void {
    this.#jobs.set(notice.job, notice);
  }

  look(): RunSight {
    const kept = this.#kept?.sagas.find(({ row }) => row.id === SAGA);
    return {
      ...{ atMs: this.#clock.now(), epochMs: this.#clock.epochMs(), isRunning: this.#journal !== undefined },
      row: this.#journal?.saga(SAGA) ?? kept?.row,
      records: this.#journal?.handedOver(SAGA) ?? kept?.records ?? [],
      jobs: [...this.#jobs.values()],
    };
  }
}
