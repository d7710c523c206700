/**
 * The journal as an engine uses it: what a journal of the caller's own throws or rejects with, whatever it is, is a `JOURNAL` error,
 * which a saga knows what to do with. It changes nothing else.
 */
import { BlocksagaError, BrokenAssumption } from '../../errors.ts';
import type { Journal } from '../../journal/journal.ts';

/** What is absent of it stays absent. */
export function withJournalErrors(journal: Journal): Journal {
  const known = new Map<PropertyKey, unknown>();
  // In front of nothing, not of the journal itself: what is frozen there may not be given otherwise.
  return new Proxy({} as Journal, {
    has: (_, name) => name in journal,
    get(_, name) {
      const member: unknown = Reflect.get(journal, name);
      if (typeof member !== 'function') return member;
      const method = known.get(name) ?? ((...args: unknown[]) => call(journal, member, String(name), args));
      known.set(name, method);
      return method;
    },
  });
}

function call(journal: Journal, method: unknown, name: string, args: readonly unknown[]): unknown {
  try {
    const given: unknown = Reflect.apply(method as () => unknown, journal, args);
    if (!(given instanceof Promise)) return given;
    return given.catch(error => {
      throw asJournalError(error, name);
    });
  } catch (error) {
    throw asJournalError(error, name);
  }
}

/** A broken assumption of ours stays one. */
function asJournalError(error: unknown, name: string): unknown {
  if (error instanceof BlocksagaError || error instanceof BrokenAssumption) return error;
  const why = `the journal has failed (${name}): ${error instanceof Error ? error.message : String(error)}`;
  return new BlocksagaError('JOURNAL', why, { cause: error });
}
