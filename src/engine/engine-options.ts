/** What an engine is made with, looked at before its first saga: a journal or a publisher that is none would show in the middle of one. */
import { invalidIn } from '../errors.ts';
import type { EngineOptions } from './api.ts';

const FUNCTIONS = [
  'onCommit',
  'onListenerError',
  'trace',
  'ids',
  'askLeader',
] as const satisfies readonly (keyof EngineOptions)[];

/** Throws REQUEST_INVALID. */
export function expectOptions(options: EngineOptions): void {
  if (typeof options?.journal?.begin !== 'function')
    throw invalidIn(['journal'], 'a journal, as openJournal(file) gives one');
  const wrong = FUNCTIONS.find(name => options[name] !== undefined && typeof options[name] !== 'function');
  if (wrong !== undefined) throw invalidIn([wrong], 'a function');
}
