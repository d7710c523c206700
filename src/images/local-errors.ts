/** What the system says of files on this machine, and what becomes of it. */
import { BlocksagaError } from '../errors.ts';

export const NOTHING_THERE = ['ENOENT', 'ENOTDIR'] as const;
export const MAY_NOT = ['EACCES', 'EPERM', 'EROFS'] as const;

/** Undefined where it fails with one of these codes. */
export async function orUndefined<T>(promise: Promise<T>, codes: readonly string[]): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (codes.includes(codeOf(error))) return undefined;
    throw error;
  }
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

export function filesError(what: string, cause: unknown): BlocksagaError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BlocksagaError('FILES', `${what}: ${why}`, { cause });
}
