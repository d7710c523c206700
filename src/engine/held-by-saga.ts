/** Says whose doing it is that a disk is busy. It only words an error. */
import { BlocksagaError } from '../errors.ts';
import type { Journal } from '../journal/journal.ts';

/** A disk is busy with a saga's own job when a saga holds the VM: that is what the caller has to wait for. */
export function heldBySaga(journal: Journal, error: unknown, vm: string): BlocksagaError | undefined {
  if (!(error instanceof BlocksagaError) || error.code !== 'DISK_BUSY') return undefined;
  const [holder] = [
    ...journal.sagas({ vm, state: 'open' }),
    ...journal.sagas({ vm, state: 'needsRecovery' }),
  ];
  if (holder === undefined) return undefined;
  return new BlocksagaError(
    'VM_BUSY',
    `VM "${vm}" is held by saga ${holder.id} (${holder.operation}, ${holder.state}): see "blocksaga show ${holder.id}". ${error.message}`,
    { saga: holder.id, cause: error },
  );
}
