/** Errors of replies that came in one write, one for each disk. Decides nothing. */
import { BlocksagaError, definedOnly } from '../../errors.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import type { Reply } from '../../qmp/client.ts';

/** Throws the first error among the replies, saying which disk it belongs to. */
export function throwFirst(disks: readonly DiskPlan[], replies: readonly Reply[]): void {
  replies.forEach((reply, index) => {
    if (!reply.ok) throw reply.error.at(placeOf(disks[index]));
  });
}

/** The first error among the replies with its disk, if any. */
export function firstError(
  disks: readonly DiskPlan[],
  replies: readonly Reply[],
): BlocksagaError | undefined {
  const index = replies.findIndex(reply => !reply.ok);
  const reply = replies[index];
  return reply === undefined || reply.ok ? undefined : reply.error.at(placeOf(disks[index]));
}

/** A look that was refused, for where it must not be taken for an answer: the step asks again. */
export function askAgain(error: BlocksagaError): BlocksagaError {
  const { code, message, qmp } = error;
  const details = { retryable: true, effect: 'unknown', cause: error, ...definedOnly({ qmp }) } as const;
  return new BlocksagaError(code, message, details);
}

function placeOf(disk: DiskPlan | undefined): { disk?: string } {
  return disk === undefined ? {} : { disk: disk.disk };
}
