/** Limits that a caller says: what is no number would be no limit. */
import { BlocksagaError } from '../errors.ts';

/** Throws REQUEST_INVALID for what is no number above 0; what is not said is the default. */
export function expectLimit(name: string, value: number | undefined): void {
  if (value === undefined || value > 0) return;
  throw new BlocksagaError('REQUEST_INVALID', `${name} is ${value}: say a number above 0`);
}
