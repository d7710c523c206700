/** What a connection says of commands that QEMU refused, and of a greeting that did not come. Only words. */
import { BlocksagaError } from '../errors.ts';

export function refusal(command: string, errorClass: string, desc: string): BlocksagaError {
  return new BlocksagaError('QMP_COMMAND', `QEMU refused ${command}: ${desc}`, {
    qmp: { command, class: errorClass, desc },
    effect: 'notApplied',
    retryable: false,
  });
}

export function noGreeting(deadlineMs: number): string {
  return (
    `QEMU sent no greeting within ${deadlineMs} ms. A monitor serves one client at a time, so another client (libvirt, a ` +
    'management tool, a shell) probably holds this one: start QEMU with a monitor of its own for blocksaga, ' +
    '-qmp unix:/run/vm.blocksaga.qmp,server=on,wait=off, or end the other client. A guest agent sends no greeting either'
  );
}

export const CLOSED_UNGREETED =
  'the connection was closed before QEMU greeted: QEMU has just ended, is still starting, or this is no QMP monitor; try again';
