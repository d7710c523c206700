/**
 * Lines on a stream of this process. The reader may go away, not read, or keep them on a full file system: nothing of
 * that is thrown, ends the process, or holds it up; what cannot be written is lost, and that is reported once.
 */
import { constants } from 'node:os';

/** Lines that wait for a slow reader, in bytes; more than that, and lines are lost until it has caught up. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024;

/** Gives what writes one line. `lost` is called once, when a line could not be written, unless the reader just left (`| head`). */
export function lineWriter(stream: NodeJS.WriteStream, lost: (why: string) => void): (line: string) => void {
  let isOpen = true;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    const wasOpen = isOpen;
    isOpen = false;
    if (wasOpen && error.code !== 'EPIPE') lost(error.message);
  });
  let isBehind = false;
  return line => {
    if (!isOpen) return;
    if (stream.writableLength > WAITING_BYTES_MAX) {
      if (!isBehind) lost('its reader does not read, and lines are left out');
      isBehind = true;
      return;
    }
    isBehind = false;
    stream.write(`${line}\n`);
  };
}

/** Resolves when all that was written has left, or never will. */
export function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise(resolve => stream.write('', () => resolve()));
}

/**
 * A terminal that is stopped (Ctrl-S) must not stop this process in the middle of a pause: Node makes writes to
 * terminals wait; with that undone, they are queued as those to a pipe are.
 */
export function doNotWaitFor(stream: NodeJS.WriteStream): void {
  const { _handle: handle } = stream as { readonly _handle?: { setBlocking?(isBlocking: boolean): unknown } };
  if (stream.isTTY) handle?.setBlocking?.(false);
}

/** Whether our parent has this process ignore a signal (nohup), by the mask in `/proc/self/status` (proc(5)). */
export function ignores(signal: NodeJS.Signals, processStatus: string): boolean {
  const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(processStatus)?.[1];
  const number = constants.signals[signal];
  return mask !== undefined && (BigInt(`0x${mask}`) & (1n << BigInt(number - 1))) !== 0n;
}
