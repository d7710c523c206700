/** What a connection says of commands that QEMU refused, of a greeting that did not come, and of its own end. Makes only errors. */
import { BlocksagaError } from '../errors.ts';

export function refusal(command: string, errorClass: string, desc: string): BlocksagaError {
  return new BlocksagaError('QMP_COMMAND', `QEMU refused ${command}: ${desc}`, {
    qmp: { command, class: errorClass, desc },
    effect: 'notApplied',
    retryable: false,
  });
}

/** Of a greeting that did not come: within `deadlineMs`, or, without one, before the connection was closed. */
export function ungreeted(
  deadlineMs: number | undefined,
  failure: BlocksagaError | undefined,
): BlocksagaError {
  if (failure?.code === 'QMP_PROTOCOL')
    return new BlocksagaError('QMP_PROTOCOL', `no QMP monitor (-monitor is not -qmp): ${failure.message}`, {
      effect: 'notApplied',
      cause: failure,
    });
  const why = deadlineMs === undefined ? CLOSED_UNGREETED : noGreeting(deadlineMs);
  return new BlocksagaError('QMP_CONNECT', why, { cause: failure });
}

function noGreeting(deadlineMs: number): string {
  return (
    `QEMU sent no greeting within ${deadlineMs} ms. A monitor serves one client at a time, so another client (libvirt, a ` +
    'management tool, a shell) probably holds this one: start QEMU with a monitor of its own for blocksaga, ' +
    '-qmp unix:/run/vm.blocksaga.qmp,server=on,wait=off, or end the other client. A guest agent sends no greeting either'
  );
}

const CLOSED_UNGREETED =
  'the connection was closed before QEMU greeted: QEMU has just ended, is still starting, or this is no QMP monitor; try again';

/** Of a connection that ended too early for something; `failure` is why it did, where that is known. */
export function lost(before: string, failure: BlocksagaError | undefined): BlocksagaError {
  const [code, why] =
    failure?.code === 'QMP_PROTOCOL'
      ? (['QMP_PROTOCOL', `: ${failure.message}`] as const)
      : (['QMP_DISCONNECTED', ''] as const);
  return new BlocksagaError(code, `the connection to QEMU ended before ${before}${why}`, { cause: failure });
}

/** What a transport says of its end. */
export function asError(reason: Error): BlocksagaError {
  if (reason instanceof BlocksagaError) return reason;
  return new BlocksagaError('QMP_DISCONNECTED', reason.message, { cause: reason });
}
