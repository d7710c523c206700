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
];

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
