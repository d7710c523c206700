/**
 * Whether a saga has decided for images whose names led elsewhere by then, though it had a choice and a look that could tell. Pure.
 */

import { member } from '../../journal/body.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import { keyOf, splitKey } from '../../steps/stages.ts';
import type { Account } from '../account/account.ts';
import type { DiskSight } from '../account/sight.ts';
import { isClone } from '../scenario/wish.ts';
import { isBareClaim, isMoved, isUnseen, movedBelow } from './moved-files.ts';

type Deciding = Pick<Account, 'moved' | 'row' | 'endedMs' | 'scenario' | 'before' | 'records' | 'enteredMs'>;

/** A name that led elsewhere before the last look in front of the decision, and that the disk goes by all the same. */
export function decidedOver(account: Deciding, index: number, disk: DiskSight): string | undefined {
  const decision = decisionFor(account, index);
  if (decision === undefined || isClone(account.scenario.wish)) return undefined;
  const { stage, step } = splitKey(decision.step);
  // A state is called by its stage only where both stages have it.
  const enteredMs = (name: string) =>
    [keyOf(stage, name), name]
      .flatMap(place => account.enteredMs.get(place) ?? [])
      .findLast(ms => ms <= decision.atMs);
  const begunMs = ENDS_BY_ITSELF.has(step) ? begunAt(account, decision) : undefined;
  const lookedMs =
    begunMs ?? (isForward(decision) ? undefined : enteredMs('pauseGuest')) ?? enteredMs(step) ?? 0;
  // A process that died has made one before that, and the next one has made another.
  const moved = account.moved.filter(act => act.atMs < lookedMs && !isBareClaim(account, act));
  const isEarly = (name: string) => isMoved({ moved }, name) && !isUnseen({ ...account, moved }, name);
  return movedBelow(account, disk).find(isEarly);
}

/** Before QEMU 3.1 its job shortens the chain by itself, also while the saga has no process: there is no choice once it runs. */
const ENDS_BY_ITSELF: ReadonlySet<string> = new Set(['rewriteFirst']);

function begunAt({ records }: Deciding, { step, seq }: JournalRecord): number | undefined {
  return records.findLast(each => each.kind === 'intent' && each.step === step && each.seq < seq)?.atMs;
}

/** The steps that roll forward since a guest has written to some of its new images, where it could not go back any more. */
const ROLL_FORWARD: ReadonlySet<string> = new Set(['commitRemainingDisks', 'commitRevert']);

function isForward({ step }: JournalRecord): boolean {
  return ROLL_FORWARD.has(splitKey(step).step);
}

/**
 * The record that decided for this disk. One of which a step rolls forward that found it on its new image already was not decided for by
 * that: what the guest has written is there, whatever its name leads to, and in no image that it could be put back on.
 */
function decisionFor({ records, scenario }: Deciding, index: number): JournalRecord | undefined {
  const decisions = records.filter(
    ({ kind, body }) => kind === 'decision' && member(body, 'verdict') === 'forward',
  );
  const last = decisions.at(-1);
  if (last === undefined || !isForward(last)) return last;
  const begun =
    records.findLast(({ kind, step }) => kind === 'intent' && step === last.step)?.seq ?? last.seq;
  const before = records.findLast(({ body, seq }) => seq < begun && Array.isArray(member(body, 'onImage')));
  const found = member(before?.body ?? null, 'onImage');
  const wasThere = Array.isArray(found) && found.includes(scenario.wish.named.indexOf(index));
  return wasThere ? decisions.findLast(each => !isForward(each)) : last;
}
