/**
 * Refuses what would act on the word of an older copy of the journal: one beside which more writes are counted than it has. It
 * only asks the journal; what QEMU and the images say against it is asked elsewhere.
 */
import { BlocksagaError } from '../../errors.ts';
import { member } from '../../journal/body.ts';
import type { Journal, SagaRow } from '../../journal/journal.ts';
import type { Json } from '../../qmp/transport.ts';

/** What is about to be done, for the advice. */
type OlderUse = 'resume' | 'offline' | 'offlineCommit';

/** What an administrator may promise of a journal that was put back. */
export interface AcceptRestored {
  /**
   * Where the journal is an older copy that was put back, promises that nothing was done to this saga after that copy was made. QEMU
   * and the images are asked all the same. A promise that is not true may undo on the guest's disks what had been decided.
   */
  readonly acceptRestored?: boolean;
}

/** Whether the journal is known to be an older copy in what it says of a saga. */
export function isOlder(journal: Journal, saga: string): boolean {
  return journal.standing?.(saga).is === 'older';
}

/** Whether it may be one: it is known to be, or nothing beside it tells. */
export function mayBeOlder(journal: Journal, saga: string): boolean {
  const { is } = journal.standing?.(saga) ?? { is: 'newest' };
  return is !== 'newest';
}

/** Throws JOURNAL_BEHIND unless what an older copy says of a saga is promised to be the last of it; it counts as that from now on. */
export function expectNewestOrAccept(
  journal: Journal,
  row: Pick<SagaRow, 'id' | 'state' | 'createdAtMs'>,
  { acceptRestored = false }: AcceptRestored,
  use: OlderUse = 'resume',
): void {
  if (!acceptRestored) expectNewest(journal, row, use);
  else if (isOlder(journal, row.id)) journal.accept?.(row.id);
}

/** Throws JOURNAL_BEHIND, with both stories and what can be done. */
export function expectNewest(
  journal: Journal,
  { id, state, createdAtMs }: Pick<SagaRow, 'id' | 'state' | 'createdAtMs'>,
  use: OlderUse,
): void {
  const standing = journal.standing?.(id);
  if (standing?.is !== 'older') return;
  const last = journal.records(id).at(-1);
  const lastAt = `${TIME.format(last?.atMs ?? createdAtMs)} UTC`;
  const told = last === undefined ? 'that it was begun' : `the ${last.kind} of ${last.step}`;
  throw new BlocksagaError(
    'JOURNAL_BEHIND',
    `the journal is an older copy. It says that saga ${id} is ${state}, and the last that it knows of it is ${told}, of ${lastAt}; ` +
      `but it has counted ${standing.generation} writes, and ${standing.written} are counted beside it, so what became of the saga may be ` +
      `missing. Nothing has been done: put the newer journal back, with its -wal. Where that is lost, ${ADVICE[use](id)}`,
    { saga: id },
  );
}

/** Whether a process has found QEMU further in the saga than the journal, or ended: without QEMU nothing else may tell that it is an older copy. */
export function wasBehind({ state, result }: Pick<SagaRow, 'state' | 'result'>): boolean {
  return state === 'needsRecovery' && member(member(result, 'error'), 'code') === 'JOURNAL_BEHIND';
}

/** What is kept of an answer: what a living QEMU has told of an older copy is not forgotten since none answers any more, or another one. */
export function keptResult(row: Pick<SagaRow, 'state' | 'result'>, result: Json): Json {
  return wasBehind(row) && row.result !== null && !wasBehind({ state: 'needsRecovery', result })
    ? row.result
    : result;
}

/** Throws JOURNAL_BEHIND where it was, with what can be done without QEMU. */
export function expectNotBehind(row: Pick<SagaRow, 'id' | 'state' | 'result'>): void {
  if (!wasBehind(row)) return;
  const { id } = row;
  throw new BlocksagaError(
    'JOURNAL_BEHIND',
    `the journal is an older copy: when QEMU was asked last, more had become of saga ${id} than it knows of. Nothing has been done: put the ` +
      `newer journal back, with its -wal. Where that is lost, ${ADVICE.offline(id)}`,
    { saga: id },
  );
}

const TIME = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium', timeZone: 'UTC' });

const ADVICE: Readonly<Record<OlderUse, (id: string) => string>> = {
  resume: id =>
    `and you can promise that nothing was done to this saga after that, say --accept-restored; QEMU is asked all the same. If you cannot, ` +
    `see to it that the guest runs (QMP: cont), and once it has been shut down run "blocksaga resume --offline ${id}"`,
  offline: id =>
    `find out on which images the guest ran last, then say it: "blocksaga resume --offline ${id} --front old" (the images from before ` +
    'the saga), "--front new" (those of the saga) or "--front snapshot" (the overlays of a snapshot with mirrors), or disk by disk ' +
    '"--front DISK=old,DISK=new"; the images that are not taken are kept. Or promise with --accept-restored that ' +
    'nothing was done to this saga after that, as for one that only shortens chains; the images are asked all the same',
  offlineCommit: () =>
    'and you can promise that nothing was done to this saga after that, and that no guest has run on its images since, say ' +
    '--accept-restored. If you cannot, compare the images yourself',
};
