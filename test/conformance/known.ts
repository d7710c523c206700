/**
 * The differences of src/sim/DIFFERENCES.md that a run can meet, each recognised by what both sides say. One that
 * merely looks like them is not known, and counts.
 */

import type { Finding } from './judge.ts';
import { maskedReason } from './masks.ts';

interface Known {
  readonly reason: string;
  readonly explains: (finding: Finding) => boolean;
}

const KNOWN: readonly Known[] = [
  {
    reason: 'which of several permission conflicts an error names',
    explains: ({ verdict, real, sim }) => verdict === 'text' && [real, sim].every(isConflict),
  },
  {
    reason: 'whether a reopen is refused for a conflict or for a read-only node, where both are so',
    explains: ({ verdict, row, real, sim }) =>
      row === 'blockdev-reopen' &&
      verdict === 'text' &&
      [real, sim].every(text => isConflict(text) || isReadOnly(text)),
  },
  {
    reason: 'that QEMU takes an overlay for used after a refused stream, and names that first',
    explains: ({ verdict, row, real, sim }) =>
      SNAPSHOTS.has(row) &&
      verdict === 'text' &&
      real.endsWith('GenericError The overlay is already in use') &&
      sim.endsWith('GenericError The overlay already has a backing image'),
  },
  {
    reason:
      'a mirror whose source was put above an image that a PENDING one keeps quiesced stands by in QEMU',
    explains: ({ verdict, row, real, sim }) =>
      row === 'query-jobs' &&
      verdict === 'differs' &&
      real.includes('"status":"pending"') &&
      readyAgain(real) === sim,
  },
];

const SNAPSHOTS: ReadonlySet<string> = new Set(['blockdev-snapshot', 'transaction']);

/** What is told of jobs, as if none of them stood by. */
function readyAgain(jobs: string): string {
  return jobs.replaceAll('"status":"standby"', '"status":"ready"');
}

/** Why a finding is known to differ; undefined when it is not. */
export function knownReason(finding: Finding): string | undefined {
  const masked = maskedReason(finding.real, finding.sim);
  if (masked !== undefined) return masked;
  return KNOWN.find(({ explains }) => explains(finding))?.reason;
}

function isReadOnly(reply: string): boolean {
  return /GenericError (Read-only block node '|Block node is read-only)/.test(reply);
}

function isConflict(reply: string): boolean {
  return reply.includes('GenericError Permission conflict on node');
}
