/**
 * For how long a step is asked again, in one table: what a failure of it would lead to, by what is in doubt. How often a policy
 * tries is in `retry.ts`; for how long in a pause, in `insistence.ts`.
 */
import type { Step } from '../../steps/step/step.ts';
import {
  ANY,
  type Judge,
  type RetryPolicy,
  STUBBORN,
  TRANSIENT,
  WHILE_REACHABLE,
} from '../connection/retry.ts';

/** Which refusals are asked again. */
export interface Persistence {
  /** Of a look before anything of the step was sent; null for none. */
  readonly firstLook: Judge | null;
  /** Of a look when something of it may be there, which must not be undone for one that was refused. */
  readonly lookInDoubt: Judge;
  /** Of its effect. */
  readonly effect: Judge;
  /** How patiently; as the pause has it when left out. */
  readonly policy?: RetryPolicy;
}

const PERSISTENCE = {
  /** A failure rolls the saga back. */
  reversible: { firstLook: null, lookInDoubt: ANY, effect: TRANSIENT },
  /** A failure strands the saga. */
  pastReturn: { firstLook: null, lookInDoubt: ANY, effect: ANY },
  /** What it asks for may be away for minutes. */
  insists: { firstLook: ANY, lookInDoubt: ANY, effect: WHILE_REACHABLE, policy: STUBBORN },
} as const satisfies Readonly<Record<string, Persistence>>;

export function persistenceOf({ insists }: Step, isPastReturn: boolean): Persistence {
  if (insists) return PERSISTENCE.insists;
  return isPastReturn ? PERSISTENCE.pastReturn : PERSISTENCE.reversible;
}
