/** How far a commit without QEMU has come, as its records say. Pure. */
import { member } from '../../journal/body.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import type { Json } from '../../qmp/transport.ts';

/** What stood in the files when a disk's merge had ended; only ever compared. */
export interface Merged {
  readonly stamps: readonly string[];
  readonly base: string;
}

/** What earlier processes have done; disks by their indexes. */
export interface MergeProgress {
  /** The last merge of each disk that has succeeded. */
  readonly merged: Map<number, Merged>;
  /** The disks of which a merge was begun. */
  readonly begun: Set<number>;
  readonly decided: boolean;
  /** The files that stayed when what had left was removed; undefined when that has not come to its end. */
  readonly kept: readonly string[] | undefined;
}

export function readMergeProgress(records: readonly JournalRecord[]): MergeProgress {
  const merged = new Map<number, Merged>();
  const begun = new Set<number>();
  for (const { kind, step, body } of records) {
    if (step !== 'mergeImage') continue;
    if (kind === 'intent') begun.add(diskIn(member(body, 'observed')));
    const value = member(body, 'value');
    if (kind === 'outcome' && value !== null) merged.set(diskIn(value), value as object as Merged);
  }
  const removed = records.findLast(({ kind, step }) => kind === 'outcome' && step === 'removeLeaving');
  const kept = member(member(removed?.body ?? null, 'value'), 'kept') as readonly string[] | null;
  const decided = records.some(({ kind }) => kind === 'decision');
  return { merged, begun, decided, kept: kept ?? undefined };
}

function diskIn(body: Json): number {
  return Number(member(body, 'disk'));
}
