/** What the flags of a snapshot rule out by themselves, before anything is looked at. */
import { refuse } from './errors.ts';
import type { SNAPSHOT_CREATE } from './flags.ts';
import type { SnapshotDefinition } from './snapshot-definition.ts';

export type CreateFlags = ReadonlySet<keyof typeof SNAPSHOT_CREATE>;

/** S1 to S4 of the rules: what the flags alone rule out, for a running domain. */
export function refuseFlags(flags: CreateFlags, { memory }: SnapshotDefinition, persistent: boolean): void {
  if (flags.has('QUIESCE') && !flags.has('DISK_ONLY')) refuse('INVALID_ARG', 'QUIESCE needs DISK_ONLY');
  if (flags.has('CURRENT') && !flags.has('REDEFINE')) refuse('INVALID_ARG', 'CURRENT needs REDEFINE');
  if (flags.has('REDEFINE')) {
    const other = (['NO_METADATA', 'HALT', 'LIVE'] as const).find(flag => flags.has(flag));
    if (other !== undefined) refuse('INVALID_ARG', `REDEFINE and ${other} exclude each other`);
    refuse('OPERATION_UNSUPPORTED', 'REDEFINE is not known here: snapshots are not stored');
  }
  if (flags.has('HALT')) {
    if (!persistent) refuse('OPERATION_INVALID', 'a transient domain cannot be halted after its snapshot');
    refuse('OPERATION_UNSUPPORTED', "HALT is not known here: stopping the domain is its owner's business");
  }
  const ofMemory = memory?.snapshot ?? 'no';
  if (!['no', 'internal', 'external'].includes(ofMemory))
    refuse('CONFIG_UNSUPPORTED', `there is no snapshot of memory of the kind ${ofMemory}`);
  if (flags.has('LIVE') && ofMemory !== 'external') {
    refuse('OPERATION_UNSUPPORTED', 'LIVE is for external snapshots of memory');
  }
  if (flags.has('DISK_ONLY') && ofMemory !== 'no') {
    refuse('CONFIG_UNSUPPORTED', 'DISK_ONLY and a snapshot of memory exclude each other');
  }
  if (ofMemory !== 'no')
    refuse('OPERATION_UNSUPPORTED', 'snapshots of memory are not made here; use DISK_ONLY');
}
