/**
 * One of the journals that a page shows, with what is known beside it: how to ask the QEMU of its sagas, where their wire is kept, and
 * who may resume them. Several of them are one list; each saga is asked through the journal that it is in.
 */
import { BlocksagaError, definedOnly } from '../errors.ts';
import type { Journal, Processes } from '../journal/journal.ts';
import type { Clock } from '../qmp/clock.ts';
import type { Connect } from '../qmp/transport.ts';
import type { Story } from '../story/story.ts';
import { askSaga } from './ask.ts';
import { commandIn } from './command-in.ts';
import { DoctorView } from './found.ts';
import type { FindingTold } from './found-told.ts';
import { JobSight } from './job-sight.ts';
import type { JobsSeen } from './jobs-seen.ts';
import { journalView } from './journal-view.ts';
import type { Listed } from './listed-saga.ts';
import { WireFile } from './wire-file.ts';
import type { WireTold } from './wire-told.ts';

export interface ShownJournal {
  readonly journal: Journal;
  /** What tells its sagas from those of the others, where a page shows several. */
  readonly name?: string;
  /** Its file, where the commands that a person types have to name it. */
  readonly file?: string;
  /** A monitor of the page's own, to see how far block jobs are. */
  readonly connect?: Connect;
  /** The file of a trace (docs/trace.md): what went over the monitors of sagas is shown beside their steps. */
  readonly trace?: string;
  /** Makes this process the one of a saga whose own has ended; left out where the page may only ask those that run. */
  readonly resume?: (saga: string, how: unknown) => Promise<void>;
}

export interface ShownWith {
  readonly processes: Pick<Processes, 'isAlive'>;
  readonly clock: Clock;
}

const NO_WIRE: WireTold = { lines: null, first: 0, total: 0 };

export class JournalSource {
  readonly name: string | null;
  readonly #shown: ShownJournal;
  readonly #with: ShownWith;
  readonly #view: ReturnType<typeof journalView>;
  readonly #wire: WireFile | undefined;
  readonly #sight: JobSight | undefined;
  readonly #doctor: DoctorView;

  constructor(shown: ShownJournal, among: ShownWith) {
    this.#shown = shown;
    this.#with = { processes: among.processes, clock: among.clock };
    this.name = shown.name ?? null;
    const { processes } = among;
    this.#view = journalView(shown.journal, processes, {
      canResume: shown.resume !== undefined,
      ...definedOnly({ name: shown.name, file: shown.file }),
    });
    this.#wire = shown.trace === undefined ? undefined : new WireFile(shown.trace);
    this.#sight = shown.connect === undefined ? undefined : new JobSight(shown.connect, among.clock);
    this.#doctor = new DoctorView(shown.journal, among.clock);
  }

  has(id: string): boolean {
    return this.#shown.journal.saga(id) !== undefined;
  }

  list(older: number): readonly Listed[] {
    return this.#view.list(older);
  }

  hasMore(older: number): boolean {
    return this.#view.hasMore(older);
  }

  /** Throws as {@link journalView}. */
  story(id: string): Story {
    return this.#view.story(id);
  }

  wire(id: string, from: number): WireTold {
    return this.#wire?.lines(id, from) ?? NO_WIRE;
  }

  wholeWire(id: string): readonly string[] | null {
    return this.#wire?.all(id) ?? null;
  }

  /** Undefined where it was given no monitor. */
  jobs(): JobsSeen | undefined {
    return this.#sight?.now();
  }

  async findings(): Promise<readonly FindingTold[]> {
    const { file } = this.#shown;
    const found = await this.#doctor.findings();
    return found.map(each => ({ ...each, of: this.name, fix: commandIn(file, each.fix) }));
  }

  /** Throws as {@link askSaga}. */
  ask(id: string, signal: string, value: unknown): Promise<void> {
    return askSaga(id, signal, value, { ...this.#with, journal: this.#shown.journal });
  }

  /** Throws SAGA_STATE where the page may resume none. */
  async resume(id: string, how: unknown): Promise<void> {
    if (this.#shown.resume === undefined) {
      throw new BlocksagaError('SAGA_STATE', `this page resumes no saga: "blocksaga resume ${id}" does`, {
        saga: id,
      });
    }
    await this.#shown.resume(id, how);
  }

  close(): void {
    this.#sight?.close();
  }
}
