/** Reads errors out of XState's events. */
import { BlocksagaError, type ErrorCode, type ErrorRecord } from '../errors.ts';

/** Whether an `onError` transition carries an error of ours with this code. */
export function hasCode(event: object, code: ErrorCode): boolean {
  return 'error' in event && event.error instanceof BlocksagaError && event.error.code === code;
}

/** The error that an `onError` transition carries, as plain data. Throws what is none of ours as it is. */
export function errorOf(event: object): ErrorRecord | null {
  if (!('error' in event)) return null;
  const { error } = event;
  if (
    typeof error === 'object' &&
    error !== null &&
    'toJSON' in error &&
    typeof error.toJSON === 'function'
  ) {
    return error.toJSON() as ErrorRecord;
  }
  throw error;
}

/** Whether a migration was found before anything was let run: what was switched can still be taken back. */
export function migratesFirst(error: ErrorRecord | null): boolean {
  return error?.code === 'MIGRATING' && error.outcome === 'notApplied';
}
