/**
 * Counts the commits of the journal's file, in the file and beside it, and tells by that when the file is an older copy. The
 * first write to such a copy notes of each saga that has not ended that the copy may lack what became of it, and counts on from
 * what is beside it: sagas that are begun in it from then on are not doubted. So it does where nothing tells.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { GenerationFile } from './generation-file.ts';
import { guarded } from './sqlite-errors.ts';
import { doubtOf, type Standing, standingNoted, standingOf } from './standing.ts';

const SQL = {
  count: 'SELECT line, written FROM generation',
  setCount: 'UPDATE generation SET written = ?',
  doubt: `INSERT INTO doubted (saga, generation, written)
    SELECT id, ?, ? FROM saga WHERE state IN ('open', 'needsRecovery')
    ON CONFLICT (saga) DO UPDATE SET generation = excluded.generation, written = excluded.written
    WHERE excluded.written > excluded.generation AND doubted.written = doubted.generation`,
  doubted: 'SELECT generation, written FROM doubted WHERE saga = ?',
  accept: 'DELETE FROM doubted WHERE saga = ?',
} as const;

export class Generation {
  readonly #file: string;
  readonly #beside: GenerationFile;
  readonly #statements: Readonly<Record<keyof typeof SQL, StatementSync>>;
  /** What this process has counted last, and not yet noted beside. */
  #counted: { readonly line: string; readonly written: number } | undefined;

  constructor(db: DatabaseSync, file: string) {
    this.#file = file;
    this.#beside = new GenerationFile(file);
    const prepared = Object.entries(SQL).map(([name, sql]) => [name, db.prepare(sql)]);
    this.#statements = Object.fromEntries(prepared);
  }

  /** First in each transaction that writes. */
  count(): void {
    const { line, written } = this.#own();
    const standing = standingOf(line, written, this.#beside.read());
    const doubt = doubtOf(standing, written);
    if (doubt !== undefined) this.#statements.doubt.run(doubt.generation, doubt.written);
    const next = 1 + (standing.is === 'older' ? standing.written : written);
    this.#statements.setCount.run(next);
    this.#counted = { line, written: next };
  }

  /** Once that is durable: what is beside must never be ahead of a journal that was not put back. */
  note(): void {
    if (this.#counted === undefined) return;
    this.#beside.note(this.#counted.line, this.#counted.written);
    this.#counted = undefined;
  }

  syncLater(): void {
    this.#beside.syncLater();
  }

  sync(): void {
    this.#beside.sync();
  }

  /** Throws JOURNAL. */
  standing(saga: string | undefined): Standing {
    return guarded(this.#file, 'read', () => {
      const doubted = saga === undefined ? undefined : this.#statements.doubted.get(saga);
      if (doubted !== undefined) {
        const { generation, written } = doubted;
        return standingNoted({ generation: Number(generation), written: Number(written) });
      }
      // Beside it first: a write by another process between the two looks would look as if it were missing here.
      const beside = this.#beside.read();
      const { line, written } = this.#own();
      return standingOf(line, written, beside);
    });
  }

  /** In a transaction that has counted: what the copy says of the saga is the last of it, as was promised. */
  accept(saga: string): void {
    this.#statements.accept.run(saga);
  }

  #own(): { readonly line: string; readonly written: number } {
    const row = this.#statements.count.get();
    return { line: String(row?.['line']), written: Number(row?.['written']) };
  }
}
