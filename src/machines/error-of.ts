/** Reads errors out of XState's events. */
import type { ErrorRecord } from '../errors.ts';

/** The error that an `onError` transition carries, as plain data. */
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
