/**
 * When a saga may roll forward though it was asked to roll back: what a guest has written to merged or reverted disks, or may have, is
 * nowhere else. Pure.
 */
import { LEAST_MS } from '../../engine/connection/pause-bound.ts';
import { type Account, placeOf, type Struck } from '../account/account.ts';
import { isUnmarked } from '../scenario/since.ts';

/** The saga says that a rollback would lose writes, and the guest has run on a merged or reverted disk before that. */
export function isOvertaken({ recordsEnded: records, ranOnNew }: Account): boolean {
  return ranOnNew && records.some(({ kind, body }) => kind === 'outcome' && codeOf(body) === 'OVERTAKEN');
}

/** A saga of which a process has died says so of a QEMU that cannot be marked: nothing tells whether its guest has run since. */
export function isOvertakenUntold(account: Account): boolean {
  return isOvertakenBehindDeath(account) && isUnmarked(account.scenario);
}

/** The same where QEMU has refused the mark, which goes out in one write with what it is to tell of. */
export function isOvertakenUnmarked({ fault, sent, state }: Struck, account: Account): boolean {
  const isMark = fault.kind === 'refuse' && sent.includes('object-add') && SWITCHES.has(placeOf(state));
  return isMark && isOvertakenBehindDeath(account);
}

function isOvertakenBehindDeath({ deaths, recordsEnded: records }: Account): boolean {
  const isSaid = records.some(
    ({ kind, step, body }) => kind === 'outcome' && step.startsWith('undo.') && codeOf(body) === 'OVERTAKEN',
  );
  return deaths > 0 && isSaid;
}

/** The switch had begun before the abort, and a pause has lasted longer than it may. */
export function hasSwitchedTooLong({ recordsEnded: records, pauses, scenario }: Account): boolean {
  const asked = records.find(({ kind, step }) => kind === 'signal' && step === 'abort');
  const hadBegun = records.some(
    ({ kind, step, seq }) => kind === 'intent' && SWITCHES.has(step) && seq < (asked?.seq ?? 0),
  );
  const permittedMs = Math.max(scenario.wish.maxBlackoutMs, LEAST_MS);
  return hadBegun && pauses.some(({ fromMs, toMs }) => toMs - fromMs >= permittedMs);
}

/** The steps that put disks of a commit on their new images one after the other. */
const SWITCHES: ReadonlySet<string> = new Set(['completeMirrors', 'finalizeMirrors']);

function codeOf(body: unknown): string | undefined {
  return (body as { readonly error?: { readonly code?: string } } | null)?.error?.code;
}
