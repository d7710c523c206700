/** Which signals a state handles: those that a saga can still follow there. The step that runs hears of them by itself. */
import { splitKey } from '../steps/stages.ts';
import type { Place } from './places.ts';
import type { Route } from './route.ts';
import type { SagaSignal } from './saga-setup.ts';

type Handlers = Partial<Record<SagaSignal, { readonly actions: 'recordSignal' }>>;

/** Until its decision a saga can be aborted; it takes the signals that it waits for until it has waited for them. */
export function signalsAt({ isDecided, step, mayWait }: Place, { keepsCopies, asks }: Route): Handlers {
  if (isDecided) return {};
  const canKeep = asks !== undefined && splitKey(step).stage !== splitKey(asks.step).stage;
  return signalsIn([
    'abort',
    ...(mayWait ? ['pivot' as const] : []),
    ...(mayWait && keepsCopies !== undefined ? ['keepCopies' as const] : []),
    ...(canKeep ? ['keepSnapshot' as const] : []),
  ]);
}

export function signalsIn(signals: readonly SagaSignal[]): Handlers {
  return Object.fromEntries(signals.map(signal => [signal, { actions: 'recordSignal' }]));
}
