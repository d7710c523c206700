/** The handle of a saga, made from the few things that differ: where it runs, and how it is asked. It keeps no state. */
import { BlocksagaError, invalidIn } from '../../errors.ts';
import type { SignalName } from '../durable/signals.ts';
import type { SagaResult } from './result.ts';
import type { Saga, SagaNotice } from './saga-types.ts';

/** What a handle is made from. */
export interface SagaCore
  extends Pick<
    Saga,
    'id' | 'vm' | 'operation' | 'metadata' | 'plan' | 'result' | 'ended' | 'subscribe' | 'setSpeed'
  > {
  signal(name: SignalName): Promise<SagaResult>;
}

/** `result` and `ended` may be getters: a saga that is only looked at is not watched before a caller waits for them. */
export function sagaOf(core: SagaCore): Saga {
  const saga: Saga = {
    id: core.id,
    vm: core.vm,
    operation: core.operation,
    metadata: core.metadata,
    plan: core.plan,
    get result() {
      return core.result;
    },
    get ended() {
      return core.ended;
    },
    subscribe: listener => core.subscribe(listener),
    until: what => untilOf(core, what),
    [Symbol.asyncIterator]: () => noticesOf(core),
    pivot: () => core.signal('pivot'),
    keepCopies: () => core.signal('keepCopies'),
    keepSnapshot: () => core.signal('keepSnapshot'),
    abort: () => core.signal('abort'),
    setSpeed: bytesPerSecond => core.setSpeed(bytesPerSecond),
  };
  return saga;
}

/**
 * The same promise, which no caller has to wait for: that the world has ended a saga otherwise is no unhandled rejection of the
 * process then. What rejects with a broken assumption of ours is one, unless another promise says the same (`isToldElsewhere`).
 */
export function mayBeLeft<T>(promise: Promise<T>, isToldElsewhere = () => false): Promise<T> {
  const { promise: left, resolve, reject } = Promise.withResolvers<T>();
  promise.then(resolve, error => {
    if (error instanceof BlocksagaError || isToldElsewhere()) left.catch(() => undefined);
    reject(error);
  });
  return left;
}

export async function untilOf(
  saga: Pick<Saga, 'id' | 'result' | 'ended'>,
  what: 'ready' | 'ended',
): Promise<SagaResult> {
  if (what === 'ended') return saga.ended;
  if (what !== 'ready') throw invalidIn(['until'], 'a saga is waited for until "ready" or "ended"');
  const result = await saga.result;
  if (result.outcome === 'ready') return result;
  const why = result.error === null ? '' : `: ${result.error.message}`;
  throw new BlocksagaError(
    'SAGA_STATE',
    `saga ${saga.id} has ended without waiting (${result.outcome}${why})`,
    {
      saga: saga.id,
    },
  );
}

/**
 * What `subscribe` tells, one after the other, until the end of the saga. One who reads slowly misses no state; of each disk's
 * progress he is given the last.
 */
export function noticesOf(
  saga: Pick<Saga, 'subscribe' | 'ended'>,
): AsyncIterableIterator<SagaNotice, undefined> {
  let waiting: SagaNotice[] = [];
  let isOver = false;
  let news = Promise.withResolvers<void>();
  /** All who wait look again, in the order of their asking. */
  const tell = (): void => {
    const told = news;
    news = Promise.withResolvers();
    told.resolve();
  };
  const unsubscribe = saga.subscribe(notice => {
    waiting = [...waiting.filter(other => !isOutdated(other, notice)), notice];
    tell();
  });
  const end = (): void => {
    isOver = true;
    unsubscribe();
    tell();
  };
  saga.ended.then(end, end);
  return {
    async next() {
      for (;;) {
        const notice = waiting.shift();
        if (notice !== undefined) return { done: false, value: notice };
        if (isOver) return { done: true, value: undefined };
        await news.promise;
      }
    },
    async return() {
      waiting = [];
      end();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function isOutdated(known: SagaNotice, next: SagaNotice): boolean {
  return known.type === 'progress' && next.type === 'progress' && known.disk === next.disk;
}
