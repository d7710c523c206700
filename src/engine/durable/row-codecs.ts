/**
 * The shapes of what the journal holds of a saga, as far as code here counts on them: its plan, its result, its records.
 * What another version has added is left alone. It says what is wrong in a few words, and throws nothing.
 */
import * as z from 'zod';
import { BlocksagaError, isErrorCode } from '../../errors.ts';
import type { JournalRecord, SagaRow } from '../../journal/journal.ts';
import { COMMIT_OFFLINE } from '../../operations/plan-commit-offline.ts';
import { splitKey } from '../../steps/stages.ts';

const index = z.int().nonnegative();
const size = z.union([z.number(), z.bigint()]);

const chainImage = z.looseObject({ file: z.string(), driver: z.string(), node: z.string().nullish() });

const image = z.looseObject({
  file: z.string(),
  driver: z.string(),
  create: z.boolean(),
  backing: chainImage.nullable(),
  below: z.array(chainImage),
  openedOn: chainImage.optional(),
});

const disk = z.looseObject({
  disk: z.string(),
  index,
  names: z.record(z.string(), z.string()),
  node: z.string(),
  drive: z.string(),
  qdev: z.string().nullable(),
  file: z.string(),
  driver: z.string(),
  sizeBytes: size,
  chain: z.array(chainImage),
  retiring: z.array(z.string()),
  image,
  goal: z.string(),
});

const onCommit = z.union([
  z.looseObject({ by: z.literal('engine') }),
  z.looseObject({ by: z.literal('program'), program: z.string(), arguments: z.array(z.string()) }),
]);

const base = {
  planVersion: z.int(),
  token: z.string(),
  capabilities: z.array(z.string()),
  maxBlackoutMs: z.number(),
  marksQemu: z.boolean(),
  onCommit: onCommit.nullable(),
  jobsVanishOnEnd: z.enum(['byId', 'byDisk']).optional(),
  withoutGuest: z.literal(true).optional(),
  weaker: z.array(z.string()).optional(),
  losses: z.array(z.string()).optional(),
  identities: z.record(z.string(), z.string()).optional(),
  disks: z.array(disk).min(1),
};

const mirrors = {
  finish: z.enum(['pivot', 'clone', 'abort', 'leave']),
  iothreads: z.boolean(),
  strategy: z.enum(['reopen', 'finalize', 'complete']).nullable(),
  parallel: z.int().positive(),
  speed: size,
};

const snapshot = z.looseObject({
  ...base,
  operation: z.literal('snapshot'),
  method: z.enum(['transaction', 'transactionSync', 'sequential']),
  bitmaps: z.array(z.looseObject({ index, name: z.string() })),
  quiesce: z.string().nullable(),
});

const copy = z.looseObject({
  ...base,
  ...mirrors,
  operation: z.literal('copy'),
  mirror: z.looseObject({
    granularity: size.nullable(),
    bufSize: size.nullable(),
    copyMode: z.string(),
    by: z.literal('drive-mirror').optional(),
  }),
  sync: z.array(z.enum(['full', 'top'])),
});

const activeCommit = z.looseObject({
  ...base,
  ...mirrors,
  operation: z.literal('commit'),
  kind: z.literal('active'),
  deletes: z.boolean(),
});

const rewrite = z.looseObject({
  ...base,
  operation: z.enum(['pull', 'commit']),
  kind: z.literal('rewrite'),
  manualFinalize: z.boolean(),
  parallel: z.int().positive(),
  speed: size,
  deletes: z.boolean(),
  rewrites: z.array(
    z.looseObject({ top: z.string(), base: z.string().nullable(), backingFile: z.string().nullable() }),
  ),
});

const PLANS: Readonly<Record<string, z.ZodType>> = {
  snapshot,
  copy,
  commit: z.union([activeCommit, rewrite]),
  pull: rewrite,
  revert: z.looseObject({ ...base, operation: z.literal('revert'), strategy: z.enum(['reopen', 'rebase']) }),
  snapshotMirror: z.looseObject({ ...base, operation: z.literal('snapshotMirror'), snapshot, mirror: copy }),
  [COMMIT_OFFLINE]: z.looseObject({
    ...base,
    operation: z.literal(COMMIT_OFFLINE),
    deletes: z.boolean(),
    merges: z.array(z.looseObject({ base: index, top: index })),
  }),
};

const effect = z.enum(['notApplied', 'applied', 'unknown']);

const anyError = z.looseObject({
  code: z.string().refine(isErrorCode),
  message: z.string(),
  retryable: z.boolean(),
  saga: z.string().optional(),
  step: z.string().optional(),
  disk: z.string().optional(),
  cause: z.looseObject({ command: z.string(), class: z.string(), desc: z.string() }).optional(),
  blockedBy: z.looseObject({ saga: z.string(), operation: z.string() }).optional(),
  issues: z
    .array(z.looseObject({ path: z.array(z.union([z.string(), z.number()])), message: z.string() }))
    .optional(),
  images: z.array(z.string()).optional(),
});

/** Journals from before the word was changed call it `outcome`: see `withEffect`. */
const errorRecord = z.union([anyError.extend({ effect }), anyError.extend({ outcome: effect })]);

const front = z.looseObject({ node: z.string(), file: z.string() });

const result = z.looseObject({
  saga: z.string(),
  operation: z.string(),
  outcome: z.enum(['committed', 'rolledBack', 'needsRecovery', 'ready']),
  strategy: z.string().nullable(),
  disks: z.array(
    z.looseObject({
      disk: z.string(),
      before: front,
      after: z.looseObject({ file: z.string(), chain: z.array(z.string()) }).nullable(),
      image: z.string(),
    }),
  ),
  blackoutMs: z.number().nullable(),
  error: errorRecord.nullable(),
  leftovers: z.array(z.string()),
  misnamed: z.array(z.looseObject({ disk: z.string(), file: z.string(), found: z.string() })).optional(),
  weaker: z.array(z.string()).optional(),
  losses: z.array(z.string()).optional(),
  boot: z.array(z.looseObject({ disk: z.string(), file: z.string(), format: z.string() })).optional(),
  why: z.string().optional(),
});

const indexed = z.looseObject({ index });

/** What steps have seen and come to, where that is more than a word that is only compared. */
const SEEN: Readonly<Record<string, z.ZodType>> = {
  claimFiles: z.array(z.union([index, indexed])),
  'undo.claimFiles': z.union([z.null(), z.array(z.json())]),
  removeLeaving: z.array(z.looseObject({ file: z.string(), identity: z.string().nullable() })),
  recoverOffline: z.looseObject({
    choices: z.array(z.json()).optional(),
    kept: z.array(z.json()).optional(),
    accepted: z.array(z.string()).optional(),
  }),
  mergeImage: z.looseObject({ disk: index }),
};

const CAME_TO: Readonly<Record<string, z.ZodType>> = {
  claimFiles: z.array(z.looseObject({ index, identity: z.string() })),
  'undo.claimFiles': z.array(z.looseObject({ index, identity: z.string(), instead: z.string().nullable() })),
  mergeImage: z.looseObject({ disk: index, stamps: z.array(z.string()), base: z.string() }),
};

const intentOf = (seen: z.ZodType) => z.looseObject({ observed: seen.nullable() });

const outcomeOf = (cameTo: z.ZodType) =>
  z.union([
    z.looseObject({ error: z.null().optional(), value: cameTo.nullable() }),
    z.looseObject({ error: errorRecord }),
  ]);

/** Made once: to make a codec takes far longer than to look at a record with it. */
const INTENTS = codecsByKey(SEEN, intentOf);
const OUTCOMES = codecsByKey(CAME_TO, outcomeOf);
const ANY_INTENT = intentOf(z.unknown());
const ANY_OUTCOME = outcomeOf(z.unknown());

const DECISION = z.union([
  z.looseObject({ verdict: z.enum(['forward', 'back']) }),
  z.looseObject({ verdict: z.literal('asIs'), onImage: z.array(index) }),
]);

const SIGNAL = z.union([
  z.null(),
  z.looseObject({ seq: index, error: errorRecord.nullable() }),
  z.looseObject({ error: z.undefined().optional(), value: z.unknown().optional() }),
]);

function codecsByKey(
  told: Readonly<Record<string, z.ZodType>>,
  codecOf: (told: z.ZodType) => z.ZodType,
): ReadonlyMap<string, z.ZodType> {
  return new Map(Object.entries(told).map(([key, codec]) => [key, codecOf(codec)]));
}

function bodyOf({ kind, step }: JournalRecord): z.ZodType {
  switch (kind) {
    case 'intent':
      return INTENTS.get(splitKey(step).step) ?? ANY_INTENT;
    case 'outcome':
      return OUTCOMES.get(splitKey(step).step) ?? ANY_OUTCOME;
    case 'decision':
      return DECISION;
    case 'signal':
      return SIGNAL;
  }
}

/** What is wrong with a row; null where nothing is. A plan of another version is looked into only as far as lists need it. */
export function whyRowIsDamaged(row: SagaRow, version: number): string | null {
  if (row.damage !== undefined) return row.damage;
  const codec = row.planVersion === version ? PLANS[row.operation] : undefined;
  return (
    why('plan', codec ?? LISTED, row.plan) ??
    (row.result === null && (row.state === 'open' || row.state === 'needsRecovery')
      ? null
      : why('result', result, row.result))
  );
}

/** Of every version. */
const LISTED = z.looseObject({ disks: z.array(z.looseObject({ disk: z.string() })) });

/** What is wrong with a record; null where nothing is. */
export function whyRecordIsDamaged(record: JournalRecord): string | null {
  return why('body', bodyOf(record), record.body);
}

function why(what: string, codec: z.ZodType, value: unknown): string | null {
  const read = codec.safeParse(value);
  if (read.success) return null;
  const [issue] = read.error.issues;
  const place = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`;
  return `its ${what} is of a shape that this program does not write${place}`;
}

/** JOURNAL, of one saga only. */
export function damagedSaga(id: string, where: string, what: string): BlocksagaError {
  return new BlocksagaError(
    'JOURNAL',
    `the journal is damaged at saga ${id}, ${where}: ${what}. It is kept as it is, and other sagas are not touched by that: restore the journal, or look at the disks of this saga by hand`,
    { saga: id, effect: 'notApplied' },
  );
}
