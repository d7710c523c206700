/** The journals of a page as one: one list of their sagas, and for each saga the journal that it is in. */
import { BlocksagaError } from '../errors.ts';
import { sagaIsUnknown } from '../journal/refusals.ts';
import { inOrder } from './listed.ts';
import type { Listed } from './listed-saga.ts';
import { JournalSource, type ShownJournal, type ShownWith } from './shown-journal.ts';
import type { Trouble } from './trouble.ts';

/** More are no list that a person reads. */
const JOURNALS_MAX = 32;
/** It stands in addresses. A file's own name may be as long as files are called. */
const NAME_MAX = 300;

interface Unread {
  readonly of: string | null;
  readonly error: BlocksagaError;
}

export class Sources {
  readonly all: readonly JournalSource[];

  /** Throws REQUEST_INVALID for too many, and for two that are called the same. */
  constructor(shown: readonly ShownJournal[], among: ShownWith) {
    const names = shown.map(({ name }) => name);
    if (shown.length > JOURNALS_MAX) {
      throw new BlocksagaError('REQUEST_INVALID', `a page shows at most ${JOURNALS_MAX} journals`);
    }
    const twice = names.find((name, at) => names.indexOf(name) !== at);
    if (shown.length > 1 && (twice !== undefined || names.includes(undefined))) {
      throw new BlocksagaError(
        'REQUEST_INVALID',
        `each journal of a page needs a name of its own: ${twice === undefined ? 'one has none' : `two are called "${twice}"`}`,
      );
    }
    const long = names.find(name => (name?.length ?? 0) > NAME_MAX);
    if (long !== undefined) {
      throw new BlocksagaError(
        'REQUEST_INVALID',
        `the name of a journal has at most ${NAME_MAX} characters, and ${long.slice(0, NAME_MAX)}... has ${long.length}`,
      );
    }
    this.all = shown.map(each => new JournalSource(each, among));
  }

  /** Those that need a person on top, of all journals. Throws only where none can be read. */
  list(older: number): readonly Listed[] {
    const [lists, troubles] = this.#tryEach(source => source.list(older));
    if (lists.length === 0 && troubles[0] !== undefined) throw troubles[0].error;
    return inOrder(lists.flat());
  }

  hasMore(older: number): boolean {
    return this.#tryEach(source => source.hasMore(older))[0].some(Boolean);
  }

  troubles(): readonly Trouble[] {
    if (this.all.length === 1) return []; // the list says it
    const [, troubles] = this.#tryEach(source => source.hasMore(0));
    return troubles.map(({ of, error }) => ({ of, message: error.message }));
  }

  /** The journal of this name; without a name, the only one that has the saga. Throws SAGA_UNKNOWN, and REQUEST_INVALID where several have it. */
  of(name: string | null, saga: string): JournalSource {
    const [only] = this.all;
    if (only !== undefined && this.all.length === 1 && (name === null || name === only.name)) return only;
    const found = this.#tryEach(source => (source.has(saga) ? source : null))[0].filter(
      each => each !== null,
    );
    const named = name === null ? found : found.filter(source => source.name === name);
    const [source, another] = named;
    if (source === undefined) throw sagaIsUnknown(saga);
    if (another === undefined) return source;
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `saga ${saga} is in several journals: ${named.map(each => each.name).join(', ')}; choose it in the list`,
      { saga },
    );
  }

  close(): void {
    for (const source of this.all) source.close();
  }

  #tryEach<T>(
    of: (source: JournalSource) => T,
  ): readonly [values: readonly T[], troubles: readonly Unread[]] {
    const values: T[] = [];
    const troubles: Unread[] = [];
    for (const source of this.all) {
      try {
        values.push(of(source));
      } catch (error) {
        if (!(error instanceof BlocksagaError)) throw error;
        troubles.push({ of: source.name, error });
      }
    }
    return [values, troubles];
  }
}
