/**
 * The differences of src/sim/DIFFERENCES.md that a run can meet, each recognised by what happened before it. One that
 * merely looks like them is not known, and counts.
 */

import type { Account } from '../sim/agreement.ts';
import type { Case } from './draw-case.ts';
import type { Finding } from './judge.ts';
import { maskedReason } from './masks.ts';

interface Known {
  readonly reason: string;
  readonly explains: (finding: Finding, before: readonly string[], drawn: Case, real: Account) => boolean;
}

const REFUSED_STREAM = 'block-stream: GenericError Permission conflict';

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
    reason: 'QEMU leaks a BlockBackend when it refuses a stream for permissions',
    explains: (_finding, before) => before.some(reply => reply.startsWith(REFUSED_STREAM)),
  },
];

/** Why a finding is known to differ; undefined when it is not. */
export function knownReason(finding: Finding, drawn: Case, real: Account): string | undefined {
  const masked = maskedReason(finding.real, finding.sim);
  if (masked !== undefined) return masked;
  const before = real.replies.slice(0, finding.at ?? real.replies.length);
  return KNOWN.find(({ explains }) => explains(finding, before, drawn, real))?.reason;
}

function isReadOnly(reply: string): boolean {
  return /GenericError (Read-only block node '|Block node is read-only)/.test(reply);
}

function isConflict(reply: string): boolean {
  return reply.includes('GenericError Permission conflict on node');
}
