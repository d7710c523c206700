/**
 * A group: snapshots or clones of several guests at one instant, all or none, and what it came to. How a member pauses, votes and rolls
 * back is its saga's; what the group decided is in the journal.
 */
import type { ErrorRecord } from '../errors.ts';
import type { Guest } from './connection/guest.ts';
import type { LeaderLost } from './durable/leader-lost.ts';
import type { Hosts } from './group-hosts.ts';
import type { ResumeOptions } from './resume.ts';
import type { SagaResult } from './running/result.ts';
import type { Saga } from './running/saga-types.ts';

/** A group of this process or of another one. */
export interface Group {
  readonly id: string;
  /** Those that were begun: one for each request, in their order. */
  readonly members: readonly Saga[];
  /** Resolves when all members have ended. Rejects as a member's `ended` does. */
  readonly result: Promise<GroupResult>;
  /** Rolls all members back if the group has not decided to commit; resolves at the end. Throws SAGA_STATE when it has. */
  abort(): Promise<GroupResult>;
}

/** What of a group is not in its members. */
export interface GroupOptions {
  /** The same id twice is the same group. */
  readonly id?: string | undefined;
  /** Where it has guests of other hosts, whose engines are joined to this one; the agents of a fleet do so. */
  readonly hosts?: Hosts;
}

/** How a group is resumed. */
export interface ResumeGroupOptions extends Pick<ResumeOptions, 'force' | 'acceptRestored'> {
  /** Where the guests are reached, in the order of the requests; the journal remembers addresses. */
  readonly guests?: readonly Partial<Guest>[];
  /** Decides for a part whose leading host is lost for good; see {@link LeaderLost} for what that promises. */
  readonly leaderLost?: LeaderLost;
}

/** What a group came to. */
export interface GroupResult {
  readonly group: string;
  /** `needsRecovery`: what the group decided has not come about on a member yet; `resume` that one. */
  readonly outcome: SagaResult['outcome'];
  /** Why it was rolled back: the failure of the member that was first to fail. */
  readonly error: ErrorRecord | null;
  /** The longest time that one of the guests was paused; milliseconds. */
  readonly blackoutMs: number | null;
  /** How much of that the first guest with its overlays waited for the last; null where not all had them, and of an earlier process. */
  readonly waitedMs: number | null;
  readonly members: readonly SagaResult[];
}

/** The group's handle over its members'. `waitedMs` is asked when all have ended. */
export function groupOf(
  id: string,
  members: readonly Saga[],
  ending: Promise<unknown>,
  waitedMs: () => number | null = () => null,
): Group {
  const result = resultOf(id, members, ending, waitedMs);
  result.catch(() => undefined); // for those who wait for it; until then it is not an unhandled one
  return {
    ...{ id, members, result },
    async abort() {
      const told = await Promise.allSettled(members.map(member => member.abort()));
      const came = await result;
      const late = told.find(each => each.status === 'rejected');
      if (came.outcome !== 'rolledBack' && late !== undefined) throw late.reason;
      return came;
    },
  };
}

async function resultOf(
  group: string,
  members: readonly Saga[],
  ending: Promise<unknown>,
  waitedMs: () => number | null,
): Promise<GroupResult> {
  const settled = await Promise.allSettled(members.map(({ ended }) => ended));
  await ending;
  const lost = settled.find(each => each.status === 'rejected');
  if (lost !== undefined) throw lost.reason;
  const results = settled.flatMap(each => (each.status === 'fulfilled' ? [each.value] : []));
  const pauses = results.flatMap(({ blackoutMs }) => (blackoutMs === null ? [] : [blackoutMs]));
  return {
    group,
    outcome: outcomeOf(results),
    error: firstFailure(results),
    blackoutMs: pauses.length === 0 ? null : Math.max(...pauses),
    waitedMs: waitedMs(),
    members: results,
  };
}

function outcomeOf(results: readonly SagaResult[]): SagaResult['outcome'] {
  if (results.every(({ outcome }) => outcome === 'rolledBack')) return 'rolledBack';
  return results.every(({ outcome }) => outcome === 'committed') ? 'committed' : 'needsRecovery';
}

/** Not that of a member which only followed the others. */
function firstFailure(results: readonly SagaResult[]): ErrorRecord | null {
  const errors = results.flatMap(({ error }) => (error === null ? [] : [error]));
  return errors.find(({ code }) => code !== 'GROUP') ?? errors[0] ?? null;
}
