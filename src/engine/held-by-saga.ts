/**
 * Which saga has a VM, or the monitor through which it would be asked for: looked up before anything is waited for, and again
 * where an attempt has failed as it does while a saga is in the way. It only looks.
 */
import { BlocksagaError } from '../errors.ts';
import type { Journal, SagaRow } from '../journal/journal.ts';
import type { Guest } from './connection/guest.ts';
import { withoutScheme } from './connection/guest.ts';

type Held = Pick<SagaRow, 'id' | 'vm' | 'operation' | 'state'>;

/** Throws VM_BUSY when a saga has this VM, or is asked for through this monitor. */
export function refuseHeld(journal: Journal, vm: string | undefined, { qmp }: Guest): void {
  const holder = (vm === undefined ? undefined : holderOfVm(journal, vm)) ?? holderOfMonitor(journal, qmp);
  if (holder !== undefined) throw heldBy(holder);
}

/**
 * A disk is busy with a saga's own job when a saga holds the VM, and a monitor is taken by the saga that speaks through it: that
 * is what the caller has to wait for.
 */
export function heldBySaga(
  journal: Journal,
  error: unknown,
  vm: string | undefined,
  { qmp }: Guest,
): BlocksagaError | undefined {
  if (!(error instanceof BlocksagaError)) return undefined;
  const holder =
    error.code === 'DISK_BUSY' && vm !== undefined
      ? holderOfVm(journal, vm)
      : error.code === 'QMP_CONNECT'
        ? holderOfMonitor(journal, qmp)
        : undefined;
  return holder === undefined ? undefined : heldBy(holder, error);
}

function holderOfVm(journal: Journal, vm: string): Held | undefined {
  const [holder] = [
    ...journal.sagas({ vm, state: 'open' }),
    ...journal.sagas({ vm, state: 'needsRecovery' }),
  ].filter(row => row.vm === vm && row.state !== 'committed' && row.state !== 'rolledBack');
  return holder;
}

/** Only one that may speak through it now. */
function holderOfMonitor(journal: Journal, qmp: Guest['qmp']): Held | undefined {
  if (typeof qmp !== 'string' || qmp === '') return undefined;
  const addresses = new Set([qmp, withoutScheme(qmp)]);
  return [...addresses]
    .flatMap(address => journal.sagas({ state: 'open', address }))
    .find(row => row.state === 'open' && addresses.has(row.address));
}

export function heldBy({ id, vm, operation, state }: Held, cause?: BlocksagaError): BlocksagaError {
  const next = state === 'needsRecovery' ? `run "blocksaga resume ${id}"` : `see "blocksaga show ${id}"`;
  const why = cause === undefined ? '' : `. ${cause.message}`;
  return new BlocksagaError(
    'VM_BUSY',
    `VM "${vm}" is held by saga ${id} (${operation}, ${state}): ${next}${why}`,
    { saga: id, blockedBy: { saga: id, operation }, ...(cause === undefined ? {} : { cause }) },
  );
}
