/** Opens the journal for commands that begin nothing. One that is not there is an empty one, and is not made. */
import { planOf } from '../../engine/durable/checked-journal.ts';
import { makerIn } from '../../engine/removal/makers.ts';
import type { Journal, SagaRow } from '../../journal/journal.ts';
import { isJournalThere } from '../../journal/look-for-file.ts';
import { memoryJournal } from '../../journal/memory.ts';
import { openJournal } from '../../journal/sqlite.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import { stagesOf } from '../../steps/stages.ts';
import type { CliContext } from '../print/context.ts';
import { withJournal } from './with-journal.ts';

/** The journal in the file; an empty one in memory where there is no file. Throws JOURNAL as `openJournal` does, and when that cannot be told. */
export function openExistingJournal(file: string): Journal {
  return isJournalThere(file) ? openJournal(file) : memoryJournal();
}

/** Opens it, reads, and closes it again. Throws JOURNAL when it is damaged or something else. */
export function readJournal<T>(
  file: string,
  context: Pick<CliContext, 'complain'>,
  read: (journal: Journal) => T,
): Promise<T> {
  return withJournal(openExistingJournal(file), context, async journal => read(journal));
}

/** Which saga, and which of its disks, a name in QEMU was made for; undefined when no saga of this journal made it. */
export function makerOf(
  name: string,
  journal: Journal,
): { readonly row: SagaRow; readonly disk: DiskPlan } | undefined {
  const row = makerIn(journal, name);
  const disks = row === undefined ? [] : stagesOf(planOf(row)).flatMap(({ plan }) => plan.disks);
  const disk = disks.find(each => Object.values(each.names).includes(name));
  return row === undefined || disk === undefined ? undefined : { row, disk };
}
