/** Reads a journal page by page, so that one that has grown for years takes no more memory than a young one. */
import type { Journal, SagaFilter, SagaRow } from './journal.ts';

/** Rows that are in memory at once. */
const PAGE = 200;

/**
 * The sagas that match, newest first. What is begun meanwhile is not among them.
 *
 * @example
 * ```ts
 * for (const { id } of inPages(memoryJournal(), { state: 'committed' })) console.log(id);
 * ```
 */
export function* inPages(
  journal: Pick<Journal, 'sagas'>,
  filter: Omit<SagaFilter, 'before' | 'limit'> = {},
): Generator<SagaRow, void, void> {
  for (let before: string | undefined; ; ) {
    const page = journal.sagas({ ...filter, limit: PAGE, ...(before === undefined ? {} : { before }) });
    yield* page;
    // A journal that knows no limit has given all at once.
    if (page.length !== PAGE) return;
    before = page.at(-1)?.id;
  }
}
