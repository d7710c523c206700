/**
 * Which files a saga has made, as far as its records say: what it may remove, and what it must own up to when it is left.
 * It only reads.
 */
import type { JournalRecord } from '../journal/journal.ts';
import type { Json } from '../qmp/transport.ts';
import type { DiskPlan } from '../steps/plan.ts';

/** A file that stands where a saga was to make one. */
export interface StandingFile {
  readonly sizeBytes: number;
  readonly identity: string;
}

/** The identity under which the saga has claimed what stands there, when the records prove it. */
export function claimOf(
  disk: DiskPlan,
  { sizeBytes, identity }: StandingFile,
  records: readonly JournalRecord[],
): string | undefined {
  const claims = claimsIn(records);
  if (claims !== undefined) return claims.get(disk.index);
  // Died while claiming: what was free then, and is empty now, can only be the saga's own claim.
  return sizeBytes === 0 && mayHaveMade(disk, records) ? identity : undefined;
}

/** Whether the saga, or QEMU for it, may have made what stands there; false where the records prove that it did not. */
export function isMaybeOurs(disk: DiskPlan, identity: string, records: readonly JournalRecord[]): boolean {
  const claim = claimsIn(records)?.get(disk.index);
  return claim === undefined ? mayHaveMade(disk, records) : claim === identity;
}

/** Nothing stood there before, and nobody else's file was found there since. */
function mayHaveMade(disk: DiskPlan, records: readonly JournalRecord[]): boolean {
  const intent = records.findLast(({ kind, step }) => kind === 'intent' && step === 'claimFiles');
  const free = member(intent?.body ?? null, 'observed');
  if (!Array.isArray(free) || !free.includes(disk.index)) return false;
  const error = member(outcomeIn(records), 'error');
  return !(member(error, 'code') === 'TARGET_EXISTS' && member(error, 'disk') === disk.disk);
}

/** By disk, the identities of the files that were claimed; undefined when the records do not say. */
function claimsIn(records: readonly JournalRecord[]): ReadonlyMap<number, string> | undefined {
  const claims = member(outcomeIn(records), 'value');
  if (!Array.isArray(claims)) return undefined;
  return new Map(
    claims.map((claim: Json) => [Number(member(claim, 'index')), String(member(claim, 'identity'))]),
  );
}

function outcomeIn(records: readonly JournalRecord[]): Json {
  return records.findLast(({ kind, step }) => kind === 'outcome' && step === 'claimFiles')?.body ?? null;
}

function member(body: Json, name: string): Json {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return null;
  return (body as { readonly [key: string]: Json })[name] ?? null;
}
