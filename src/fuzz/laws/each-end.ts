/** What the laws of how things end look at, and when they are asked: at the end under faults, and when all is calm. */
import type { Outcome, SagaResult } from '../../engine/running/result.ts';
import type { Account } from '../account/account.ts';
import type { Sight } from '../account/sight.ts';
import type { Pardon } from './pardon.ts';

/** What a law of the end looks at, and what it says is wrong. */
export type EndCheck = (end: {
  readonly account: Account;
  readonly pardon: Pardon;
  readonly outcome: Outcome | 'refused' | 'none';
  readonly result: SagaResult | undefined;
  readonly before: Sight;
  readonly now: Sight;
  /** The names that an administrator has given to their first files again by then; none at the end under faults. */
  readonly putBack: Account['moved'];
}) => string | undefined;

/** A law of how things end, asked at the end under faults and again when all is calm. */
export function eachEnd(check: EndCheck): (account: Account, pardon: Pardon) => string | undefined {
  return (account, pardon) => {
    if (account.crash !== undefined) return undefined;
    const { before, after, atLast, refusal, result, resultAtLast } = account;
    const outcome = refusal === undefined ? (result?.outcome ?? 'none') : 'refused';
    const wrong = check({ account, pardon, outcome, result, before, now: after, putBack: [] });
    if (wrong !== undefined) return `at ${outcome}: ${wrong}`;
    if (after === atLast) return undefined;
    const last = resultAtLast?.outcome ?? 'none';
    // What an administrator has put back by then is where it was.
    const moved = account.movedAtLast.filter(({ back }) => back === undefined);
    const putBack = account.movedAtLast.filter(({ back }) => back !== undefined);
    const wrongAtLast = check({
      ...{ account: { ...account, moved }, pardon, outcome: last, result: resultAtLast, before, now: atLast },
      putBack,
    });
    return wrongAtLast === undefined ? undefined : `at ${last}, resumed without faults: ${wrongAtLast}`;
  };
}
