/** What doctor finds, and how it is removed. */

/** One thing that a dead saga left behind. */
export interface Finding {
  readonly kind: 'journal' | 'saga' | 'qemu' | 'guest' | 'job' | 'node' | 'group' | 'file';
  /** Its id, name or path. */
  readonly name: string;
  /** The saga that made it; null when this journal knows none that did. */
  readonly saga: string | null;
  /** What it is, and what to do about it. */
  readonly why: string;
  /** Whether it is provably a saga's own, of one that has ended, and nothing uses it. */
  readonly removable: boolean;
}

/** No QEMU answers: what is in the journal and on the disk is told all the same. */
export function silentQemu(name: string, { message }: Error): Finding {
  const why = `its jobs and nodes could not be looked at: ${message}. A saga whose QEMU has ended is ended by "blocksaga resume --offline"`;
  return { kind: 'qemu', name, saga: null, why, removable: false };
}

/** A finding with what removes it; that throws when it is in use after all. */
export interface Removable extends Finding {
  readonly remove: (() => Promise<void>) | undefined;
}
