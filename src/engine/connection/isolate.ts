/**
 * Keeps what others run inside of a saga, listeners and inspectors, from changing what becomes of it: what they throw is
 * said once, as a warning of the process, and the saga goes on. It hides nothing else.
 */
import type { InspectionEvent, Observer } from 'xstate';

/** Calls `listener`; gives whether it did not throw. The first that it throws is a warning, what follows is more of it. */
export function isolated<T>(what: string, listener: (value: T) => void): (value: T) => void {
  let isTold = false;
  return value => {
    try {
      // One that was declared to give nothing may give a promise all the same.
      const given: unknown = listener(value);
      if (given instanceof Promise) given.catch(tell);
    } catch (error) {
      tell(error);
    }
  };
  function tell(error: unknown): void {
    if (isTold) return;
    isTold = true;
    warn(`${what} has thrown, which changes nothing for its saga: ${textOf(error)}`);
  }
}

/** The same of an inspector, as `createActor` takes one. */
export function isolatedInspector(
  inspect: Observer<InspectionEvent> | ((event: InspectionEvent) => void),
): (event: InspectionEvent) => void {
  return isolated('an inspector', event => {
    if (typeof inspect === 'function') inspect(event);
    else inspect.next?.(event);
  });
}

function warn(message: string): void {
  process.emitWarning(message, { type: 'BlocksagaWarning', code: 'BLOCKSAGA_LISTENER' });
}

/** What was thrown may be anything, also what cannot be made text. */
function textOf(error: unknown): string {
  try {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  } catch {
    return 'what it threw cannot be shown';
  }
}
