/**
 * Bodies of the journal: their text, JSON in which integers past 2^53 are exact and at most 1 MiB of it, and their members. Knows
 * nothing of sagas or of where the text goes.
 */

import { BlocksagaError, invariant } from '../errors.ts';
import type { Json } from '../qmp/transport.ts';

/** The most that one body may take, in bytes of UTF-8 text. */
const BODY_SIZE_MAX_BYTES = 1024 * 1024;

/** Members and elements within one another; deeper than anything that QEMU answers with. */
const DEPTH_MAX = 100;

// In V8 since 11.4 (Node 21), not yet in TypeScript's library.
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/**
 * The body as JSON text. Throws `JOURNAL` when it is above {@link BODY_SIZE_MAX_BYTES}; crashes when it is no JSON value.
 *
 * @example
 * ```ts
 * console.log(encodeBody({ offset: 18446744073709551615n })); // {"offset":18446744073709551615}
 * ```
 */
export function encodeBody(body: Json): string {
  const survey = { sizeBytes: 0, hasBigint: false };
  measure(body, survey, 0);
  const text = survey.hasBigint ? JSON.stringify(body, exactly) : JSON.stringify(body);
  // A UTF-16 unit is at most three bytes, so most texts need not be counted.
  if (text.length * 3 > BODY_SIZE_MAX_BYTES) refuseAbove(Buffer.byteLength(text));
  return text;
}

/** The value of a text that {@link encodeBody} made; an integer past 2^53 is a `bigint`. Throws `SyntaxError` for others. */
export function decodeBody(text: string): Json {
  return /\d{16}/.test(text) ? JSON.parse(text, exactInteger) : JSON.parse(text);
}

/** A member of a body that is an object; null where there is none. */
export function member(body: Json, name: string): Json {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return null;
  return (body as { readonly [key: string]: Json })[name] ?? null;
}

/**
 * Refuses what can be no body, without making text: for a store that keeps values. Throws `JOURNAL` when the text would
 * surely be above {@link BODY_SIZE_MAX_BYTES}; crashes when it is no JSON value.
 */
export function checkBody(body: Json): void {
  measure(body, { sizeBytes: 0, hasBigint: false }, 0);
}

/** Adds up what the text takes at least. */
function measure(value: Json, survey: { sizeBytes: number; hasBigint: boolean }, depth: number): void {
  invariant(depth <= DEPTH_MAX, `a body of the journal is nested more than ${DEPTH_MAX} deep`);
  survey.sizeBytes += typeof value === 'string' ? value.length + 2 : 1;
  refuseAbove(survey.sizeBytes);
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return;
  if (typeof value === 'bigint') {
    survey.hasBigint = true;
  } else if (Array.isArray(value)) {
    for (const element of value) measure(element, survey, depth + 1);
  } else if (typeof value === 'object') {
    for (const key of Object.keys(value)) {
      survey.sizeBytes += key.length + 3;
      measure((value as { readonly [key: string]: Json })[key] as Json, survey, depth + 1);
    }
  } else {
    invariant(Number.isFinite(value), `${String(value)} is in a body of the journal and is no JSON`);
  }
}

function refuseAbove(sizeBytes: number): void {
  if (sizeBytes <= BODY_SIZE_MAX_BYTES) return;
  throw new BlocksagaError(
    'JOURNAL',
    `a body of ${sizeBytes} bytes is too big for the journal, which takes ${BODY_SIZE_MAX_BYTES}: name fewer disks in one saga`,
    { effect: 'notApplied' },
  );
}

function exactly(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? rawJSON(value.toString()) : value;
}

function exactInteger(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
}
