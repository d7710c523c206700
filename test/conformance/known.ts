/**
 * The differences of src/sim/DIFFERENCES.md that a run can meet, each recognised by what happened before it. One that
 * merely looks like them is not known, and counts.
 */

import type { Account, Line } from '../sim/agreement.ts';
import type { Case } from './draw-case.ts';
import type { Finding } from './judge.ts';
import { maskedReason } from './masks.ts';

interface Known {
  readonly reason: string;
  readonly explains: (finding: Finding, before: readonly string[], drawn: Case, real: Account) => boolean;
}

const REFUSED_STREAM = 'block-stream: GenericError Permission conflict';
const REFUSED_TRANSACTION = 'transaction: GenericError';

const KNOWN: readonly Known[] = [
  {
    reason: 'which of several permission conflicts an error names',
    explains: ({ verdict, real, sim }) => verdict === 'text' && [real, sim].every(isConflict),
  },
  {
    reason: 'QEMU leaks a BlockBackend when it refuses a stream for permissions',
    explains: (_finding, before) => before.some(reply => reply.startsWith(REFUSED_STREAM)),
  },
  {
    reason: 'QEMU takes back a transaction and hands users of the overlay to the old node',
    explains: (_finding, before, drawn) =>
      before.some(reply => reply.startsWith(REFUSED_TRANSACTION)) && drawn.lines.some(hasTwoActions),
  },
];

/** Why a finding is known to differ; undefined when it is not. */
export function knownReason(finding: Finding, drawn: Case, real: Account): string | undefined {
  const masked = maskedReason(finding.real, finding.sim);
  if (masked !== undefined) return masked;
  const before = real.replies.slice(0, finding.at ?? real.replies.length);
  return KNOWN.find(({ explains }) => explains(finding, before, drawn, real))?.reason;
}

function isConflict(reply: string): boolean {
  return reply.includes('GenericError Permission conflict on node');
}

function hasTwoActions(line: Line): boolean {
  if ('wait' in line || 'settle' in line || 'undrained' in line) return false;
  const actions = line[0] === 'transaction' ? line[1]?.['actions'] : undefined;
  return Array.isArray(actions) && actions.length > 1;
}
