/**
 * Sees to it that one id has one effect: the same request submitted again under the same id, also at the same instant,
 * gets the same saga, or the same refusal. Knows the sagas of one engine; others are in the journal.
 */
import { BlocksagaError } from '../errors.ts';
import type { SagaRow } from '../journal/journal.ts';
import { isSameRequest } from '../operations/same-request.ts';
import type { Guest } from './connection/guest.ts';
import type { RunningSaga } from './running/saga.ts';
import type { Saga } from './running/saga-types.ts';

/** What was asked for, under which id. */
export interface Submission {
  readonly id: string;
  readonly operation: string;
  readonly request: object;
}

/** How a submission is answered. */
interface Answers {
  /** The journal's of this id. */
  row(): SagaRow | undefined;
  begin(): Promise<Saga>;
  /** Gives the saga of that row, whatever has become of it. */
  known(row: SagaRow): Promise<Saga>;
}

export class Submissions {
  readonly #running = new Map<string, { readonly saga: RunningSaga; readonly qmp: Guest['qmp'] }>();
  readonly #beginning = new Map<string, { readonly submission: Submission; readonly saga: Promise<Saga> }>();

  running(id: string): RunningSaga | undefined {
    return this.#running.get(id)?.saga;
  }

  get all(): readonly RunningSaga[] {
    return [...this.#running.values()].map(({ saga }) => saga);
  }

  /** The saga of this engine that speaks through this very connection. */
  through(qmp: Guest['qmp']): RunningSaga | undefined {
    if (typeof qmp === 'string') return undefined; // the journal knows its address
    for (const running of this.#running.values()) if (running.qmp === qmp) return running.saga;
    return undefined;
  }

  runs(saga: RunningSaga, qmp: Guest['qmp']): void {
    this.#running.set(saga.id, { saga, qmp });
  }

  /** It has ended, was let go of, or was begun again. */
  ended(saga: RunningSaga): void {
    if (this.running(saga.id) === saga) this.#running.delete(saga.id);
  }

  /**
   * Begins, unless the same was submitted before, here or in another process: that saga is given then, whatever became of it.
   * Rejects with ID_CONFLICT for another request under a known id.
   */
  async submit(submission: Submission, answers: Answers): Promise<Saga> {
    const { id } = submission;
    const beginning = this.#beginning.get(id);
    if (beginning !== undefined) {
      refuseOther(submission, beginning.submission);
      return beginning.saga;
    }
    const saga = this.#answer(submission, answers);
    this.#beginning.set(id, { submission, saga });
    try {
      return await saga;
    } finally {
      this.#beginning.delete(id);
    }
  }

  async #answer(submission: Submission, answers: Answers): Promise<Saga> {
    const row = answers.row();
    if (row !== undefined) {
      refuseOtherRow(submission, row);
      return this.running(submission.id) ?? answers.known(row);
    }
    try {
      return await answers.begin();
    } catch (error) {
      // Another process has begun the same meanwhile, and is in the way of this one.
      const now = error instanceof BlocksagaError && !isOwn(error) ? answers.row() : undefined;
      if (now === undefined) throw error;
      refuseOtherRow(submission, now);
      return answers.known(now);
    }
  }
}

const begun = new WeakSet<BlocksagaError>();

/** Says of an error that it is of a saga that was begun here. */
export function afterBegin(error: unknown): unknown {
  if (error instanceof BlocksagaError) begun.add(error);
  return error;
}

function isOwn(error: BlocksagaError): boolean {
  return begun.has(error);
}

/** Through which monitor the guest is reached is no part of what is asked for: it may have another one by now. */
function refuseOther(submission: Submission, known: Pick<Submission, 'operation' | 'request'>): void {
  const { id, operation, request } = submission;
  if (operation === known.operation && isSameRequest(operation, request, known.request)) return;
  throw new BlocksagaError('ID_CONFLICT', `the id ${id} belongs to another request; take a new one`, {
    saga: id,
  });
}

function refuseOtherRow(submission: Submission, { operation, request }: SagaRow): void {
  refuseOther(submission, { operation, request: request as object });
}
