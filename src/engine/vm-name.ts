/** By which name the journal knows a VM. Pure. */
import { BlocksagaError } from '../errors.ts';
import type { Survey } from '../operations/survey.ts';
import type { Guest } from './connection/guest.ts';

/** The name of the VM in the journal: two sagas under one name are one after the other, so it must be this VM's only. */
export function vmOf(request: { readonly vm?: string | undefined }, seen: Survey, { qmp }: Guest): string {
  const name = request.vm ?? seen.vmName ?? (typeof qmp === 'string' ? qmp : '');
  if (name !== '') return name;
  throw new BlocksagaError(
    'REQUEST_INVALID',
    'this QEMU has neither a UUID nor a name and is reached through a function: say which VM it is with "vm"',
  );
}
