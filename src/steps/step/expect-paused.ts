/** Whether the guest was paused for as long as its disks were switched: a third party may resume it at any time. Looks only. */
import { BlocksagaError, type ErrorRecord } from '../../errors.ts';
import { expectNotMigrating, SIGHT, sightOf } from '../../guest/migration.ts';
import { valueIn } from '../../qmp/reply-values.ts';
import type { BlockInfo } from '../../qmp/schema.generated.ts';
import type { StepContext } from './step.ts';

/** Throws when the guest has run since the saga stopped it: its disks are no longer at one instant then. */
export function expectPausedThroughout({ pausedThroughout }: Pick<StepContext, 'pausedThroughout'>): void {
  if (!pausedThroughout()) throw resumedByThirdParty();
}

/** Throws when it ran on its old images: where their mirrors have ended, the new ones lack what it wrote there. */
export function expectNotRunBefore({ ranBeforeSwitch }: Pick<StepContext, 'ranBeforeSwitch'>): void {
  if (ranBeforeSwitch()) throw resumedByThirdParty();
}

/**
 * Asks too, for where the event that tells may be lost: whether the guest was paused up to now, and is not being migrated.
 * Gives its devices. `closing` nodes are closed in the same write; one that QEMU does not close stays.
 */
export async function expectPausedInQemu(
  context: Pick<StepContext, 'qmp' | 'pausedThroughout'>,
  closing: readonly string[] = [],
): Promise<readonly BlockInfo[]> {
  const { qmp } = context;
  const [, [blocks, ...looks]] = await Promise.all([
    qmp.pipeline(
      closing.map(node => ({ execute: 'blockdev-del', arguments: { 'node-name': node } }) as const),
    ),
    qmp.pipeline([{ execute: 'query-block' }, ...SIGHT]),
  ]);
  const sight = sightOf(...looks);
  expectNotMigrating(sight);
  if (sight.running) throw resumedByThirdParty();
  expectPausedThroughout(context);
  return valueIn(blocks);
}

export function resumedByThirdParty(): BlocksagaError {
  return new BlocksagaError('FOREIGN', 'a third party resumed the guest while its disks were being switched');
}

/** Whether a switch has failed for that: it is of no disk, other than what else a third party may have done. */
export function failedForRun(failure: ErrorRecord | undefined): boolean {
  return failure?.code === 'FOREIGN' && failure.disk === undefined;
}
