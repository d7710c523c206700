/**
 * What is said where QEMU refuses to open, by its name, an image that a disk is to return to: the name may lead elsewhere by now, which a
 * saga that sees no files of QEMU's learns from nothing but the refusal. It decides nothing, and asks nothing.
 */
import { BlocksagaError, definedOnly } from '../errors.ts';
import type { DiskPlan } from '../plan/plan.ts';

/** The refusal, and what may help. */
export function refusedByName(
  error: BlocksagaError,
  { disk }: DiskPlan,
  files: readonly string[],
): BlocksagaError {
  const { code, message, qmp, retryable, effect } = error;
  const details = { disk, retryable, effect, cause: error, ...definedOnly({ qmp }) };
  return new BlocksagaError(
    code,
    `${message}; disk ${disk} is to return to ${files.join(', ')}, opened by name: where such a name leads to no file or to another one by now, put the right file back, then resume`,
    details,
  );
}
