/** Why a saga needs recovery: what it failed by, and what its rollback failed by, which is to be put right first. Pure. */
import type { ErrorRecord } from '../../errors.ts';

/** One error that says both; the first alone where the second one says no more. */
export function bothFailures(
  failure: ErrorRecord | null,
  undoFailure: ErrorRecord | null,
): ErrorRecord | null {
  if (failure === null || undoFailure === null) return failure ?? undoFailure;
  const { code, message, step } = undoFailure;
  if (code === 'QMP_CONNECT' || message === failure.message) return failure;
  const what = step === undefined ? 'its rollback' : step.replace('.', ' ');
  const told = code === 'BOTH_SIDES' ? undoFailure : failure;
  return { ...told, message: `${failure.message}; after that, ${what} failed: ${message}` };
}
