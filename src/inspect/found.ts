/** What doctor finds, for the page: it looks at the journal and at the files of sagas, and removes nothing. */
import { examine } from '../engine/doctor/doctor.ts';
import type { Finding } from '../engine/doctor/finding.ts';
import type { Journal } from '../journal/journal.ts';
import type { Clock } from '../qmp/clock.ts';
import type { FindingTold } from './found-told.ts';

const DOCTOR_FIX = 'blocksaga doctor --fix';

/** Asks once for all who ask at the same time. */
export class DoctorView {
  readonly #journal: Journal;
  readonly #clock: Clock;
  #asked: Promise<readonly FindingTold[]> | undefined;

  constructor(journal: Journal, clock: Clock) {
    this.#journal = journal;
    this.#clock = clock;
  }

  findings(): Promise<readonly FindingTold[]> {
    this.#asked ??= this.#look().finally(() => {
      this.#asked = undefined;
    });
    return this.#asked;
  }

  async #look(): Promise<readonly FindingTold[]> {
    const found = await examine({ journal: this.#journal, clock: this.#clock });
    return found.map(told);
  }
}

function told({ kind, name, saga, why, removable }: Finding): FindingTold {
  return { kind, name, saga, why, removable, of: null, fix: DOCTOR_FIX };
}
