/** Which ended sagas a journal's policy lets go of. It chooses; the store forgets them. */
import type { DatabaseSync } from 'node:sqlite';
import { BlocksagaError } from '../errors.ts';
import type { Keep } from './journal.ts';

export const DAY_MS = 24 * 60 * 60_000;

/** Sagas that are forgotten in one transaction, so that it takes a few milliseconds. */
export const FORGET_MAX = 25;

/** Throws REQUEST_INVALID. */
export function expectKeep(keep: Keep): void {
  if (typeof keep !== 'object' || keep === null)
    throw new BlocksagaError('REQUEST_INVALID', `keep is ${keep}`);
  for (const [name, value] of Object.entries(keep)) {
    if (value === undefined) continue;
    const isAllowed = name === 'days' ? Number.isFinite(value) : Number.isSafeInteger(value);
    if ((name === 'days' || name === 'count') && isAllowed && value >= 0) continue;
    const why = `keep: ${name} is ${value}: say days, and count as a whole number, 0 or more`;
    throw new BlocksagaError('REQUEST_INVALID', why);
  }
}

/** Parts of a group on other hosts may ask this one for its decision as long as they are in doubt, also past the policy. */
const ASKED_DAYS = 30;

/**
 * A group's row holds what its members may still ask for: it stays until all of them have ended, and where it has members on
 * other hosts, of which nothing is known here, for a month.
 */
export function isNeeded(nowMs: number): string {
  return `saga.operation = 'group' AND json_valid(saga.plan) AND (
  EXISTS (
    SELECT 1 FROM json_each(saga.plan, '$.members') AS member JOIN saga AS other ON other.id = member.value
    WHERE other.state IN ('open', 'needsRecovery'))
  OR (coalesce(json_array_length(saga.plan, '$.parts'), 0) > 0 AND saga.ended_at_ms > ${Math.floor(nowMs - ASKED_DAYS * DAY_MS)}))`;
}

// Named, since SQLite would choose the index by state, and read all rows of it.
const FORGETTABLE = `SELECT number FROM saga INDEXED BY saga_forgettable WHERE state IN ('committed', 'rolledBack')`;

/** Rows that are looked at for some to forget: more, for where some are needed. */
const LOOKED_AT = 40 * FORGET_MAX;

/** The numbers of some sagas that are not kept: of the old ones the oldest, of those above the count the newest. */
export function forgettable(db: DatabaseSync, { days, count }: Keep, nowMs: number): readonly number[] {
  const unneeded = (candidates: string, ...values: readonly number[]) =>
    db
      .prepare(`SELECT number FROM saga WHERE number IN (${candidates}) AND NOT (${isNeeded(nowMs)}) LIMIT ?`)
      .all(...values, FORGET_MAX)
      .map(row => Number(row['number']));
  const isOld = `${FORGETTABLE} AND ended_at_ms < ? ORDER BY ended_at_ms LIMIT ?`;
  const isAbove = `${FORGETTABLE} ORDER BY ended_at_ms DESC LIMIT ? OFFSET ?`;
  const old = days === undefined ? [] : unneeded(isOld, nowMs - days * DAY_MS, LOOKED_AT);
  if (count === undefined || old.length === FORGET_MAX) return old;
  return [...new Set([...old, ...unneeded(isAbove, LOOKED_AT, count)])].slice(0, FORGET_MAX);
}
