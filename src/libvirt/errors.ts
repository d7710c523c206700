/**
 * The errors of this face: a category of libvirt's family, and the engine's own error as the cause. It decides on codes
 * and on QEMU's error class, never on texts.
 */
import { BlocksagaError, type ErrorCode, type ErrorRecord } from '../errors.ts';

/** libvirt's error categories, without their prefix. Source: libvirt 9, include/libvirt/virterror.h. */
export type LibvirtCategory =
  | 'INVALID_ARG'
  | 'OPERATION_INVALID'
  | 'OPERATION_UNSUPPORTED'
  | 'OPERATION_FAILED'
  | 'CONFIG_UNSUPPORTED'
  | 'ARGUMENT_UNSUPPORTED'
  | 'OVERFLOW'
  | 'BLOCK_COPY_ACTIVE'
  | 'INTERNAL_ERROR'
  | 'SYSTEM_ERROR'
  | 'XML_DETAIL';

/**
 * What every call of this face throws.
 *
 * @example
 * ```ts
 * const error = new LibvirtError('INVALID_ARG', 'no disk "vdz"');
 * console.log(error.name, error.category, error.errno); // LibvirtError INVALID_ARG undefined
 * ```
 */
export class LibvirtError extends Error {
  override readonly name = 'LibvirtError';
  readonly category: LibvirtCategory;
  /** For SYSTEM_ERROR: the name of the error number, such as `ENOENT`, where it is known. */
  readonly errno: string | undefined;

  constructor(
    category: LibvirtCategory,
    message: string,
    details: { readonly cause?: unknown; readonly errno?: string } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.category = category;
    this.errno = details.errno;
  }
}

/** Throws with this category. */
export function refuse(category: LibvirtCategory, message: string): never {
  throw new LibvirtError(category, message);
}

/** What libvirt would call each failure of the engine, where the call itself does not know better. */
const CATEGORIES: Readonly<Record<ErrorCode, LibvirtCategory>> = {
  REQUEST_INVALID: 'INVALID_ARG',
  UNKNOWN_DISK: 'INVALID_ARG',
  DISK_NAMED_TWICE: 'CONFIG_UNSUPPORTED',
  DISK_BUSY: 'OPERATION_UNSUPPORTED',
  GUEST_RUNS: 'OPERATION_INVALID',
  MIGRATING: 'OPERATION_INVALID',
  DISK_UNSUPPORTED: 'OPERATION_UNSUPPORTED',
  TARGET_EXISTS: 'CONFIG_UNSUPPORTED',
  TARGET_MISSING: 'SYSTEM_ERROR',
  TARGET_IN_USE: 'CONFIG_UNSUPPORTED',
  TARGET_NAMED_TWICE: 'CONFIG_UNSUPPORTED',
  TARGET_SIZE: 'OPERATION_FAILED',
  TARGET_CHAIN: 'CONFIG_UNSUPPORTED',
  CAPABILITY_MISSING: 'OPERATION_UNSUPPORTED',
  VM_BUSY: 'OPERATION_INVALID',
  SAGA_UNKNOWN: 'OPERATION_INVALID',
  JOURNAL_BEHIND: 'OPERATION_INVALID',
  SAGA_STATE: 'OPERATION_INVALID',
  ID_CONFLICT: 'OPERATION_INVALID',
  CLOSED: 'OPERATION_INVALID',
  QMP_CONNECT: 'OPERATION_INVALID',
  QMP_COMMAND: 'INTERNAL_ERROR',
  QMP_TIMEOUT: 'INTERNAL_ERROR',
  QMP_DISCONNECTED: 'OPERATION_FAILED',
  QMP_PROTOCOL: 'INTERNAL_ERROR',
  QEMU_REPLACED: 'OPERATION_FAILED',
  JOB_FAILED: 'OPERATION_FAILED',
  JOB_VANISHED: 'OPERATION_FAILED',
  NOT_CONVERGING: 'OPERATION_FAILED',
  DEADLINE: 'OPERATION_FAILED',
  FOREIGN: 'OPERATION_FAILED',
  OVERTAKEN: 'OPERATION_FAILED',
  BOTH_SIDES: 'OPERATION_FAILED',
  DISK_UNPLUGGED: 'OPERATION_FAILED',
  VERIFY_FAILED: 'OPERATION_FAILED',
  FILES: 'SYSTEM_ERROR',
  PUBLISH: 'OPERATION_FAILED',
  ABORTED: 'OPERATION_FAILED',
  GROUP: 'OPERATION_FAILED',
  JOURNAL: 'INTERNAL_ERROR',
  INTERNAL: 'INTERNAL_ERROR',
};

/** A failure of the engine in libvirt's terms; what is no `BlocksagaError` is a defect and stays what it is. */
export function inLibvirtTerms(error: unknown): unknown {
  if (!(error instanceof BlocksagaError)) return error;
  const errno = error.code === 'TARGET_MISSING' ? 'ENOENT' : errnoOf(error.cause);
  return new LibvirtError(CATEGORIES[error.code], error.message, {
    cause: error,
    ...(errno === undefined ? {} : { errno }),
  });
}

/** The same for an error that a saga's result carries. */
export function ofRecord(record: ErrorRecord): LibvirtError {
  const cause = BlocksagaError.fromRecord(record);
  return new LibvirtError(CATEGORIES[record.code], record.message, { cause });
}

/** Runs `act`; what the engine throws comes out in libvirt's terms. */
export async function translated<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw inLibvirtTerms(error);
  }
}

function errnoOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error) || !('code' in cause)) return undefined;
  return typeof cause.code === 'string' && /^E[A-Z0-9]+$/.test(cause.code) ? cause.code : undefined;
}
