/** Reads errors out of XState's events. */
import { BlocksagaError, type ErrorCode, type ErrorRecord } from '../errors.ts';

/** Whether an `onError` transition carries an error of ours with this code. */
export function hasCode(event: object, code: ErrorCode): boolean {
  return 'error' in event && event.error instanceof BlocksagaError && event.error.code === code;
}

/**
 * What a host rejects with when a broken assumption of its own must end the saga at once, instead of being compensated; `cause`
 * is what was thrown.
 */
export class Crash extends Error {}

/**
 * The error that an `onError` transition carries, as plain data. A step that the caller passed may throw anything: what
 * is none of ours is a failure like any other (INTERNAL, with an unknown effect). Throws a {@link Crash}.
 */
export function errorOf(event: object): ErrorRecord | null {
  if (!('error' in event)) return null;
  const { error } = event;
  if (error instanceof Crash) throw error;
  if (error instanceof BlocksagaError) return error.toJSON();
  const step = 'actorId' in event ? String(event.actorId) : 'a step';
  return new BlocksagaError('INTERNAL', `${step} has thrown: ${textOf(error)}`, { cause: error }).toJSON();
}

/** One error that also says the other one: why its guest was not resumed, where it stays paused behind an undo that failed. */
export function withLater(first: ErrorRecord | null, later: ErrorRecord | null): ErrorRecord | null {
  if (first === null || later === null) return first ?? later;
  if (later.code === 'QMP_CONNECT' || first.message.includes(later.message)) return first;
  return { ...first, message: `${first.message}; ${later.message}` };
}

/** What was thrown may be anything, also what cannot be made text. */
function textOf(error: unknown): string {
  try {
    return String(error);
  } catch {
    return 'what cannot be shown';
  }
}

/** Whether a migration was found before the guest was resumed: what was switched can still be rolled back. */
export function migratesFirst(error: ErrorRecord | null): boolean {
  return error?.code === 'MIGRATING' && error.effect === 'notApplied';
}
