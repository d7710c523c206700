/** A saga that runs no more, as the journal tells it: it gives its result and hears no signal. */

import type { SagaRow } from '../../journal/journal.ts';
import type { Plan } from '../../plan/plan.ts';
import { hasEnded } from './has-ended.ts';
import type { SagaResult } from './result.ts';
import type { Saga } from './saga.ts';
import { reasonOf } from './waiting.ts';

export function endedSaga({ id, plan, result }: Pick<SagaRow, 'id' | 'plan' | 'result'>): Saga {
  const outcome = (result as object as SagaResult).outcome;
  const hearsNothing = (): Promise<SagaResult> => Promise.reject(hasEnded(id, outcome, reasonOf({ result })));
  return {
    id,
    plan: plan as object as Plan,
    result: Promise.resolve(result as object as SagaResult),
    subscribe: () => () => undefined,
    ended: Promise.resolve(result as object as SagaResult),
    pivot: hearsNothing,
    keepCopies: hearsNothing,
    keepSnapshot: hearsNothing,
    abort: hearsNothing,
    async setSpeed() {
      await hearsNothing();
    },
  };
}
