/**
 * Sees to it that one id has one effect: the same request submitted again under the same id, also at the same instant,
 * gets the same saga, or the same refusal. Knows the sagas of one engine; others are in the journal.
 */
import { BlocksagaError } from '../errors.ts';
import type { SagaRow } from '../journal/journal.ts';
import { endedSaga } from './running/ended-saga.ts';
import type { Saga } from './running/saga.ts';

/** What was asked for, under which id. */
interface Submission {
  readonly id: string;
  readonly operation: string;
  readonly request: object;
}

export class Submissions {
  readonly #running = new Map<string, Saga>();
  readonly #beginning = new Map<string, { readonly submission: Submission; readonly saga: Promise<Saga> }>();

  running(id: string): Saga | undefined {
    return this.#running.get(id);
  }

  runs(saga: Saga): void {
    this.#running.set(saga.id, saga);
  }

  ended(id: string): void {
    this.#running.delete(id);
  }

  /**
   * Begins, unless the same was submitted before: that saga is given then, whatever became of it. `row` is the journal's
   * of this id. Rejects with SAGA_STATE for another request under a known id, and for a saga of another process that has
   * not ended.
   */
  async submit(submission: Submission, row: SagaRow | undefined, begin: () => Promise<Saga>): Promise<Saga> {
    const { id } = submission;
    const beginning = this.#beginning.get(id);
    if (beginning !== undefined) {
      refuseOther(submission, beginning.submission);
      return beginning.saga;
    }
    if (row !== undefined) return this.#known(submission, row);
    const saga = begin();
    this.#beginning.set(id, { submission, saga });
    try {
      return await saga;
    } finally {
      this.#beginning.delete(id);
    }
  }

  #known(submission: Submission, row: SagaRow): Saga {
    const { id, state } = row;
    refuseOther(submission, { id, operation: row.operation, request: row.request as object });
    const running = this.#running.get(id);
    if (running !== undefined) return running;
    if (state === 'committed' || state === 'rolledBack') return endedSaga(row);
    throw new BlocksagaError(
      'SAGA_STATE',
      `saga ${id} has been submitted before and is ${state}; look at it with "blocksaga show ${id}"`,
      { saga: id },
    );
  }
}

function refuseOther({ id, operation, request }: Submission, known: Submission): void {
  if (operation === known.operation && JSON.stringify(request) === JSON.stringify(known.request)) return;
  throw new BlocksagaError('SAGA_STATE', `the id ${id} belongs to another request already; take a new one`, {
    saga: id,
  });
}
