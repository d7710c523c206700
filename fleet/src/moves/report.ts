/** What a move has done so far, guest by guest; kept as the state of its workflow, and told to who asks. */
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
}

export interface MoveReport {
  /** `planned` has done nothing; `refused` neither; `stopped` has left some out. */
  readonly state:
    | 'planning'
    | 'planned'
    | 'refused'
    | 'moving'
    | 'stopping'
    | 'takingBack'
    | 'done'
    | 'stopped'
    | 'takenBack';
  readonly guests: readonly GuestReport[];
  /** What is wrong with the request as a whole. */
  readonly why?: string;
}

/** With one guest's report replaced. */
export function withGuest(report: MoveReport, guest: string, changed: Partial<GuestReport>): MoveReport {
  return {
    ...report,
    guests: report.guests.map(each => (each.guest === guest ? { ...each, ...changed } : each)),
  };
}
