/** A saga that runs no more, as the journal tells it: it gives its result and hears no signal. */

import type { SagaRow } from '../../journal/journal.ts';
import type { Plan } from '../../plan/plan.ts';
import { hasEnded } from './has-ended.ts';
import { metadataOf } from './notices.ts';
import type { SagaResult } from './result.ts';
import { sagaOf } from './saga-face.ts';
import type { Saga } from './saga-types.ts';
import { reasonOf } from './waiting.ts';

export function endedSaga(
  row: Pick<SagaRow, 'id' | 'vm' | 'operation' | 'request' | 'plan' | 'result'>,
): Saga {
  const { id, vm, operation, plan, result } = row;
  const outcome = (result as object as SagaResult).outcome;
  const hearsNothing = (): Promise<SagaResult> => Promise.reject(hasEnded(id, outcome, reasonOf({ result })));
  return sagaOf({
    ...{ id, vm, operation, plan: plan as object as Plan, metadata: metadataOf(row) },
    result: Promise.resolve(result as object as SagaResult),
    ended: Promise.resolve(result as object as SagaResult),
    subscribe: () => () => undefined,
    signal: hearsNothing,
    async setSpeed() {
      await hearsNothing();
    },
  });
}
