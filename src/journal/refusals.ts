/**
 * What the journal refuses, in the same words by every adapter. Only builds errors; whether to refuse is decided where
 * the state is.
 */

import { BlocksagaError } from '../errors.ts';
import type { Lease, Processes, SagaRow, SagaState } from './journal.ts';
import { isUnseen, leftMs, mayRun } from './lease.ts';

/** What must be known of the saga that is in the way. */
export type HeldBy = Pick<SagaRow, 'id' | 'vm' | 'operation' | 'state' | 'holder' | 'renewedAtMs'>;

/** `VM_BUSY`: another saga has the VM. */
export function vmIsHeld(by: HeldBy, processes: Pick<Processes, 'isAlive'>, nowMs: number): BlocksagaError {
  return new BlocksagaError(
    'VM_BUSY',
    `VM "${by.vm}" is held by saga ${by.id} (${by.operation}), ${advice(by, processes, nowMs)}`,
    {
      saga: by.id,
      blockedBy: { saga: by.id, operation: by.operation },
      // A lease runs out by itself, unless it is renewed.
      retryable: by.state === 'open' && isUnseen(by, processes),
    },
  );
}

function advice(by: HeldBy, processes: Pick<Processes, 'isAlive'>, nowMs: number): string {
  if (by.state === 'needsRecovery') return `which needs recovery: run \`blocksaga resume ${by.id}\``;
  const isRunning = mayRun(by, processes, nowMs);
  if (isRunning && isUnseen(by, processes)) {
    const leftSeconds = Math.ceil(leftMs(by, nowMs) / 1_000);
    return `whose process ${by.holder.pid} runs on another host or in another container: its lease runs out in ${leftSeconds} s unless it is renewed; then, or at once with --force, run \`blocksaga resume ${by.id}\``;
  }
  if (isRunning)
    return `whose process ${by.holder.pid} is running: wait until it has ended, or if it is stopped or hangs, run \`blocksaga resume --force ${by.id}\``;
  return `whose process ${by.holder.pid} is dead: run \`blocksaga resume ${by.id}\``;
}

/** `VM_BUSY`: the lease's token is no longer the current one. */
export function leaseIsLost(lease: Lease, currentToken: number | undefined): BlocksagaError {
  return new BlocksagaError(
    'VM_BUSY',
    `saga ${lease.saga} has lost VM "${lease.vm}": another process has claimed it since (token ${lease.token}, now ${currentToken ?? 'none'}). Nothing was written; do not touch the VM's disks any more, see \`blocksaga show ${lease.saga}\``,
    { saga: lease.saga },
  );
}

/** `ID_CONFLICT`: the id is taken. */
export function sagaExists(id: string): BlocksagaError {
  return new BlocksagaError(
    'ID_CONFLICT',
    `saga ${id} exists already: see \`blocksaga show ${id}\`, or choose another id`,
    {
      saga: id,
    },
  );
}

/** `SAGA_STATE`: the saga has ended and takes nothing more. */
export function sagaHasEnded(id: string, state: SagaState): BlocksagaError {
  const next = state === 'needsRecovery' ? `run \`blocksaga resume ${id}\`` : `see \`blocksaga show ${id}\``;
  return new BlocksagaError('SAGA_STATE', `saga ${id} has ended (${state}): ${next}`, { saga: id });
}

/** `SAGA_UNKNOWN`: no such saga in this journal. */
export function sagaIsUnknown(id: string): BlocksagaError {
  return new BlocksagaError(
    'SAGA_UNKNOWN',
    `no saga ${id} in this journal: \`blocksaga sagas\` lists them, and --journal names another journal. If its journal is lost, \`blocksaga doctor --qmp ADDRESS\` says what it has left in QEMU, and what to do`,
    {
      saga: id,
    },
  );
}

/** `JOURNAL`: one record cannot be read; the rest of the journal can. */
export function recordIsDamaged(id: string, seq: number, cause: unknown): BlocksagaError {
  return new BlocksagaError(
    'JOURNAL',
    `the journal is damaged at saga ${id}, record ${seq}, which cannot be read as JSON. It is kept as it is, and other sagas are not touched by that: restore the journal, or look at the disks of this saga by hand`,
    { saga: id, effect: 'notApplied', cause },
  );
}

/** `JOURNAL`: used after `close`. */
export function journalIsClosed(): BlocksagaError {
  return new BlocksagaError('JOURNAL', 'the journal is closed: open it again', { effect: 'notApplied' });
}
