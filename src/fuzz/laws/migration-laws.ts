/**
 * The laws about a guest that may be migrated by a third party while its disks change: from which pause a saga resumes it,
 * and beside what it commits. What they excuse is in `excuses.ts`.
 */
import type { Account } from '../account/account.ts';
import { MIGRATED_AWAY } from '../account/migration-watch.ts';
import { endUnderFaults } from './excuse-conditions.ts';
import type { Pardon } from './pardon.ts';

/** For so long a look of the saga's is good: it cannot have seen what began since. Milliseconds. */
const UNSEEN_MS = 10;

/** States in which a guest's disks are another QEMU's, or are about to be. */
const ELSEWHERE: ReadonlySet<string> = new Set([...MIGRATED_AWAY, 'inmigrate']);

type Check = (account: Account, pardon: Pardon) => string | undefined;

export const resumesItsOwnPause: Check = (account, pardon) => {
  const { conts, migrations, crash } = account;
  if (crash !== undefined || pardon.excuses('its own pause', endUnderFaults(account))) return undefined;
  for (const { atMs, runState, isOfOwnPause } of conts) {
    if (!isOfOwnPause) return `cont was sent to a guest that the saga had not paused (${runState})`;
    const isKnown = migrations.some(({ fromMs }) => fromMs < atMs - UNSEEN_MS);
    if (ELSEWHERE.has(runState) && isKnown) return `cont was sent to a guest in ${runState}`;
  }
  return undefined;
};

export const commitsBesideNoMigration: Check = (account, pardon) => {
  const { crash, resultAtLast, records, migrations } = account;
  if (crash !== undefined || resultAtLast?.outcome !== 'committed') return undefined;
  if (pardon.excuses('beside no migration', endUnderFaults(account))) return undefined;
  const decidedMs = forwardSince(records);
  if (decidedMs === undefined) return undefined;
  const beside = migrations.find(
    ({ fromMs, toMs }) => fromMs < decidedMs - UNSEEN_MS && (toMs ?? Number.POSITIVE_INFINITY) > decidedMs,
  );
  if (beside === undefined) return undefined;
  return `it decided to roll forward ${decidedMs - beside.fromMs} ms after a live migration had begun`;
};

/** When it was decided for good, and not revoked any more. */
function forwardSince(records: Account['records']): number | undefined {
  let sinceMs: number | undefined;
  for (const { kind, body, atMs } of records) {
    if (kind !== 'decision') continue;
    const { verdict } = body as { readonly verdict?: string };
    if (verdict === 'forward') sinceMs ??= atMs;
    if (verdict === 'back') sinceMs = undefined;
  }
  return sinceMs;
}
