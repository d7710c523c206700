/** Who tells the user how a saga goes. A reporter only tells; it decides nothing and must never fail the saga. */
import type { SagaResult } from '../engine/result.ts';
import type { Saga, SagaNotice } from '../engine/saga.ts';

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
