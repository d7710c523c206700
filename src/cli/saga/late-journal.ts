/** A journal for a program that only looks, and stays: one that is not there yet is an empty one until another process makes it. */
import type { Journal } from '../../journal/journal.ts';
import { isJournalThere } from '../../journal/look-for-file.ts';
import { memoryJournal } from '../../journal/memory.ts';
import { openJournal } from '../../journal/sqlite.ts';

/** Makes no file. Throws JOURNAL as `openJournal` does, now or, of one that comes later, where it is read. */
export function lateJournal(file: string): Journal {
  let opened = isJournalThere(file) ? openJournal(file) : undefined;
  if (opened !== undefined) return opened;
  const none = memoryJournal();
  return new Proxy<Journal>(none, {
    get(_, member) {
      if (opened === undefined && isJournalThere(file)) opened = openJournal(file);
      return Reflect.get(opened ?? none, member);
    },
  });
}
