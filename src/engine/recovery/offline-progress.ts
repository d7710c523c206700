/** What an offline recovery keeps in the journal of its own work, for one that is run again. It decides nothing. */
import { member } from '../../journal/body.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import type { SettledAbove } from './find-above.ts';
import type { Choice } from './offline-choices.ts';

/** The step under which an offline recovery keeps its own records. */
export const OFFLINE = 'recoverOffline';

/** What an earlier offline recovery of the same saga has written. */
export interface OfflineProgress {
  readonly begun: boolean;
  /** Whether all roll back though they could roll forward, as was asked. */
  readonly back: boolean;
  /** Whether the first chain was found shortened. */
  readonly begunToShorten: boolean;
  /** The sides that were chosen where journal and images told different stories. */
  readonly choices: readonly Choice[];
  /** Images that stay, whatever becomes of the disks. */
  readonly kept: readonly KeptImage[];
  readonly above: SettledAbove;
  /** Files that were said to be the right ones. */
  readonly accepted: readonly string[];
  /** Whether the images are as they should be, so that only removing is left. */
  readonly settled: boolean;
}

/** An image that stays whatever the verdict says of it, and why. */
export interface KeptImage {
  readonly file: string;
  readonly why: string;
}

/** What an earlier run of the recovery has come to. */
export function offlineProgress(records: readonly JournalRecord[]): OfflineProgress {
  const own = records.filter(record => record.step === OFFLINE);
  const begun = own.find(record => record.kind === 'intent');
  const above = member(member(begun?.body ?? null, 'observed'), 'above') as object | null;
  return {
    // An older program has not looked for any.
    above: (above ?? { ranOn: [], told: [], unseen: [] }) as OfflineProgress['above'],
    choices: (member(member(begun?.body ?? null, 'observed'), 'choices') ?? []) as object as Choice[],
    kept: (member(member(begun?.body ?? null, 'observed'), 'kept') ?? []) as object as KeptImage[],
    accepted: (member(member(begun?.body ?? null, 'observed'), 'accepted') ?? []) as object as string[],
    begun: begun !== undefined,
    back: member(member(begun?.body ?? null, 'observed'), 'back') === true,
    begunToShorten: member(member(begun?.body ?? null, 'observed'), 'begunToShorten') === true,
    settled: own.some(record => record.kind === 'outcome'),
  };
}
