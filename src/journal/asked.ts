/** How what is asked of a saga from elsewhere stands in its records. Pure. */
import type { Json } from '../qmp/transport.ts';
import type { Asked, JournalRecord, NewRecord } from './journal.ts';

/** Tells what others ask from what the saga's own process has been asked and has written down itself. */
const FROM_ELSEWHERE = 'fromElsewhere';

export function askedRecord(signal: string, value: Json): NewRecord {
  return { kind: 'signal', step: signal, body: { [FROM_ELSEWHERE]: true, value } };
}

/** Undefined for a record that is none of these. */
export function askedIn({ kind, seq, step, body }: JournalRecord): Asked | undefined {
  if (kind !== 'signal' || typeof body !== 'object' || body === null || !(FROM_ELSEWHERE in body))
    return undefined;
  return { seq, signal: step, value: signalValue(body) };
}

/** The value that came with a signal. */
export function signalValue(body: Json): Json {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return null;
  return (body as { readonly [key: string]: Json })['value'] ?? null;
}
