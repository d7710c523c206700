/**
 * Waits for work that only asks, until it is ended from outside: what it comes to later is dropped then. A QEMU that does not
 * answer holds up neither a caller that has given up nor the end of the process.
 */
import { BlocksagaError } from '../errors.ts';

/** What ends it, and what is thrown then. */
export interface Ending {
  readonly signal: AbortSignal;
  readonly error: () => BlocksagaError;
}

/** A caller's own signal. */
export function abortedBy(signal: AbortSignal | undefined): readonly Ending[] {
  const error = () =>
    new BlocksagaError('ABORTED', 'this request was aborted before it was begun', { cause: signal?.reason });
  return signal === undefined ? [] : [{ signal, error }];
}

/** Throws what the ending says, or what the work throws. `late` is given what it comes to behind its ending. */
export async function unlessEnded<T>(
  endings: readonly Ending[],
  work: () => Promise<T>,
  late: (value: T) => void = () => undefined,
): Promise<T> {
  const ended = Promise.withResolvers<never>();
  const hear = endings.map(({ signal, error }) => {
    const end = () => ended.reject(error());
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
    return () => signal.removeEventListener('abort', end);
  });
  ended.promise.catch(() => undefined);
  const working = endings.some(({ signal }) => signal.aborted) ? ended.promise : work();
  try {
    return await Promise.race([working, ended.promise]);
  } catch (error) {
    working.then(late, () => undefined);
    throw error;
  } finally {
    for (const forget of hear) forget();
  }
}
