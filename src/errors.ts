/**
 * The one error of this project. A misbehaving world (QEMU said no, a socket broke, a request makes no sense) is a
 * `BlocksagaError`; a broken assumption of ours is an `invariant` and crashes. Nothing here decides on texts.
 */

/** Whether the one effect that failed is in the world. `unknown` means: ask before doing anything else. */
export type Effect = 'notApplied' | 'applied' | 'unknown';

/** What QEMU itself said, untouched. `class` is nearly always `GenericError`: never decide on `desc`. */
export interface QmpCause {
  readonly command: string;
  readonly class: string;
  readonly desc: string;
}

/** The saga that has the VM. */
export interface BlockedBy {
  readonly saga: string;
  readonly operation: string;
}

/** One field of a request that is not as it must be. */
export interface RequestIssue {
  /** Where it is, from the request down: `['disks', 0, 'to']`. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** The codes, each with at least one caller that reacts to exactly it; [retryable, whether the failed effect is in the world]. */
const CODES = {
  // Refused before anything was touched.
  REQUEST_INVALID: [false, 'notApplied'],
  UNKNOWN_DISK: [false, 'notApplied'],
  DISK_NAMED_TWICE: [false, 'notApplied'],
  DISK_BUSY: [false, 'notApplied'],
  GUEST_RUNS: [false, 'notApplied'],
  MIGRATING: [false, 'notApplied'],
  DISK_UNSUPPORTED: [false, 'notApplied'],
  TARGET_EXISTS: [false, 'notApplied'],
  TARGET_MISSING: [false, 'notApplied'],
  TARGET_IN_USE: [false, 'notApplied'],
  TARGET_NAMED_TWICE: [false, 'notApplied'],
  TARGET_SIZE: [false, 'notApplied'],
  TARGET_CHAIN: [false, 'notApplied'],
  CAPABILITY_MISSING: [false, 'notApplied'],
  VM_BUSY: [false, 'notApplied'],
  SAGA_UNKNOWN: [false, 'notApplied'],
  SAGA_STATE: [false, 'notApplied'],
  ID_CONFLICT: [false, 'notApplied'],
  CLOSED: [true, 'notApplied'],
  JOURNAL_BEHIND: [false, 'notApplied'],
  // The monitor or the guest agent.
  QMP_CONNECT: [true, 'notApplied'],
  QMP_COMMAND: [false, 'notApplied'],
  QMP_TIMEOUT: [true, 'unknown'],
  QMP_DISCONNECTED: [true, 'unknown'],
  QMP_PROTOCOL: [false, 'unknown'],
  QEMU_REPLACED: [false, 'unknown'],
  // Steps.
  JOB_FAILED: [false, 'notApplied'],
  JOB_VANISHED: [false, 'unknown'],
  NOT_CONVERGING: [false, 'notApplied'],
  DEADLINE: [false, 'unknown'],
  FOREIGN: [false, 'unknown'],
  OVERTAKEN: [false, 'notApplied'],
  BOTH_SIDES: [false, 'notApplied'],
  DISK_UNPLUGGED: [false, 'notApplied'],
  VERIFY_FAILED: [false, 'unknown'],
  FILES: [false, 'notApplied'],
  PUBLISH: [true, 'unknown'],
  ABORTED: [false, 'notApplied'],
  GROUP: [false, 'notApplied'],
  JOURNAL: [false, 'unknown'],
  // A broken assumption, as the journal remembers it of a saga that it has ended.
  INTERNAL: [false, 'unknown'],
} as const satisfies Record<string, readonly [boolean, Effect]>;

/** Every code that a {@link BlocksagaError} may carry. */
export type ErrorCode = keyof typeof CODES;

/** Whether a word is one of them; a journal of a newer program may hold another. */
export function isErrorCode(word: string): word is ErrorCode {
  return Object.hasOwn(CODES, word);
}

/** The same, to be counted. */
export const ERROR_CODES: readonly string[] = Object.keys(CODES);

/** Where and how it failed; all that is not given is taken from the code's row. */
export interface ErrorDetails {
  readonly retryable?: boolean;
  readonly effect?: Effect;
  readonly saga?: string;
  readonly step?: string;
  readonly disk?: string;
  readonly qmp?: QmpCause;
  /** Of VM_BUSY: whom to wait for. */
  readonly blockedBy?: BlockedBy;
  /** Of REQUEST_INVALID: every field that is wrong. */
  readonly issues?: readonly RequestIssue[];
  /** Of FILES: the names of images that are in doubt. Of BOTH_SIDES: those of both sides, which are kept. */
  readonly images?: readonly string[];
  readonly cause?: unknown;
}

/** An error as plain JSON: what the journal, the machines' context and `--json` carry. */
export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly effect: Effect;
  readonly saga?: string;
  readonly step?: string;
  readonly disk?: string;
  readonly cause?: QmpCause;
  readonly blockedBy?: BlockedBy;
  readonly issues?: readonly RequestIssue[];
  readonly images?: readonly string[];
}

/**
 * The error that everything public here throws or reports.
 *
 * @example
 * ```ts
 * const error = new BlocksagaError('UNKNOWN_DISK', 'no disk "vdz" in this guest', { disk: 'vdz' });
 * console.log(error.code, error.retryable, error.effect); // UNKNOWN_DISK false notApplied
 * ```
 */
export class BlocksagaError extends Error {
  override readonly name = 'BlocksagaError';
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly effect: Effect;
  readonly saga: string | undefined;
  readonly step: string | undefined;
  readonly disk: string | undefined;
  /** QEMU's own class, description and the command that it refused. */
  readonly qmp: QmpCause | undefined;
  /** With VM_BUSY where a saga of the journal has the VM: which. */
  readonly blockedBy: BlockedBy | undefined;
  /** With REQUEST_INVALID where fields of the request are wrong: all of them. */
  readonly issues: readonly RequestIssue[] | undefined;
  /** With FILES from `recoverOffline`: the names of images that are in doubt, which `acceptImages` says to be right. */
  readonly images: readonly string[] | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    const [retryable, effect] = CODES[code];
    this.code = code;
    this.retryable = details.retryable ?? retryable;
    this.effect = details.effect ?? effect;
    this.saga = details.saga;
    this.step = details.step;
    this.disk = details.disk;
    this.qmp = details.qmp;
    this.blockedBy = details.blockedBy;
    this.issues = details.issues;
    this.images = details.images;
  }

  /** The same error with the places filled in that the thrower could not know. */
  at(place: Pick<ErrorDetails, 'saga' | 'step' | 'disk'>): BlocksagaError {
    return new BlocksagaError(this.code, this.message, {
      retryable: this.retryable,
      effect: this.effect,
      ...definedOnly({
        saga: this.saga ?? place.saga,
        step: this.step ?? place.step,
        disk: this.disk ?? place.disk,
      }),
      ...definedOnly({ qmp: this.qmp, blockedBy: this.blockedBy, issues: this.issues, images: this.images }),
      cause: this.cause ?? this,
    });
  }

  toJSON(): ErrorRecord {
    return {
      code: this.code,
      message: this.message,
      retryable: this.retryable,
      effect: this.effect,
      ...definedOnly({ saga: this.saga, step: this.step, disk: this.disk, cause: this.qmp }),
      ...definedOnly({ blockedBy: this.blockedBy, issues: this.issues, images: this.images }),
    };
  }

  /** The error that a record was made from, as far as plain data can carry it. */
  static fromRecord(record: ErrorRecord): BlocksagaError {
    const { code, message, cause, ...place } = withEffect(record);
    return new BlocksagaError(code, message, { ...place, ...definedOnly({ qmp: cause }) });
  }
}

/** An error's record as it is written now: it called its `effect` an outcome before, as rows of older journals do. */
export function withEffect(record: ErrorRecord): ErrorRecord;
export function withEffect(record: ErrorRecord & { readonly outcome?: Effect }): ErrorRecord {
  if (record.outcome === undefined) return record;
  const { outcome, ...rest } = record;
  return { ...rest, effect: outcome };
}

/** A bug of ours: what cannot be, is. */
export class BrokenAssumption extends Error {}

/** Crashes when an assumption of ours does not hold; a misbehaving world is never reported this way. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new BrokenAssumption(`broken assumption: ${message}`);
}

/** What a caller has handed in makes no sense in this field; in none, where it is no request at all. */
export function invalidIn(path: RequestIssue['path'], message: string): BlocksagaError {
  const why = [...path.slice(0, 1), message].join(': ');
  return new BlocksagaError('REQUEST_INVALID', `the request makes no sense: ${why}`, {
    issues: [{ path, message }],
  });
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Leaves out the members that are undefined, for records with exact optional members. */
export function definedOnly<T extends object>(record: T): Defined<T> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as Defined<T>;
}
