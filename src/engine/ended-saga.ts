/** A saga that runs no more, as the journal tells it: it gives its result and hears no signal. */
import { BlocksagaError } from '../errors.ts';
import type { SagaRow } from '../journal/journal.ts';
import type { Plan } from '../steps/plan.ts';
import type { SagaResult } from './result.ts';
import type { Saga } from './saga.ts';

export function endedSaga({ id, plan, result }: Pick<SagaRow, 'id' | 'plan' | 'result'>): Saga {
  const ended = (): Promise<SagaResult> =>
    Promise.reject(new BlocksagaError('SAGA_STATE', `saga ${id} has ended`, { saga: id }));
  return {
    id,
    plan: plan as object as Plan,
    result: Promise.resolve(result as object as SagaResult),
    subscribe: () => () => undefined,
    pivot: ended,
    abort: ended,
  };
}
