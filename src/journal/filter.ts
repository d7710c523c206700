/** What sagas may be looked up by, held against callers without types: what is misspelt must not look like "there are none". */
import { invalidIn } from '../errors.ts';
import type { SagaFilter, SagaState } from './journal.ts';

/** In which states a saga may be in a journal. */
export const SAGA_STATES = [
  'open',
  'committed',
  'rolledBack',
  'needsRecovery',
] as const satisfies readonly SagaState[];

const MEMBERS: Readonly<Record<keyof SagaFilter, true>> = {
  ...{ vm: true, state: true, operation: true, address: true, token: true },
  ...{ hasLeftovers: true, sinceMs: true, limit: true, before: true },
};

/** Throws REQUEST_INVALID for a state that there is not, and for a member that is none. */
export function expectFilter(filter: SagaFilter): void {
  const { state } = filter;
  if (state !== undefined && !SAGA_STATES.includes(state))
    throw invalidIn(['state'], `one of ${SAGA_STATES.join(', ')}`);
  const unknown = Object.keys(filter).find(name => !Object.hasOwn(MEMBERS, name));
  if (unknown !== undefined) throw invalidIn([unknown], 'sagas are not looked up by that');
}
