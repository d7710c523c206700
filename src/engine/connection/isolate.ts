/**
 * Keeps listeners from changing what becomes of a saga: what one throws, or what its promise rejects with, goes to
 * `onListenerError`, and the saga continues. It hides nothing else.
 */
import type { InspectionEvent, Observer } from 'xstate';

/** Whose listener it was that threw. */
export interface ListenerPlace {
  readonly listener: 'subscribe' | 'inspect' | 'trace' | 'onCommit' | 'telemetry' | 'onBlockJob';
  readonly saga: string;
}

/**
 * Told of each error that a listener throws or rejects with, which changes nothing for the saga. What `onCommit` rejects
 * with is told here too; only that is tried again.
 */
export type OnListenerError = (error: unknown, place: ListenerPlace) => void;

type Tell = (error: unknown) => void;

/**
 * Reports the errors of one listener. Without `onListenerError` the first one is a warning of the process, and the
 * others are dropped.
 */
export function tellerOf(onListenerError: OnListenerError | undefined, place: ListenerPlace): Tell {
  let isWarned = false;
  const warnOnce = (error: unknown, whose: string): void => {
    if (isWarned) return;
    isWarned = true;
    warn(`${whose} has thrown, which changes nothing for saga ${place.saga}: ${textOf(error)}`);
  };
  if (onListenerError === undefined) return error => warnOnce(error, `a listener (${place.listener})`);
  return error =>
    guarded(
      () => onListenerError(error, place),
      failure => warnOnce(failure, 'onListenerError'),
    );
}

/** The same listener, whose errors are told and change nothing. */
export function isolated<T>(listener: (value: T) => void, tell: Tell): (value: T) => void {
  return value => guarded(() => listener(value), tell);
}

/** The same of an inspector, as `createActor` takes one. */
export function isolatedInspector(
  inspect: Observer<InspectionEvent> | ((event: InspectionEvent) => void),
  tell: Tell,
): (event: InspectionEvent) => void {
  return isolated(event => (typeof inspect === 'function' ? inspect(event) : inspect.next?.(event)), tell);
}

/** Calls; what was declared to give nothing may give a promise all the same, or what only looks like one. */
function guarded(call: () => unknown, tell: Tell): void {
  try {
    const given = call();
    if (isThenable(given)) Promise.resolve(given).catch(tell);
  } catch (error) {
    tell(error);
  }
}

function isThenable(given: unknown): given is PromiseLike<unknown> {
  return typeof given === 'object' && given !== null && 'then' in given && typeof given.then === 'function';
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
