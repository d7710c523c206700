/** What a move has done so far, guest by guest; kept as the state of its workflow, and told to who asks. */
import type { SagaOutcome } from '../guest-object.ts';
import type { DiskMove } from './request.ts';

export interface GuestReport {
  readonly guest: string;
  readonly host: string;
  /** The saga on its host: "blocksaga show SAGA" there. */
  readonly saga: string;
  readonly disks: readonly DiskMove[];
  /**
   * `refused` by its agent; `waits` for its turn; `copies`; `ready` waits for all others; then the saga's outcome. `movedBack`: it was
   * switched, and is on images beside its old ones again.
   */
  readonly state:
    | 'refused'
    | 'waits'
    | 'copies'
    | 'ready'
    | 'committed'
    | 'rolledBack'
    | 'needsRecovery'
    | 'movedBack'
    | 'failed';
  readonly blackoutMs?: number;
  /** Why it is not on its new images. */
  readonly why?: string;
  /** What its saga, and the saga that took it back, have left on its host, in words; absent where that is nothing. */
  readonly leftovers?: readonly string[];
}

export interface MoveReport {
  /**
   * `planned` has done nothing; `refused` neither. `done`: every guest is on its new images; `incomplete`: all have ended, and some are
   * not on them; `stopped` has left some out.
   */
  readonly state:
    | 'planning'
    | 'planned'
    | 'refused'
    | 'moving'
    | 'stopping'
    | 'takingBack'
    | 'done'
    | 'incomplete'
    | 'stopped'
    | 'takenBack';
  readonly guests: readonly GuestReport[];
  /** What is wrong with the request as a whole. */
  readonly why?: string;
}

/** What a move is whose last guest has ended: done is nothing but all of them on their new images. */
export function endOf(guests: readonly GuestReport[]): 'done' | 'incomplete' | 'stopped' {
  if (guests.some(({ state }) => state === 'waits')) return 'stopped';
  return guests.every(({ state }) => state === 'committed') ? 'done' : 'incomplete';
}

const OUTCOMES = ['committed', 'rolledBack', 'needsRecovery'] as const;

/** What has become of a guest by its saga. A copy whose object could not say it has failed: its host's journal knows. */
export function guestEnd(outcome: SagaOutcome | undefined, failure?: string): Partial<GuestReport> {
  const state = OUTCOMES.find(each => each === outcome?.outcome) ?? 'failed';
  const elsewhere = state === 'committed' ? whyElsewhere(outcome) : undefined;
  const why = failure ?? elsewhere ?? outcome?.error?.message;
  const { blackoutMs, leftovers = [] } = outcome ?? {};
  return {
    state: elsewhere === undefined ? state : 'failed',
    ...(typeof blackoutMs === 'number' ? { blackoutMs } : {}),
    ...(why === undefined ? {} : { why }),
    ...(leftovers.length === 0 ? {} : { leftovers }),
  };
}

/** A copy may commit without a switch: where a third party has asked it to keep its copies alone, or has unplugged a disk. */
function whyElsewhere(outcome: SagaOutcome | undefined): string | undefined {
  const left = (outcome?.disks ?? []).filter(
    ({ before, after }) => after === null || after.file === before.file,
  );
  if (left.length === 0) return undefined;
  const disks = left.map(({ disk, after }) =>
    after === null ? `${disk} is unplugged` : `${disk} is on ${after.file}`,
  );
  return `its saga has committed, but not onto all of the new images: ${disks.join(', ')}`;
}
