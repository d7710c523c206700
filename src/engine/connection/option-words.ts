/**
 * Options that no schema checks, held against callers without types: one that says what there is not is refused, and never taken as not
 * said, since some of them are promises. Checks words and switches only.
 */
import { invalidIn } from '../../errors.ts';

/** Throws REQUEST_INVALID for a word that is none of these. */
export function expectWord(option: string, words: readonly string[], value: unknown): void {
  if (value === undefined || words.some(word => word === value)) return;
  throw invalidIn([option], words.length === 1 ? `"${words[0]}", or left out` : `one of ${words.join(', ')}`);
}

/** Throws REQUEST_INVALID for a flag that is not a boolean: any text would count as true. */
export function expectSwitches<T extends object>(options: T, ...names: readonly (keyof T & string)[]): void {
  const wrong = names.find(name => options[name] !== undefined && typeof options[name] !== 'boolean');
  if (wrong !== undefined) throw invalidIn([wrong], 'true or false');
}
