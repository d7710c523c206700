/** What `--json` writes: one JSON value per line (NDJSON), and nothing else on standard output. */
import type { Saga } from '../../engine/running/saga.ts';
import type { BlocksagaError, ErrorRecord } from '../../errors.ts';
import { wayOf } from '../../plan/plan.ts';

/** Not in TypeScript's library yet (ECMAScript proposal JSON.parse source text access); in every Node that we run on. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/** One line of NDJSON; integers past 2^53, which QEMU may report, keep all their digits. */
export function jsonLine(value: object): string {
  return JSON.stringify(value, (_key, each) => (typeof each === 'bigint' ? rawJSON(each.toString()) : each));
}

/** The last line of a request that was refused before anything was touched. */
export function refusedLine(operation: string | null, error: ErrorRecord): string {
  return jsonLine({
    type: 'result',
    saga: null,
    operation,
    outcome: 'refused',
    strategy: null,
    disks: [],
    blackoutMs: null,
    error,
    leftovers: [],
  });
}

/** The result of a saga whose journal failed: what it did is not known any more. */
export function lostResult(saga: Saga, error: BlocksagaError) {
  return {
    saga: saga.id,
    operation: saga.plan.operation,
    outcome: 'needsRecovery',
    strategy: wayOf(saga.plan),
    disks: saga.plan.disks.map(disk => ({
      disk: disk.disk,
      before: { node: disk.node, file: disk.file },
      after: null,
      image: disk.image.file,
    })),
    blackoutMs: null,
    error: error.toJSON(),
    leftovers: [],
  } as const;
}
