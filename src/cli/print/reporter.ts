/** Who tells the user how a saga goes. A reporter only tells; it decides nothing and must never fail the saga. */
import type { SagaResult } from '../../engine/running/result.ts';
import type { Saga, SagaNotice } from '../../engine/running/saga.ts';
import type { CliContext } from './context.ts';
import { jsonLine } from './json-lines.ts';
import { reportBug } from './report-bug.ts';

/** A saga that has begun, and by what name its VM is known in the journal. */
export interface Begun {
  readonly saga: Saga;
  readonly vm: string;
}

/** A saga that has ended, or waits. */
export interface Ending {
  readonly saga: Saga;
  readonly result: SagaResult;
}

/** The port of `--json`, of plain lines and of the live view. */
export interface Reporter {
  begun(begun: Begun): void;
  notice(notice: SagaNotice): void;
  /** A line besides the saga's own, such as what an interrupt does. */
  say(line: string): void;
  ended(ending: Ending): Promise<void>;
}

/**
 * The same reporter, which must never change what becomes of a saga: what it throws is shown once as the bug that it is,
 * and a result that it could not tell is told as a line of JSON.
 */
export function neverThrowing(reporter: Reporter, context: CliContext): Reporter {
  let isTold = false;
  const caught = (error: unknown): void => {
    if (!isTold) reportBug(error, context);
    isTold = true;
  };
  const attempt = (tell: () => void): void => {
    try {
      tell();
    } catch (error) {
      caught(error);
    }
  };
  return {
    begun: begun => attempt(() => reporter.begun(begun)),
    notice: notice => attempt(() => reporter.notice(notice)),
    say: line => attempt(() => reporter.say(line)),
    ended: async ending => {
      try {
        await reporter.ended(ending);
      } catch (error) {
        caught(error);
        context.write(jsonLine({ type: 'result', ...ending.result }));
      }
    },
  };
}
