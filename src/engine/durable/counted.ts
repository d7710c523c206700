/**
 * Counts what a saga has begun, decided or been asked, as far as that is durable, and has QEMU told of it: QEMU never knows more
 * than the journal, unless that is an older copy. What a step came to is not counted, nor that disks were watched or that a process
 * has taken over: who promises of an older copy that nothing was done since is right then.
 */
import { tellCount } from '../../guest/told-count.ts';
import type { JournalRecord, NewRecord } from '../../journal/journal.ts';
import { TAKEN_OVER } from '../../journal/taken-over.ts';
import type { Command } from '../../qmp/commands.ts';

/** Of these records; what was asked from elsewhere counts too. */
export function countOf(records: readonly Pick<NewRecord, 'kind' | 'step'>[]): number {
  return records.filter(({ kind, step }) => kind !== 'outcome' && step !== TAKEN_OVER).length;
}

export class Counted {
  #durable: number;
  /** Of records that ride with the next durable ones. */
  #riding = 0;
  #told = 0;

  /** `records`: what the saga has written before this process. */
  constructor(records: readonly JournalRecord[]) {
    this.#durable = countOf(records);
  }

  async during(records: readonly NewRecord[], durable: boolean, write: () => Promise<void>): Promise<void> {
    if (!durable) {
      await write();
      this.#riding += countOf(records);
      return;
    }
    const riding = this.#takeRiding();
    try {
      await write();
    } catch (error) {
      this.#riding += riding;
      throw error;
    }
    this.#durable += countOf(records) + riding;
  }

  /** Of what is durable on return. */
  duringSync(records: readonly NewRecord[], write: () => void): void {
    write();
    this.#durable += countOf(records) + this.#takeRiding();
  }

  /** What QEMU is to be told now, once; undefined when it knows. */
  news(token: string): Command<'qom-set'> | undefined {
    if (this.#told >= this.#durable) return undefined;
    this.#told = this.#durable;
    return tellCount(token, this.#durable);
  }

  #takeRiding(): number {
    const riding = this.#riding;
    this.#riding = 0;
    return riding;
  }
}
