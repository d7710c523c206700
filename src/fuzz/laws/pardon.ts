/** What the excuses come to in one account. Judges nothing by itself. */
import type { Fault } from '../../sim/monitor/faults.ts';
import type { Account } from '../account/account.ts';
import type { Excuse } from './excuse.ts';
import type { EndJudged } from './excuse-conditions.ts';
import { EXCUSES } from './excuses.ts';

/** What is excused in one account. */
export interface Pardon {
  /** Whether the law is not to be held against this end, whatever was seen. */
  excuses(law: string, end: EndJudged): boolean;
  /** How much longer than the law says; milliseconds. */
  allowsMs(law: string, end: EndJudged): number;
}

export function pardonOf(account: Account, excuses: readonly Excuse[] = EXCUSES): Pardon {
  const isMet = (excuse: Excuse, end: EndJudged): number =>
    'world' in excuse
      ? Number(excuse.only(account, end))
      : account.struck.filter(
          struck =>
            nameOfFault(struck.fault) === excuse.fault && (excuse.only?.(struck, account, end) ?? true),
        ).length;
  return {
    excuses: (law, end) =>
      excuses.some(each => each.law === law && each.allowsMs === undefined && isMet(each, end) > 0),
    allowsMs: (law, end) =>
      excuses
        .filter(each => each.law === law && each.allowsMs !== undefined)
        .reduce((sum, each) => sum + (each.allowsMs ?? 0) * isMet(each, end), 0),
  };
}

/** What a row calls a fault. */
function nameOfFault(fault: Fault): string {
  if (fault.kind === 'otherClient') return `otherClient ${fault.execute}`;
  return fault.kind === 'refuse' && fault.lasting ? 'refuse lasting' : fault.kind;
}
