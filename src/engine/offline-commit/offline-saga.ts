/** A commit without QEMU as a saga that runs: its result, and `abort`, which asks it to roll back. It decides nothing. */
import { BlocksagaError } from '../../errors.ts';
import type { Plan } from '../../plan/plan.ts';
import { hasEnded } from '../running/has-ended.ts';
import type { SagaResult } from '../running/result.ts';
import { sagaOf } from '../running/saga-face.ts';
import type { Saga } from '../running/saga-types.ts';
import { type OfflineParts, runOfflineCommit } from './merge-offline.ts';

/** Runs it; `signal` asks it to roll back, as `abort` does. */
export function offlineSaga(parts: Omit<OfflineParts, 'signal'>, signal: AbortSignal | undefined): Saga {
  const id = parts.lease.saga;
  const asked = new AbortController();
  let end: SagaResult | undefined;
  const result = runOfflineCommit({
    ...parts,
    signal: signal === undefined ? asked.signal : AbortSignal.any([asked.signal, signal]),
  }).then(ended => {
    end = ended;
    return ended;
  });
  const hasNothing = async (): Promise<never> => {
    throw new BlocksagaError('SAGA_STATE', `saga ${id} has nothing to switch: it merges and ends by itself`, {
      saga: id,
    });
  };
  return sagaOf({
    ...{ id, vm: parts.lease.vm, operation: parts.plan.operation, metadata: undefined },
    plan: parts.plan as object as Plan,
    result,
    ended: result,
    subscribe: () => () => undefined,
    async setSpeed() {
      throw new BlocksagaError('SAGA_STATE', `saga ${id} runs qemu-img, which has no speed to set`, {
        saga: id,
      });
    },
    async signal(name) {
      if (name !== 'abort') return hasNothing();
      if (end !== undefined) throw hasEnded(id, end.outcome, end.error?.message ?? null);
      asked.abort();
      return result;
    },
  });
}
