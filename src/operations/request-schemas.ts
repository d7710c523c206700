/**
 * The schemas of requests, for those who take them over HTTP: to validate them with what knows Standard Schema,
 * and as JSON Schema for OpenAPI. They say what a request may be before a guest is asked; where the guest is reached is no part
 * of them.
 */
import { z } from 'zod';
import { BlocksagaError, type RequestIssue } from '../errors.ts';
import {
  checkOfflineCommitRequest,
  type OfflineCommitRequest,
  offlineCommitShape,
} from './commit-offline-request.ts';
import { OPERATIONS } from './operations.ts';
import { requestShapes } from './request-shapes.ts';
import type { CommitRequest, CopyRequest, PullRequest, RevertRequest, SnapshotRequest } from './requests.ts';

/** A Standard Schema (standardschema.dev, version 1) that can also be told as JSON Schema. */
export interface RequestSchema<R> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: 'blocksaga';
    validate(
      value: unknown,
    ): { readonly value: R; readonly issues?: undefined } | { readonly issues: readonly RequestIssue[] };
    readonly types?: { readonly input: R; readonly output: R };
  };
  /** JSON Schema, draft 2020-12. Rules between fields, which it cannot say, are in `validate` alone. */
  jsonSchema(): Readonly<Record<string, unknown>>;
}

/**
 * One schema for each operation.
 *
 * @example
 * ```ts
 * const checked = requestSchemas.copy['~standard'].validate({ disks: [] });
 * console.log(checked.issues?.map(({ path }) => path.join('.'))); // [ 'disks' ]
 * ```
 */
export const requestSchemas: {
  readonly snapshot: RequestSchema<SnapshotRequest>;
  readonly copy: RequestSchema<CopyRequest>;
  readonly commit: RequestSchema<CommitRequest>;
  readonly pull: RequestSchema<PullRequest>;
  readonly revert: RequestSchema<RevertRequest>;
  readonly commitOffline: RequestSchema<OfflineCommitRequest>;
} = {
  snapshot: schemaOf(requestShapes.snapshot, OPERATIONS.snapshot.check),
  copy: schemaOf(requestShapes.copy, OPERATIONS.copy.check),
  commit: schemaOf(requestShapes.commit, OPERATIONS.commit.check),
  pull: schemaOf(requestShapes.pull, OPERATIONS.pull.check),
  revert: schemaOf(requestShapes.revert, OPERATIONS.revert.check),
  commitOffline: schemaOf(offlineCommitShape, checkOfflineCommitRequest),
};

function schemaOf<R>(shape: z.ZodType, check: (request: unknown) => R): RequestSchema<R> {
  return {
    '~standard': {
      version: 1,
      vendor: 'blocksaga',
      validate(value) {
        try {
          return { value: check(value) };
        } catch (error) {
          if (!(error instanceof BlocksagaError)) throw error;
          return { issues: error.issues ?? [{ path: [], message: error.message }] };
        }
      },
    },
    jsonSchema: () => z.toJSONSchema(shape, { io: 'input', unrepresentable: 'any' }),
  };
}
